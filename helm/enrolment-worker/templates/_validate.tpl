{{/* Refuses values that would give a release that cannot work, each with the remedy. */}}
{{- define "enrolment-worker.validate" -}}
{{- $settings := .Values.settings }}
{{- if not $settings.kafkaBootstrapServers }}
{{- fail "settings.kafkaBootstrapServers is empty; list the brokers to start from, such as [kafka-1:9092, kafka-2:9092]" }}
{{- end }}
{{- if not $settings.apiBaseUrl }}
{{- fail "settings.apiBaseUrl is empty; set it to the API's address, such as https://eu.api.capillarytech.com" }}
{{- end }}
{{- $secrets := include "enrolment-worker.secrets" . | fromYaml }}
{{- if .Values.secrets.existingSecret }}
{{- range $name, $value := .Values.secrets.values }}
{{- if $value }}{{ fail (printf "secrets.values.%s and secrets.existingSecret are both given; keep one of them" $name) }}{{ end }}
{{- end }}
{{- end }}
{{- $basic := and $secrets.apiUsername $secrets.apiPassword }}
{{- $oauth := and $secrets.apiClientKey $secrets.apiClientSecret }}
{{- $any := or $secrets.apiUsername $secrets.apiPassword $secrets.apiClientKey $secrets.apiClientSecret }}
{{- $viaEnv := list }}
{{- range .Values.extraEnv }}{{ $viaEnv = append $viaEnv .name }}{{ end }}
{{- if and (not $any) (not (regexMatch "ENROLMENT_API_(PASSWORD|CLIENT_SECRET)" (join " " $viaEnv))) }}
{{- fail "no credentials for the API; give apiUsername and apiPassword, or apiClientKey and apiClientSecret, in secrets.keys (of secrets.existingSecret) or secrets.values" }}
{{- end }}
{{- if and $any (or (and $basic $oauth) (not (or $basic $oauth)) (and $basic (or $secrets.apiClientKey $secrets.apiClientSecret)) (and $oauth (or $secrets.apiUsername $secrets.apiPassword))) }}
{{- fail "the credentials for the API must be one pair: apiUsername and apiPassword, or apiClientKey and apiClientSecret" }}
{{- end }}
{{- if include "enrolment-worker.sasl" . }}
{{- if not $settings.kafkaSaslMechanism }}
{{- fail (printf "settings.kafkaSaslMechanism is empty; settings.kafkaSecurityProtocol %s needs PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512" $settings.kafkaSecurityProtocol) }}
{{- end }}
{{- if and (not (and $secrets.kafkaSaslUsername $secrets.kafkaSaslPassword)) (not (regexMatch "ENROLMENT_KAFKA_SASL_PASSWORD" (join " " $viaEnv))) }}
{{- fail (printf "settings.kafkaSecurityProtocol %s needs kafkaSaslUsername and kafkaSaslPassword in secrets.keys or secrets.values" $settings.kafkaSecurityProtocol) }}
{{- end }}
{{- end }}
{{- if and .Values.kafkaTls.existingSecret (not (include "enrolment-worker.tls" .)) }}
{{- fail "kafkaTls.existingSecret has no effect without TLS; set settings.kafkaSecurityProtocol to SSL or SASL_SSL, or leave it out" }}
{{- end }}
{{- if and $settings.dryRun (or (eq $settings.groupId "enrolment-worker") (eq $settings.outcomeTopic "enrolment-outcomes")) }}
{{- fail "settings.dryRun needs a settings.groupId and a settings.outcomeTopic of its own" }}
{{- end }}
{{- if .Values.keda.enabled }}
{{- if and (include "enrolment-worker.sasl" .) (not (and $secrets.kafkaSaslUsername $secrets.kafkaSaslPassword)) (not .Values.keda.authenticationRef) }}
{{- fail "Kafka's credentials are not in secrets, where KEDA could read them; set keda.authenticationRef" }}
{{- end }}
{{- $most := include "enrolment-worker.maxReplicas" . | int }}
{{- if gt $most (int $settings.topicPartitions) }}
{{- fail (printf "keda.maxReplicas is %d and settings.topicPartitions is %d; replicas beyond the partitions of %s stand idle: lower the one, or set the other to what the topic has" $most (int $settings.topicPartitions) $settings.activityTopic) }}
{{- end }}
{{- if gt (int .Values.keda.minReplicas) $most }}
{{- fail (printf "keda.minReplicas is %d; it must not be above the %d that keda.maxReplicas and settings.topicPartitions allow" (int .Values.keda.minReplicas) $most) }}
{{- end }}
{{- end }}
{{- if and (eq .Values.topics.mode "strimzi") (not .Values.topics.strimzi.cluster) }}
{{- fail "topics.strimzi.cluster is empty; set it to the name of the Kafka resource" }}
{{- end }}
{{- end }}
