{{/* name, component of this chart's own objects: (dict "root" . "component" "redis") */}}
{{- define "christmas.selector" -}}
app.kubernetes.io/name: christmas
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{- define "christmas.labels" -}}
{{ include "christmas.selector" . }}
app.kubernetes.io/part-of: christmas
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{/* (dict "root" . "image" .Values.images.redis) */}}
{{- define "christmas.image" -}}
{{- $image := .image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "christmas.storesSecret" -}}
{{ .Values.stores.existingSecret | default "christmas-stores" }}
{{- end }}

{{/* Pod Security "restricted", for pods; the argument is the user id */}}
{{- define "christmas.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "christmas.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* What all pods of the chart have in common */}}
{{- define "christmas.scheduling" -}}
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "christmas.priority" -}}
{{- if .Values.priorityClass.create }}
priorityClassName: {{ .Values.priorityClass.name }}
{{- end }}
{{- end }}

{{- define "christmas.scrape" -}}
prometheus.io/scrape: "true"
prometheus.io/port: "9400"
prometheus.io/path: /metrics
{{- end }}

{{/* Probes of a process that serves /healthz and /readyz on its port named http */}}
{{- define "christmas.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 2
  timeoutSeconds: 3
{{- end }}

{{/* Peers: pods of the fleet in every namespace that the operator watches; the argument: (dict "root" . "components" list) */}}
{{- define "christmas.fleetPeers" -}}
- podSelector:
    matchLabels: {app.kubernetes.io/name: christmas}
    matchExpressions:
      - {key: app.kubernetes.io/component, operator: In, values: {{ .components | toJson }}}
  namespaceSelector:
    {{- if .root.Values.operator.clusterWide }} {}
    {{- else }}
    matchExpressions:
      - key: kubernetes.io/metadata.name
        operator: In
        values: {{ append (include "christmas.namespaces" .root | fromJsonArray) .root.Release.Namespace | uniq | toJson }}
    {{- end }}
{{- end }}

{{/* The namespaces that the operator watches, as JSON; none: all */}}
{{- define "christmas.namespaces" -}}
{{- if .Values.operator.clusterWide -}}
[]
{{- else -}}
{{ .Values.operator.namespaces | default (list .Release.Namespace) | toJson }}
{{- end -}}
{{- end }}

{{- define "christmas.dnsEgress" -}}
- to:
    - namespaceSelector: {matchLabels: {{ .Values.networkPolicies.dns.namespaceLabels | toJson }}}
      podSelector: {matchLabels: {{ .Values.networkPolicies.dns.podLabels | toJson }}}
  ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- end }}

{{- define "christmas.metricsIngress" -}}
- ports: [{protocol: TCP, port: 9400}]
  {{- with .Values.networkPolicies.metricsFrom }}
  from: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* The API server is at no address that a chart could know */}}
{{- define "christmas.apiEgress" -}}
- ports:
    - {protocol: TCP, port: 443}
    - {protocol: TCP, port: 6443}
{{- end }}

{{- define "christmas.redisEgress" -}}
{{- if .Values.redis.enabled }}
- to: [{podSelector: {matchLabels: {{ include "christmas.selector" (dict "root" . "component" "redis") | fromYaml | toJson }}}}]
  ports: [{protocol: TCP, port: 6379}]
{{- else }}
- ports: [{protocol: TCP, port: {{ include "christmas.portOf" (dict "url" .Values.redis.url "default" 6379) }}}]
{{- end }}
{{- end }}

{{- define "christmas.databaseEgress" -}}
{{- if .Values.timescaledb.enabled }}
- to: [{podSelector: {matchLabels: {{ include "christmas.selector" (dict "root" . "component" "timescaledb") | fromYaml | toJson }}}}]
  ports: [{protocol: TCP, port: 5432}]
{{- else }}
- ports: [{protocol: TCP, port: {{ include "christmas.portOf" (dict "url" .Values.timescaledb.url "default" 5432) }}}]
{{- end }}
{{- end }}

{{- define "christmas.portOf" -}}
{{- regexFind ":[0-9]+$" (get (urlParse .url) "host" | default "") | trimPrefix ":" | default .default -}}
{{- end }}

{{/* Whether objects of a CRD are rendered: (dict "root" . "choice" "auto" "kind" "PodMonitor") gives "yes" or "" */}}
{{- define "christmas.wants" -}}
{{- if or (eq .choice "always") (and (eq .choice "auto") (.root.Capabilities.APIVersions.Has (printf "monitoring.coreos.com/v1/%s" .kind))) -}}
yes
{{- end -}}
{{- end }}

{{/* `helm test` asks how the others are */}}
{{- define "christmas.testIngress" -}}
- from: [{podSelector: {matchLabels: {{ include "christmas.selector" (dict "root" . "component" "test") | fromYaml | toJson }}}}]
  ports: [{protocol: TCP, port: 9400}]
{{- end }}

{{/* What the operator may do where it watches; christmas_operator/kube/kinds.py lists the kinds */}}
{{- define "christmas.operatorRules" -}}
- apiGroups: [christmas.dev]
  resources: [strategies, brokers]
  verbs: [get, list, watch, patch]
- apiGroups: [christmas.dev]
  resources: [strategies/status, brokers/status, strategies/finalizers, brokers/finalizers]
  verbs: [get, patch, update]
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: &owned [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [configmaps, secrets, services]
  verbs: *owned
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: *owned
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: *owned
- apiGroups: [monitoring.coreos.com]
  resources: [podmonitors]
  verbs: *owned
# A pod is deleted to be rolled; the StatefulSet makes the next one.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, delete]
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{/* As christmas_operator/main.py chooses: its own where it watches that, else the first that it watches */}}
{{- define "christmas.canaryNamespace" -}}
{{- $watched := include "christmas.namespaces" . | fromJsonArray -}}
{{- if or (empty $watched) (has .Release.Namespace $watched) }}{{ .Release.Namespace }}{{ else }}{{ first $watched }}{{ end -}}
{{- end }}
