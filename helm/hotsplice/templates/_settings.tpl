{{- /*
A sidecar's dict over the defaults, checked: what every helper works with. No schema looks at what
another chart gives, so what is wrong is said here.

Derived from it: drain.timeoutSeconds, what the drain may take as a whole, and graceSeconds, what
the pod needs from its deletion to its end. Everything in the pod has to fit into that one budget:
the drain (first new connections while the news spreads, then the end of the old ones), two seconds
for the kubelet to start it and to tell the application, then the application's own stop.
*/ -}}
{{- define "hotsplice.settings" -}}
{{- $defaults := fromYaml (include "hotsplice.defaults" dict) -}}
{{- $given := deepCopy (default dict .) -}}
{{- include "hotsplice.known" (dict "given" $given "known" $defaults "where" "") -}}
{{- range $key := list "image" "config" "admin" "drain" -}}
{{- if hasKey $given $key -}}
{{- include "hotsplice.known" (dict "given" (get $given $key) "known" (get $defaults $key) "where" (print $key ".")) -}}
{{- end -}}
{{- end -}}
{{- $s := mergeOverwrite $defaults $given -}}
{{- range $key, $value := $s.securityContext -}}
{{- if kindIs "invalid" $value -}}
{{- $_ := unset $s.securityContext $key -}}
{{- end -}}
{{- end -}}
{{- range $key, $least := dict "propagationSeconds" 0 "connectionsSeconds" 1 "appStopSeconds" 0 -}}
{{- $value := get $s.drain $key -}}
{{- if or (not (regexMatch "^[0-9]+$" (toString $value))) (lt (int $value) $least) -}}
{{- fail (printf "hotsplice: drain.%s: %v is no whole number of seconds from %d on" $key $value $least) -}}
{{- end -}}
{{- end -}}
{{- $timeout := add $s.drain.propagationSeconds $s.drain.connectionsSeconds -}}
{{- $_ := set $s.drain "timeoutSeconds" $timeout -}}
{{- $_ := set $s "graceSeconds" (add $timeout 2 $s.drain.appStopSeconds) -}}
{{- if not (has $s.admin.listen (list "socket" "loopback" "pod")) -}}
{{- fail (printf "hotsplice: admin.listen: %q is none of socket, loopback, pod" (toString $s.admin.listen)) -}}
{{- end -}}
{{- if and (ne $s.admin.listen "socket") (not $s.admin.secret) -}}
{{- fail (printf "hotsplice: admin.listen: %s needs a token: name a Secret with the keys tokens and token in admin.secret" $s.admin.listen) -}}
{{- end -}}
{{- if and $s.config.file (not $s.config.configMap) -}}
{{- fail "hotsplice: config.file: it is a key of the ConfigMap, so config.configMap has to name one" -}}
{{- end -}}
{{- if not (or $s.image.tag $s.image.digest) -}}
{{- fail (printf "hotsplice: image: which version of %s? There is neither tag nor digest" $s.image.repository) -}}
{{- end -}}
{{- range $s.env -}}
{{- if and (hasPrefix "HOTSPLICE_" .name) (has (trimPrefix "HOTSPLICE_" .name) (list "CONFIG" "STATE_DIR" "TELEMETRY" "ADMIN" "ADMIN_TOKEN_FILE" "TOKEN_FILE" "SECRETS_DIR" "DRAIN_TIMEOUT" "DRAIN_ACCEPT" "ENDPOINT_DENY" "ACCESS_LOG" "LOG_LEVEL")) -}}
{{- fail (printf "hotsplice: env: %s is set by the chart; there is a key for what it says" .name) -}}
{{- end -}}
{{- end -}}
{{- include "hotsplice.distinct" $s -}}
{{- toYaml $s -}}
{{- end }}

{{- define "hotsplice.known" -}}
{{- if not (kindIs "map" .given) -}}
{{- fail (printf "hotsplice: %s: a map is wanted, not %v" (trimSuffix "." .where | default "the sidecar") .given) -}}
{{- end -}}
{{- $where := .where -}}
{{- $known := .known -}}
{{- range $key := keys .given | sortAlpha -}}
{{- if not (hasKey $known $key) -}}
{{- fail (printf "hotsplice: unknown key '%s%s'; there are %s" $where $key (keys $known | sortAlpha | join ", ")) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- /* No two listeners of a pod may have one port, no two ports one name. */ -}}
{{- define "hotsplice.distinct" -}}
{{- $taken := dict (toString (int .telemetryPort)) "telemetryPort" -}}
{{- if ne .admin.listen "socket" -}}
{{- if hasKey $taken (toString (int .admin.port)) -}}
{{- fail (printf "hotsplice: admin.port: %d is the telemetryPort" (int .admin.port)) -}}
{{- end -}}
{{- $_ := set $taken (toString (int .admin.port)) "admin.port" -}}
{{- end -}}
{{- range $name, $port := .ports -}}
{{- if or (gt (len $name) 15) (not (regexMatch "^[a-z0-9]+(-[a-z0-9]+)*$" $name)) (not (regexMatch "[a-z]" $name)) (hasPrefix "hs-" $name) -}}
{{- fail (printf "hotsplice: ports: %q cannot be a port's name: at most 15 of a-z, 0-9 and -, with a letter, and hs- is ours" $name) -}}
{{- end -}}
{{- $number := toString (int $port) -}}
{{- if or (lt (int $port) 1) (gt (int $port) 65535) -}}
{{- fail (printf "hotsplice: ports.%s: %v is no port" $name $port) -}}
{{- end -}}
{{- if hasKey $taken $number -}}
{{- fail (printf "hotsplice: ports.%s: %s is %s already" $name $number (get $taken $number)) -}}
{{- end -}}
{{- $_ := set $taken $number (print "ports." $name) -}}
{{- end -}}
{{- end }}
