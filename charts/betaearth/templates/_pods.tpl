{{/*
A strategic merge patch of a workflow pod's spec, as JSON: what differs from cluster to cluster.
Takes root, pods (tile or cpu of the values), attempt (spot, onDemand, or empty), gpu (whether GPUs are asked for) and
device (of the environment; empty: none is said).
*/}}
{{- define "betaearth.pod" -}}
{{- $values := .root.Values }}
{{- $pods := .pods }}
{{- $attempt := .attempt | default dict }}
{{- $main := dict "name" "main" "imagePullPolicy" $values.image.pullPolicy }}
{{- $resources := deepCopy $pods.resources }}
{{- $tolerations := concat $pods.tolerations ($attempt.tolerations | default list) }}
{{- $environment := list }}
{{- if .device }}
{{- $environment = append $environment (dict "name" "BETAEARTH_DEVICE" "value" .device) }}
{{- /* A pod sees all cores of its node; without this each of several pods would start a thread for every one. */}}
{{- if dig "requests" "cpu" "" $resources }}
{{- $reference := dict "containerName" "main" "resource" "requests.cpu" }}
{{- $environment = append $environment (dict "name" "OMP_NUM_THREADS" "valueFrom" (dict "resourceFieldRef" $reference)) }}
{{- end }}
{{- end }}
{{- if .gpu }}
{{- $gpus := dict $values.gpu.resourceName (int $values.gpu.count | toString) }}
{{- $_ := set $resources "limits" (merge $gpus ($resources.limits | default dict)) }}
{{- $tolerations = concat $values.gpu.tolerations $tolerations }}
{{- end }}
{{- $_ := set $main "resources" $resources }}
{{- /* A cache that comes filled cannot be written, and areas and synthetic imagery are: they go to scratch. */}}
{{- if ne $values.cache.type "emptyDir" }}
{{- $environment = append $environment (dict "name" "BETAEARTH_CACHE" "value" "/tmp/cache") }}
{{- end }}
{{- with $environment }}{{ $_ := set $main "env" . }}{{ end }}
{{- /* Weights in the image lie at /cache: nothing may be mounted over them. The volume stays, since the wait container
mirrors the main container's mounts. */}}
{{- if eq $values.cache.type "baked" }}
{{- $_ := set $main "volumeMounts" (list (dict "mountPath" "/cache" "$patch" "delete")) }}
{{- end }}
{{- $scratch := include "betaearth.scratch" .root | fromJson }}
{{- $cache := include "betaearth.cache" .root | fromJson }}
{{- if eq $values.cache.type "persistentVolumeClaim" }}{{ $_ := set $cache "emptyDir" nil }}{{ end }}
{{- $spec := include "betaearth.placement" (merge (dict "tolerations" $tolerations) .) | fromJson }}
{{- $_ := set $spec "containers" (list $main) }}
{{- if ne $values.cache.type "emptyDir" }}
{{- $_ := set $spec "initContainers" (list (include "betaearth.weightsLink" .root | fromJson)) }}
{{- end }}
{{- $_ := set $spec "volumes" (list $scratch $cache) }}
{{- with $pods.runtimeClassName }}{{ $_ := set $spec "runtimeClassName" . }}{{ end }}
{{- $spec | toJson }}
{{- end }}

{{/*
The container that links the weights of a filled cache into the writable one, before the main container starts. It writes
a link and reads nothing, so that the image need not be the one of a submission's own.
*/}}
{{- define "betaearth.weightsLink" -}}
{{- $mount := dict "name" "scratch" "mountPath" "/linked" "subPath" "cache" }}
{{- $resources := dict "requests" (dict "cpu" "10m" "memory" "32Mi") "limits" (dict "memory" "64Mi") }}
{{- $security := include "betaearth.securityContext" . | fromYaml }}
{{- $link := dict "name" "weights" "image" (include "betaearth.image" .) "imagePullPolicy" .Values.image.pullPolicy }}
{{- $_ := set $link "command" (list "ln" "-sfn" "/cache/weights" "/linked/weights") }}
{{- merge $link (dict "volumeMounts" (list $mount) "resources" $resources "securityContext" $security) | toJson }}
{{- end }}

{{/*
What of a pod's spec is told without its containers: where it runs, as whom, and what it may pull.
Takes root, pods, attempt, tolerations and priorityClassName.
*/}}
{{- define "betaearth.placement" -}}
{{- $values := .root.Values }}
{{- $attempt := .attempt | default dict }}
{{- /* The kubelet would name a Service's address BETAEARTH_..., which betaearth refuses as an unknown setting. */}}
{{- $spec := dict "enableServiceLinks" false "terminationGracePeriodSeconds" (int .pods.terminationGracePeriodSeconds) }}
{{- with merge (dict) ($attempt.nodeSelector | default dict) .pods.nodeSelector }}{{ $_ := set $spec "nodeSelector" . }}{{ end }}
{{- with .tolerations }}{{ $_ := set $spec "tolerations" . }}{{ end }}
{{- with $attempt.affinity | default .pods.affinity }}{{ $_ := set $spec "affinity" . }}{{ end }}
{{- with .priorityClassName }}{{ $_ := set $spec "priorityClassName" . }}{{ end }}
{{- with $values.imagePullSecrets }}{{ $_ := set $spec "imagePullSecrets" . }}{{ end }}
{{- with $values.podSecurityContext }}{{ $_ := set $spec "securityContext" . }}{{ end }}
{{- $spec | toJson }}
{{- end }}

{{/* A tile pod; takes root and attempt. */}}
{{- define "betaearth.tilePod" -}}
{{- $values := .root.Values }}
{{- $class := $values.tile.priorityClassName | default (ternary $values.priorityClass.name "" $values.priorityClass.create) }}
{{- $device := ternary "cuda" "cpu" $values.gpu.enabled }}
{{- include "betaearth.pod" (dict "root" .root "pods" $values.tile "attempt" .attempt "gpu" $values.gpu.enabled "device" $device "priorityClassName" $class) }}
{{- end }}

{{- define "betaearth.cpuPod" -}}
{{- include "betaearth.pod" (dict "root" . "pods" .Values.cpu "priorityClassName" .Values.cpu.priorityClassName) }}
{{- end }}

{{/* A pod that waits for a shard: Argo's executor is its only container, and has neither our resources nor our volumes. */}}
{{- define "betaearth.shardPod" -}}
{{- $cpu := .Values.cpu }}
{{- include "betaearth.placement" (dict "root" . "pods" $cpu "tolerations" $cpu.tolerations "priorityClassName" $cpu.priorityClassName) }}
{{- end }}
