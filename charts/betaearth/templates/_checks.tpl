{{/* What the schema cannot say readably: values that do not go together. */}}
{{- define "betaearth.checks" -}}
{{- $values := .Values }}
{{- if and $values.image.tag $values.image.digest }}
{{- fail "image.tag and image.digest are both given: give the digest alone, or the tag alone" }}
{{- end }}
{{- $repository := $values.image.repository }}
{{- if contains "@" $repository }}
{{- fail (printf "image.repository %s holds a digest: give what stands before @ alone, and the digest by image.digest" $repository) }}
{{- end }}
{{- if contains ":" (last (splitList "/" $repository)) }}
{{- fail (printf "image.repository %s holds a tag: give what stands before it alone, and the tag by image.tag, or better image.digest" $repository) }}
{{- end }}
{{- if not (regexMatch "^([A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?(:[0-9]+)?/)?[a-z0-9]([-a-z0-9._]*[a-z0-9])?(/[a-z0-9]([-a-z0-9._]*[a-z0-9])?)*$" $repository) }}
{{- fail (printf "image.repository %s is no name of an image: give registry/name in lower case, such as registry.example.org/team/betaearth" $repository) }}
{{- end }}
{{- range $name, $value := merge (dict) $values.settings $values.environment }}
{{- if regexMatch "://[^/?#]*@" (toString $value) }}
{{- fail (printf "%s holds an address with credentials: leave it out here, and put it into the Secret betaearth-secrets" $name) }}
{{- end }}
{{- end }}
{{- range $name, $value := $values.settings }}
{{- if hasSuffix "_TOKEN" $name }}
{{- fail (printf "settings.%s is a credential of whoever submits, which no pod needs: set ARGO_TOKEN in the shell that submits, and leave it out here and in Secrets of pods" $name) }}
{{- end }}
{{- end }}
{{- include "betaearth.settingsChecks" $values.settings }}
{{- range $name, $value := $values.environment }}
{{- if eq $name "ARGO_TOKEN" }}
{{- fail "environment.ARGO_TOKEN is a credential of whoever submits, which no pod needs: set it in the shell that submits" }}
{{- end }}
{{- if hasPrefix "BETAEARTH_" $name }}
{{- fail (printf "environment.%s is a setting of betaearth: it belongs into settings" $name) }}
{{- end }}
{{- if and (not (hasSuffix "_FILE" $name)) (regexMatch "(?i)SECRET|TOKEN|PASSWORD|CREDENTIAL|_KEY$|_KEY_ID$" $name) }}
{{- fail (printf "environment.%s looks like a credential, which no value may hold: put it into the Secret betaearth-secrets" $name) }}
{{- end }}
{{- end }}
{{- if and (eq $values.cache.type "persistentVolumeClaim") (not $values.cache.claimName) }}
{{- fail "cache.type is persistentVolumeClaim, but cache.claimName is empty: name the claim that holds the weights" }}
{{- end }}
{{- if and (ne $values.cache.type "persistentVolumeClaim") $values.cache.claimName }}
{{- fail (printf "cache.claimName is given, but cache.type is %s: set it to persistentVolumeClaim" $values.cache.type) }}
{{- end }}
{{- if and $values.web.enabled (not (include "betaearth.store" .)) }}
{{- fail "web.enabled needs a store to serve: set settings.BETAEARTH_STORE or web.store" }}
{{- end }}
{{- if and $values.web.ingress.enabled (not $values.web.ingress.host) }}
{{- fail "web.ingress.enabled needs web.ingress.host" }}
{{- end }}
{{- if and $values.web.ingress.enabled (not $values.web.enabled) }}
{{- fail "web.ingress.enabled needs web.enabled: there is nothing to route to" }}
{{- end }}
{{- if and $values.argo.install (not (.Files.Glob "files/argo/*.yaml")) }}
{{- fail "the chart lacks files/argo, a link to argo/: check the repository out with symbolic links, or use a packaged chart" }}
{{- end }}
{{- end }}

{{/* What the settings' types do not say: numbers that fit a lattice, or each other. Empty ones are the software's own. */}}
{{- define "betaearth.settingsChecks" -}}
{{- with .BETAEARTH_SPACING_KM }}
{{- if or (lt (float64 .) 0.2) (gt (float64 .) 1000.0) }}
{{- fail (printf "settings.BETAEARTH_SPACING_KM is %v: a grid's spacing is 0.2 to 1000 km, and Major TOM's is 10" .) }}
{{- end }}
{{- end }}
{{- with .BETAEARTH_SCENES__HALO }}
{{- if mod (int .) 6 }}
{{- fail (printf "settings.BETAEARTH_SCENES__HALO is %v, which is no multiple of 6 px (60 m)" .) }}
{{- end }}
{{- end }}
{{- $size := int (get . "BETAEARTH_INFERENCE__TILE_SIZE" | toString | default "224") }}
{{- $overlap := int (get . "BETAEARTH_INFERENCE__OVERLAP" | toString | default "112") }}
{{- if or (lt $size 1) (mod $size 32) }}
{{- fail (printf "settings.BETAEARTH_INFERENCE__TILE_SIZE is %d, which is no multiple of 32 px" $size) }}
{{- end }}
{{- if or (lt $overlap 0) (ge $overlap $size) }}
{{- fail (printf "settings.BETAEARTH_INFERENCE__OVERLAP is %d: it is from 0 to below BETAEARTH_INFERENCE__TILE_SIZE, %d" $overlap $size) }}
{{- end }}
{{- with .BETAEARTH_INFERENCE__DEM_RANGE }}
{{- $range := fromJsonArray . }}
{{- if ge (float64 (index $range 0)) (float64 (index $range 1)) }}
{{- fail (printf "settings.BETAEARTH_INFERENCE__DEM_RANGE is %s: give a lower and a higher elevation, in metres" .) }}
{{- end }}
{{- end }}
{{- end }}
