{{- define "shelf.word" -}}{{ .word | upper }}{{- end -}}
