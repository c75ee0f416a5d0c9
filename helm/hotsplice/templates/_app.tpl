{{- /* The container behind the proxy: yours, or the demo out of our own image. */ -}}
{{- define "hotsplice.app" -}}
{{- $proxy := fromYaml (include "hotsplice.proxy" .) -}}
{{- $app := .Values.app -}}
{{- $demo := not $app.image.repository -}}
{{- $port := int $app.port -}}
- name: app
  {{- if $demo }}
  image: {{ include "hotsplice.image" (fromYaml (include "hotsplice.settings" $proxy)).image | quote }}
  imagePullPolicy: {{ (fromYaml (include "hotsplice.settings" $proxy)).image.pullPolicy }}
  args: [demo, --listen, "127.0.0.1:{{ $port }}", --admin, "unix:/tmp/admin.sock", --telemetry, "127.0.0.1:0"]
  {{- else }}
  {{- if not (or $app.image.tag $app.image.digest) }}
  {{- fail (printf "hotsplice: app.image.tag: which version of %s?" $app.image.repository) }}
  {{- end }}
  image: {{ include "hotsplice.image" $app.image | quote }}
  imagePullPolicy: {{ $app.image.pullPolicy }}
  {{- with $app.command }}
  command:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $app.args }}
  args:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
  {{- with $app.env }}
  env:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $app.envFrom }}
  envFrom:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- range $probe := list "startupProbe" "readinessProbe" "livenessProbe" }}
  {{- with get $app $probe }}
  {{ $probe }}:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
  lifecycle:
    {{- include "hotsplice.appLifecycle" $proxy | nindent 4 }}
  resources:
    {{- toYaml $app.resources | nindent 4 }}
  securityContext:
    {{- if $demo }}
    readOnlyRootFilesystem: true
    runAsUser: 65532
    runAsGroup: 65532
    {{- end }}
    {{- toYaml $app.securityContext | nindent 4 }}
  {{- if or $demo $app.volumeMounts }}
  volumeMounts:
    {{- if $demo }}
    - {name: demo, mountPath: /tmp}
    {{- end }}
    {{- with $app.volumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
{{- end }}
