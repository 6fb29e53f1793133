"""Names of spans' attributes and events, each declared once; those of metrics are in `instruments`.

HTTP names follow the OpenTelemetry semantic conventions: https://opentelemetry.io/docs/specs/semconv/http/http-spans/
Messaging names: https://opentelemetry.io/docs/specs/semconv/messaging/kafka/
"""

TRACER = "enrolment-worker"

HTTP_REQUEST_METHOD = "http.request.method"
HTTP_REQUEST_RESEND_COUNT = "http.request.resend_count"
HTTP_RESPONSE_STATUS_CODE = "http.response.status_code"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
URL_FULL = "url.full"
ERROR_TYPE = "error.type"

CAPILLARY_REQUEST_ID = "capillary.request_id"
"""What Capillary traces a call by: `X-CAP-REQUEST-ID` of its answer."""

MESSAGING_SYSTEM = "messaging.system"
MESSAGING_OPERATION_NAME = "messaging.operation.name"
MESSAGING_OPERATION_TYPE = "messaging.operation.type"
MESSAGING_DESTINATION_NAME = "messaging.destination.name"
MESSAGING_DESTINATION_PARTITION_ID = "messaging.destination.partition.id"
MESSAGING_CONSUMER_GROUP_NAME = "messaging.consumer.group.name"
MESSAGING_KAFKA_OFFSET = "messaging.kafka.offset"
MESSAGING_MESSAGE_ID = "messaging.message.id"

ENROLMENT_OUTCOME = "enrolment.outcome"
"""An attribute, and the span event of the processing span that tells of one outcome."""
ENROLMENT_PROMOTION_ID = "enrolment.promotion.id"
ENROLMENT_PROGRAM_ID = "enrolment.program.id"
ENROLMENT_IDEMPOTENCY_KEY = "enrolment.idempotency_key"
ENROLMENT_WARNING_CODE = "enrolment.warning.code"
ENROLMENT_RECONCILED = "enrolment.reconciled"
ENROLMENT_WARNING = "enrolment.warning"
"""The span event of the request that was answered with a warning, an 8890 for example."""
