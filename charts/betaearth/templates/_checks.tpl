{{/* What the schema cannot say readably: values that do not go together. */}}
{{- define "betaearth.checks" -}}
{{- $values := .Values }}
{{- if and $values.image.tag $values.image.digest }}
{{- fail "image.tag and image.digest are both given: give the digest alone, or the tag alone" }}
{{- end }}
{{- range $name, $value := merge (dict) $values.settings $values.environment }}
{{- if regexMatch "://[^/?#]*@" (toString $value) }}
{{- fail (printf "%s holds an address with credentials: leave it out here, and put it into the Secret betaearth-secrets" $name) }}
{{- end }}
{{- end }}
{{- range $name, $value := $values.settings }}
{{- if hasSuffix "_TOKEN" $name }}
{{- fail (printf "settings.%s is a credential, which no value may hold: put it into the Secret betaearth-secrets, under the same name" $name) }}
{{- end }}
{{- end }}
{{- range $name, $value := $values.environment }}
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
