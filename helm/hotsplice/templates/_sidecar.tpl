{{- /*
The library. Each takes a dict as README.md has it, the same for all of one pod:

  initContainers:
    {{- include "hotsplice.sidecar" $proxy | nindent 8 }}

With native: false it is an item of containers.
*/ -}}
{{- define "hotsplice.sidecar" -}}
{{- $s := fromYaml (include "hotsplice.settings" .) -}}
- name: {{ $s.name }}
  image: {{ include "hotsplice.image" $s.image | quote }}
  imagePullPolicy: {{ $s.image.pullPolicy }}
  {{- if $s.native }}
  # Starts before the application and ends after it, and never keeps a Job from finishing.
  restartPolicy: Always
  {{- end }}
  args: [run]
  # In the environment, so that what is run by kubectl exec finds the process too.
  env:
    {{- if $s.config.configMap }}
    - name: HOTSPLICE_CONFIG
      value: /etc/hotsplice/config{{ with $s.config.file }}/{{ . }}{{ end }}
    {{- end }}
    - name: HOTSPLICE_STATE_DIR
      value: /var/lib/hotsplice/state
    - name: HOTSPLICE_TELEMETRY
      value: {{ printf "%s:%d" $s.address (int $s.telemetryPort) | quote }}
    - name: HOTSPLICE_ADMIN
      {{- if eq $s.admin.listen "socket" }}
      value: unix:/run/hotsplice/admin.sock
      {{- else if eq $s.admin.listen "loopback" }}
      value: {{ printf "127.0.0.1:%d" (int $s.admin.port) | quote }}
      {{- else }}
      value: {{ printf "%s:%d" $s.address (int $s.admin.port) | quote }}
      {{- end }}
    {{- if ne $s.admin.listen "socket" }}
    - name: HOTSPLICE_ADMIN_TOKEN_FILE
      value: /etc/hotsplice/admin/tokens
    - name: HOTSPLICE_TOKEN_FILE
      value: /etc/hotsplice/admin/token
    {{- end }}
    {{- if $s.secrets }}
    - name: HOTSPLICE_SECRETS_DIR
      value: /etc/hotsplice/secrets
    {{- end }}
    - name: HOTSPLICE_DRAIN_TIMEOUT
      value: {{ $s.drain.timeoutSeconds }}s
    - name: HOTSPLICE_DRAIN_ACCEPT
      value: {{ $s.drain.propagationSeconds }}s
    {{- with $s.endpointDeny }}
    - name: HOTSPLICE_ENDPOINT_DENY
      value: {{ . | quote }}
    {{- end }}
    - name: HOTSPLICE_ACCESS_LOG
      value: {{ $s.accessLog | quote }}
    - name: HOTSPLICE_LOG_LEVEL
      value: {{ $s.logLevel | quote }}
    {{- with $s.env }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  ports:
    {{- range $name, $port := $s.ports }}
    - {name: {{ $name }}, containerPort: {{ int $port }}, protocol: TCP}
    {{- end }}
    - {name: hs-telemetry, containerPort: {{ int $s.telemetryPort }}, protocol: TCP}
    {{- if eq $s.admin.listen "pod" }}
    - {name: hs-admin, containerPort: {{ int $s.admin.port }}, protocol: TCP}
    {{- end }}
  # Native, it keeps the application from starting until all listeners serve.
  startupProbe:
    httpGet: {path: /readyz, port: hs-telemetry}
    periodSeconds: 1
    timeoutSeconds: 2
    failureThreshold: 60
  readinessProbe:
    httpGet: {path: /readyz, port: hs-telemetry}
    periodSeconds: 5
    timeoutSeconds: 2
    failureThreshold: 1
  livenessProbe:
    httpGet: {path: /livez, port: hs-telemetry}
    periodSeconds: 10
    timeoutSeconds: 5
    failureThreshold: 3
  lifecycle:
    preStop:
      # SIGTERM comes only after the application has ended: too late to begin.
      exec: {command: [hotsplice, drain, --wait]}
  resources:
    {{- toYaml $s.resources | nindent 4 }}
  securityContext:
    {{- toYaml $s.securityContext | nindent 4 }}
  terminationMessagePolicy: FallbackToLogsOnError
  volumeMounts:
    - {name: hotsplice-run, mountPath: /run/hotsplice}
    - {name: hotsplice-state, mountPath: /var/lib/hotsplice}
    {{- if $s.config.configMap }}
    # The folder, never a subPath: that would not follow changes.
    - {name: hotsplice-config, mountPath: /etc/hotsplice/config, readOnly: true}
    {{- end }}
    {{- if ne $s.admin.listen "socket" }}
    - {name: hotsplice-admin, mountPath: /etc/hotsplice/admin, readOnly: true}
    {{- end }}
    {{- if $s.secrets }}
    - {name: hotsplice-secrets, mountPath: /etc/hotsplice/secrets, readOnly: true}
    {{- end }}
    {{- with $s.volumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{- /* What the sidecar mounts: items of volumes. */ -}}
{{- define "hotsplice.volumes" -}}
{{- $s := fromYaml (include "hotsplice.settings" .) -}}
- name: hotsplice-run
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
- name: hotsplice-state
  emptyDir: {sizeLimit: 64Mi}
{{- with $s.config.configMap }}
- name: hotsplice-config
  configMap: {name: {{ . }}}
{{- end }}
{{- if ne $s.admin.listen "socket" }}
- name: hotsplice-admin
  secret: {secretName: {{ $s.admin.secret }}}
{{- end }}
{{- with $s.secrets }}
- name: hotsplice-secrets
  secret: {secretName: {{ . }}}
{{- end }}
{{- end }}

{{- /* Where to scrape, for a Prometheus that goes by annotations. */ -}}
{{- define "hotsplice.podAnnotations" -}}
{{- $s := fromYaml (include "hotsplice.settings" .) -}}
{{- if $s.scrapeAnnotations -}}
prometheus.io/scrape: "true"
prometheus.io/port: {{ int $s.telemetryPort | quote }}
prometheus.io/path: /metrics
{{- end }}
{{- end }}

{{- /*
The application's lifecycle: it stops once the proxy is done, or it would die under it. The kubelet
runs this before a restart of the application alone, too: then no drain begins, and it goes on.
*/ -}}
{{- define "hotsplice.appLifecycle" -}}
{{- $s := fromYaml (include "hotsplice.settings" .) -}}
preStop:
  httpGet:
    path: /drained?wait={{ add $s.drain.timeoutSeconds 2 }}s&begin=5s
    port: {{ int $s.telemetryPort }}
{{- end }}

{{- /* How long the kubelet has to wait: the pod's terminationGracePeriodSeconds. */ -}}
{{- define "hotsplice.terminationGracePeriodSeconds" -}}
{{- $s := fromYaml (include "hotsplice.settings" .) -}}
{{ int $s.graceSeconds }}
{{- end }}

{{- /* The ports that others reach of a document's listeners, by name: for `ports`. Takes the document. */ -}}
{{- define "hotsplice.ports" -}}
{{- $names := dict -}}
{{- $listeners := default dict .listeners -}}
{{- if not (kindIs "map" $listeners) -}}
{{- fail (printf "hotsplice: listeners: they stand by name, not as %v" $listeners) -}}
{{- end -}}
{{- range $listener, $settings := $listeners -}}
{{- if not (kindIs "map" $settings) -}}
{{- fail (printf "hotsplice: listeners.%s: a map with `bind` is wanted, not %v" $listener $settings) -}}
{{- end -}}
{{- $bind := toString (get $settings "bind") -}}
{{- if not (regexMatch "^(unix:|127\\.|\\[::1\\]:|localhost:)" $bind) -}}
{{- $port := regexFind "[0-9]+$" $bind -}}
{{- if or (not (regexMatch ":[0-9]+$" $bind)) (eq $port "0") -}}
{{- fail (printf "hotsplice: listeners.%s.bind: %q has no port that a Service could lead to" $listener $bind) -}}
{{- end -}}
{{- $name := regexReplaceAll "[^a-z0-9]+" (lower $listener) "-" | trimAll "-" | trunc 15 | trimSuffix "-" -}}
{{- if hasKey $names $name -}}
{{- fail (printf "hotsplice: listeners.%s: its port would be named %q like another listener's" $listener $name) -}}
{{- end -}}
{{- $_ := set $names $name (atoi $port) -}}
{{- end -}}
{{- end -}}
{{- toYaml $names -}}
{{- end }}

{{- define "hotsplice.image" -}}
{{- .repository }}{{ with .tag }}:{{ . }}{{ end }}{{ with .digest }}@{{ . }}{{ end }}
{{- end }}
