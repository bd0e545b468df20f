{{- define "h" }}<{{ . }}>{{ end }}
{{- define "nl" }}a
b
{{ end }}
{{- define "deep" }}{{ if gt (int .) 0 }}{{ include "deep" (sub (int .) 1) }}x{{ end }}{{ end }}
