{{- define "family.name" -}}family-{{ .Release.Name }}{{- end -}}
{{- define "shared.name" -}}from the parent{{- end -}}
