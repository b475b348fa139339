{{- define "ai-nexus.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "ai-nexus.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains (include "ai-nexus.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "ai-nexus.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "ai-nexus.namespace" -}}
{{- .Values.namespace.name | default .Release.Namespace -}}
{{- end -}}

{{/* What never changes, for selectors: give it a dict of root and component. */}}
{{- define "ai-nexus.selector" -}}
app.kubernetes.io/name: {{ include "ai-nexus.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "ai-nexus.labels" -}}
{{ include "ai-nexus.selector" . }}
app.kubernetes.io/part-of: ai-nexus
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "ai-nexus.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- define "ai-nexus.podSecurity" -}}
runAsNonRoot: true
runAsUser: 1000
runAsGroup: 1000
fsGroup: 1000
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "ai-nexus.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* For Prometheus that finds pods by annotation. */}}
{{- define "ai-nexus.scraped" -}}
prometheus.io/scrape: "true"
prometheus.io/port: {{ . | quote }}
prometheus.io/path: /metrics
{{- end -}}

{{/* Where a pod may stand: give it the values of its component. */}}
{{- define "ai-nexus.standing" -}}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 0 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* What the controller gives NexusJobs that leave it out. */}}
{{- define "ai-nexus.jobDefaults" -}}
{{ dict "gpu" (pick .Values.gpu "count" "memory" "model" "runtimeClassName") "distributed" .Values.distributed | toYaml }}
{{- end -}}

{{- define "ai-nexus.account" -}}
{{- if .root.Values.serviceAccount.create -}}
{{ include "ai-nexus.fullname" .root }}-{{ .component }}
{{- else -}}
default
{{- end -}}
{{- end -}}

{{/* "yes" where this release owns the group of custom metrics, or nobody does. */}}
{{- define "ai-nexus.ownsMetrics" -}}
{{- if eq .Values.autoscaling.metrics "builtin" -}}
{{- $there := lookup "apiregistration.k8s.io/v1" "APIService" "" "v1beta2.custom.metrics.k8s.io" -}}
{{- if not $there -}}
yes
{{- else if eq (dig "metadata" "annotations" "meta.helm.sh/release-name" "" $there) .Release.Name -}}
yes
{{- end -}}
{{- end -}}
{{- end -}}
