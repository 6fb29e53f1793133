{{- define "enrolment-worker.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* Short enough for the label with which a StatefulSet marks its revisions: 63 less 11. */}}
{{- define "enrolment-worker.fullname" -}}
{{- $name := include "enrolment-worker.name" . }}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) }}
{{- .Values.fullnameOverride | default $full | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "enrolment-worker.selector" -}}
app.kubernetes.io/name: {{ include "enrolment-worker.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "enrolment-worker.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "enrolment-worker.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | trunc 63 | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "enrolment-worker.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "enrolment-worker.fullname" .) "default") }}
{{- end }}

{{- define "enrolment-worker.image" -}}
{{- with .Values.image -}}
{{- ternary (printf "%s@%s" .repository .digest) (printf "%s:%s" .repository (.tag | default $.Chart.AppVersion)) (ne .digest "") }}
{{- end }}
{{- end }}

{{/* A value as the worker reads it: lists with commas, numbers in full, "" for what is left out. */}}
{{- define "enrolment-worker.text" -}}
{{- if kindIs "slice" . }}
{{- $parts := list }}
{{- range . }}{{ $parts = append $parts (include "enrolment-worker.text" .) }}{{ end }}
{{- join "," $parts }}
{{- else if kindIs "string" . }}{{ . }}
{{- else if not (kindIs "invalid" .) }}{{ toJson . }}
{{- end }}
{{- end }}

{{/* Variables from a map of settings; the value of groupId becomes that of ENROLMENT_GROUP_ID. */}}
{{- define "enrolment-worker.variable" -}}
ENROLMENT_{{ snakecase . | upper }}
{{- end }}

{{/* The secrets in use, as a map from the setting to its key in the Secret. */}}
{{- define "enrolment-worker.secrets" -}}
{{- range $name, $given := ternary .Values.secrets.keys .Values.secrets.values (ne .Values.secrets.existingSecret "") }}
{{- if $given }}
{{ $name }}: {{ ternary $given $name (ne $.Values.secrets.existingSecret "") }}
{{- end }}
{{- end }}
{{- end }}

{{- define "enrolment-worker.secretName" -}}
{{- .Values.secrets.existingSecret | default (include "enrolment-worker.fullname" .) }}
{{- end }}

{{/* Whether Kafka is reached over TLS, with SASL: "true" or "". */}}
{{- define "enrolment-worker.tls" -}}
{{- if hasSuffix "SSL" .Values.settings.kafkaSecurityProtocol }}true{{ end }}
{{- end }}
{{- define "enrolment-worker.sasl" -}}
{{- if hasPrefix "SASL" .Values.settings.kafkaSecurityProtocol }}true{{ end }}
{{- end }}

{{/* The container's variables beyond the ConfigMap: where the files of secrets and certificates are. */}}
{{- define "enrolment-worker.env" -}}
{{- $root := .root }}
{{- range $name, $key := include "enrolment-worker.secrets" .root | fromYaml }}
{{- if hasPrefix $.prefix $name }}
- name: {{ include "enrolment-worker.variable" $name }}_FILE
  value: /etc/enrolment-worker/secrets/{{ $name }}
{{- end }}
{{- end }}
{{- with .root.Values.kafkaTls }}
{{- if .existingSecret }}
{{- range $variable, $key := dict "CA" .caKey "CERT" .certKey "KEY" .privateKeyKey }}
{{- if $key }}
- name: ENROLMENT_KAFKA_SSL_{{ $variable }}_FILE
  value: /etc/enrolment-worker/kafka-tls/{{ $key }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- with .root.Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Volumes and mounts of those files; `prefix` narrows the secrets to settings whose names begin so. */}}
{{- define "enrolment-worker.volumes" -}}
{{- $root := .root }}
{{- $items := list }}
{{- range $name, $key := include "enrolment-worker.secrets" .root | fromYaml }}
{{- if hasPrefix $.prefix $name }}{{ $items = append $items (dict "key" $key "path" $name) }}{{ end }}
{{- end }}
{{- with $items }}
- name: secrets
  secret:
    secretName: {{ include "enrolment-worker.secretName" $root }}
    defaultMode: 0440
    items:
      {{- toYaml . | nindent 6 }}
{{- end }}
{{- with .root.Values.kafkaTls.existingSecret }}
- name: kafka-tls
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- with .root.Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "enrolment-worker.mounts" -}}
{{- $secrets := list }}
{{- range $name, $_ := include "enrolment-worker.secrets" .root | fromYaml }}
{{- if hasPrefix $.prefix $name }}{{ $secrets = append $secrets $name }}{{ end }}
{{- end }}
{{- if $secrets }}
- name: secrets
  mountPath: /etc/enrolment-worker/secrets
  readOnly: true
{{- end }}
{{- if .root.Values.kafkaTls.existingSecret }}
- name: kafka-tls
  mountPath: /etc/enrolment-worker/kafka-tls
  readOnly: true
{{- end }}
{{- with .root.Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Ports of the brokers, of the API and of the OTLP endpoints, as lists in JSON. */}}
{{- define "enrolment-worker.kafkaPorts" -}}
{{- $ports := .Values.networkPolicy.kafkaPorts }}
{{- if not $ports }}
{{- range .Values.settings.kafkaBootstrapServers }}{{ $ports = append $ports (regexFind "[0-9]+$" . | int) }}{{ end }}
{{- end }}
{{- $ports | uniq | toJson }}
{{- end }}

{{- define "enrolment-worker.urlPorts" -}}
{{- $ports := list }}
{{- range . }}
{{- $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" (urlParse .).host) }}
{{- $ports = append $ports ($port | default (hasPrefix "https" . | ternary 443 80) | int) }}
{{- end }}
{{- $ports | uniq | toJson }}
{{- end }}

{{- define "enrolment-worker.otlpPorts" -}}
{{- $urls := list }}
{{- range $name, $value := .Values.otel }}
{{- if hasSuffix "_ENDPOINT" $name }}{{ $urls = append $urls $value }}{{ end }}
{{- end }}
{{- .Values.networkPolicy.otlpPorts | default (include "enrolment-worker.urlPorts" $urls | fromJsonArray) | toJson }}
{{- end }}

{{- define "enrolment-worker.maxReplicas" -}}
{{- .Values.keda.maxReplicas | default .Values.settings.topicPartitions | int }}
{{- end }}
