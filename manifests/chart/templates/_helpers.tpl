{{/* The application's name. */}}
{{- define "bundle.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The beginning of the objects' names: the release's name, with the chart's if that is not in it. 40 characters leave
     room for what is added, since a CronJob's name has at most 52. */}}
{{- define "bundle.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "bundle.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "bundle.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The labels that do not change for as long as an object lives: dict "root" $ "component" NAME. */}}
{{- define "bundle.selectorLabels" -}}
app.kubernetes.io/name: {{ include "bundle.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "bundle.commonLabels" -}}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: bundle
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "bundle.labels" -}}
{{ include "bundle.selectorLabels" . }}
{{ include "bundle.commonLabels" . }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{/* The same without the chart's version, of which pods are no part. */}}
{{- define "bundle.podMetadata" -}}
labels:
  {{- include "bundle.selectorLabels" . | nindent 2 }}
  {{- include "bundle.commonLabels" . | nindent 2 }}
  {{- with .root.Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .root.Values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* An image's name: dict "image" IMAGE "tag" DEFAULT. */}}
{{- define "bundle.image" -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" .image.repository (default .tag .image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The fields of a container that name its image: the same. */}}
{{- define "bundle.containerImage" -}}
image: {{ include "bundle.image" . | quote }}
{{- with .image.pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
{{- end -}}

{{/* What all pods have. */}}
{{- define "bundle.podSpec" -}}
automountServiceAccountToken: false
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* The name of the ConfigMap with a job's certificate authority, or nothing: dict "root" $ "job" NAME. */}}
{{- define "bundle.ca" -}}
{{- $ca := (index .root.Values .job).ca -}}
{{- if $ca.configMap -}}
{{- $ca.configMap -}}
{{- else if $ca.certificate -}}
{{- printf "%s-%s-ca" (include "bundle.fullname" .root) .job -}}
{{- end -}}
{{- end -}}

{{/* The far side's volume, service account and files: the job has them, and so do the seed and the Indexed Job. */}}
{{- define "bundle.farSide" -}}
{{- if or .Values.import.enabled .Values.serve.enabled .Values.importJob.enabled -}}true{{- end -}}
{{- end -}}

{{- define "bundle.inbox" -}}
{{- default (printf "%s-inbox" (include "bundle.fullname" .)) .Values.import.persistence.existingClaim -}}
{{- end -}}

{{- define "bundle.outbox" -}}
{{- default (printf "%s-outbox" (include "bundle.fullname" .)) .Values.export.persistence.existingClaim -}}
{{- end -}}
