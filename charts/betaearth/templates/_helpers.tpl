{{/* Labels of every object that the chart itself makes. */}}
{{- define "betaearth.labels" -}}
app.kubernetes.io/name: betaearth
app.kubernetes.io/part-of: betaearth
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
{{- end }}

{{/* What tells the web server's pods from those of workflows. */}}
{{- define "betaearth.webSelector" -}}
app.kubernetes.io/name: betaearth
app.kubernetes.io/component: web
{{- end }}

{{- define "betaearth.image" -}}
{{- $image := .Values.image }}
{{- if $image.digest }}
{{- printf "%s@%s" $image.repository $image.digest }}
{{- else }}
{{- printf "%s:%s" $image.repository ($image.tag | default (printf "%s-%s" .Chart.AppVersion (ternary "cuda" "cpu" .Values.gpu.enabled))) }}
{{- end }}
{{- end }}

{{/* A value as an environment variable says it: 4000000, not 4e+06. */}}
{{- define "betaearth.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- end }}

{{- define "betaearth.store" -}}
{{- .Values.web.store | default .Values.settings.BETAEARTH_STORE }}
{{- end }}

{{/* The port of an S3 endpoint of one's own; empty where there is none. */}}
{{- define "betaearth.storePort" -}}
{{- with .Values.settings.BETAEARTH_S3__ENDPOINT }}
{{- $host := urlParse . }}
{{- regexFind "[0-9]+$" (regexFind ":[0-9]+$" $host.host) | default (ternary "80" "443" (eq $host.scheme "http")) }}
{{- end }}
{{- end }}

{{/* The scratch volume, and the cache where it is a volume. */}}
{{- define "betaearth.scratch" -}}
{{- $emptyDir := dict "sizeLimit" .Values.scratch.size }}
{{- with .Values.scratch.medium }}{{ $_ := set $emptyDir "medium" . }}{{ end }}
{{- dict "name" "scratch" "emptyDir" $emptyDir | toJson }}
{{- end }}
{{- define "betaearth.cache" -}}
{{- $cache := .Values.cache }}
{{- if eq $cache.type "persistentVolumeClaim" }}
{{- dict "name" "cache" "persistentVolumeClaim" (dict "claimName" $cache.claimName "readOnly" true) | toJson }}
{{- else }}
{{- dict "name" "cache" "emptyDir" (dict "sizeLimit" $cache.size) | toJson }}
{{- end }}
{{- end }}

{{/* The restricted Pod Security Standard, for pods that the chart itself makes. */}}
{{- define "betaearth.podSecurityContext" -}}
{{- $context := dict "runAsNonRoot" true "seccompProfile" (dict "type" "RuntimeDefault") }}
{{- merge $context .Values.podSecurityContext | toYaml }}
{{- end }}
{{- define "betaearth.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}
