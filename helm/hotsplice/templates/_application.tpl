{{- define "hotsplice.enabled" -}}
{{- if kindIs "bool" .Values.enabled }}{{ ternary "true" "" .Values.enabled }}{{ else if .Chart.IsRoot }}true{{ end }}
{{- end }}

{{- define "hotsplice.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* Leaves room for what is put behind it. */ -}}
{{- define "hotsplice.fullname" -}}
{{- $name := include "hotsplice.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "hotsplice.selectorLabels" -}}
app.kubernetes.io/name: {{ include "hotsplice.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "hotsplice.testLabels" -}}
app.kubernetes.io/name: {{ include "hotsplice.name" . }}-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "hotsplice.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "hotsplice.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- /* Takes the context and more labels, which do not get in the way of ours. */ -}}
{{- define "hotsplice.labelsAnd" -}}
{{- toYaml (merge (fromYaml (include "hotsplice.labels" (first .))) (last .)) }}
{{- end }}

{{- /* The document: as it is given, or everything to the application. */ -}}
{{- define "hotsplice.document" -}}
{{- if kindIs "string" .Values.config -}}
{{- .Values.config -}}
{{- else if .Values.config -}}
{{- toYaml .Values.config -}}
{{- else -}}
version: 1
listeners:
  public:
    bind: "0.0.0.0:8080"
pools:
  app:
    endpoints:
      "127.0.0.1:{{ int .Values.app.port }}": {}
routes:
  all:
    path: {prefix: /}
    pool: app
{{- end -}}
{{- end }}

{{- define "hotsplice.parsedDocument" -}}
{{- $document := fromYaml (include "hotsplice.document" .) -}}
{{- if hasKey $document "Error" -}}
{{- fail (printf "hotsplice: config: it is no YAML: %s" $document.Error) -}}
{{- end -}}
{{- if not (get $document "listeners") -}}
{{- fail "hotsplice: config: it has no listeners; config is the whole document" -}}
{{- end -}}
{{- toYaml $document -}}
{{- end }}

{{- /* What the library is told of the application's sidecar. */ -}}
{{- define "hotsplice.proxy" -}}
{{- $name := include "hotsplice.fullname" . -}}
{{- $ports := fromYaml (include "hotsplice.ports" (fromYaml (include "hotsplice.parsedDocument" .))) -}}
{{- if not $ports -}}
{{- fail "hotsplice: config: all of its listeners are on loopback or sockets, so no Service could lead to one" -}}
{{- end -}}
{{- range $port, $number := $ports -}}
{{- if eq (int $number) (int $.Values.app.port) -}}
{{- fail (printf "hotsplice: app.port: %d is the port of listener %s; the application needs one of its own" (int $number) $port) -}}
{{- end -}}
{{- end -}}
{{- $sidecar := deepCopy (default dict .Values.sidecar) -}}
{{- $_ := set $sidecar "ports" $ports -}}
{{- $_ := set $sidecar "config" (dict "configMap" (print $name "-config") "file" (ternary "hotsplice.yaml" "" (eq .Values.configOwner "rest"))) -}}
{{- $admin := default dict $sidecar.admin -}}
{{- if and (ne (default "socket" $admin.listen) "socket") (not $admin.secret) -}}
{{- $_ := set $admin "secret" (print $name "-admin") -}}
{{- end -}}
{{- $_ := set $sidecar "admin" $admin -}}
{{- if and .Values.podMonitor.enabled (not (hasKey $sidecar "scrapeAnnotations")) -}}
{{- $_ := set $sidecar "scrapeAnnotations" false -}}
{{- end -}}
{{- if and (eq (toString $admin.listen) "pod") (not .Values.networkPolicy.enabled) -}}
{{- fail "hotsplice: sidecar.admin.listen: pod lets every pod reach the admin API: set networkPolicy.enabled, and in networkPolicy.adminFrom who may, or listen on loopback" -}}
{{- end -}}
{{- $settings := fromYaml (include "hotsplice.settings" $sidecar) -}}
{{- range $key, $number := dict "telemetryPort" $settings.telemetryPort "admin.port" (ternary 0 $settings.admin.port (eq $settings.admin.listen "socket")) -}}
{{- if eq (int $number) (int $.Values.app.port) -}}
{{- fail (printf "hotsplice: app.port: %d is sidecar.%s; the application needs one of its own" (int $number) $key) -}}
{{- end -}}
{{- end -}}
{{- if eq $settings.name "app" -}}
{{- fail "hotsplice: sidecar.name: app is the application's container" -}}
{{- end -}}
{{- toYaml $sidecar -}}
{{- end }}

{{- define "hotsplice.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}{{ default (include "hotsplice.fullname" .) .Values.serviceAccount.name }}
{{- else }}{{ default "default" .Values.serviceAccount.name }}{{ end }}
{{- end }}

{{- define "hotsplice.grace" -}}
{{- $least := int (include "hotsplice.terminationGracePeriodSeconds" (fromYaml (include "hotsplice.proxy" .))) -}}
{{- $given := .Values.pod.terminationGracePeriodSeconds -}}
{{- if kindIs "invalid" $given }}{{ $least }}
{{- else if lt (int $given) $least -}}
{{- fail (printf "hotsplice: pod.terminationGracePeriodSeconds: %d is less than the %d that sidecar.drain needs: propagationSeconds and connectionsSeconds for the drain, 2 to begin it, appStopSeconds for the application. Leave it out, or make those smaller" (int $given) $least) -}}
{{- else }}{{ int $given }}{{ end }}
{{- end }}
