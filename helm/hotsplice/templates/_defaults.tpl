{{- /*
What the sidecar is unless it is told otherwise. Only here: values.yaml has none of it, because
another chart that uses this one as a library brings no values of ours. README.md has every key.
*/ -}}
{{- define "hotsplice.defaults" -}}
name: hotsplice
native: true
image:
  repository: hotsplice
  tag: "0.1.0"
  digest: ""
  pullPolicy: IfNotPresent
config:
  configMap: ""
  file: ""
ports: {}
address: "0.0.0.0"
telemetryPort: 9902
admin:
  listen: socket
  port: 9901
  secret: ""
drain:
  propagationSeconds: 5
  connectionsSeconds: 20
  appStopSeconds: 3
secrets: ""
endpointDeny: ""
accessLog: errors
logLevel: info
scrapeAnnotations: true
resources:
  requests: {cpu: 50m, memory: 96Mi}
  limits: {memory: 256Mi}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
  seccompProfile: {type: RuntimeDefault}
env: []
volumeMounts: []
{{- end }}
