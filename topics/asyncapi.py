"""The AsyncAPI 3 document of the topics, made out of the models and of the list of topics."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from topics.activity_shapes import (
    EXAMPLES,
    CloudEvent,
    EnvelopedNotification,
    FlatNotification,
    NotificationData,
    PlainEvent,
)
from topics.dead_letter import (
    HEADERS_OMITTED,
    KEY_OMITTED,
    PREFIX,
    REDRIVEN,
    VALUE_OMITTED,
    DeadLetterReason,
)
from topics.names import TopicNames, TopicSpec
from topics.outcome import ActivityReference, Outcome, OutcomeName, event_type

RECORDS_VERSION: Final = "1.0.0"
"""Version of the records' shapes, as the `v1` in the outcomes' types; not the worker's."""

Node = dict[str, Any]

_BINDING: Final = {"bindingVersion": "0.5.0"}
_TEXT: Final = {"type": "string"}
_TIME: Final = {"type": "string", "format": "date-time"}
_WHOLE: Final = {"type": "string", "pattern": "^-?[0-9]+$"}
_TRACE: Final = {"traceparent": {"type": "string", "description": "W3C trace context"}}

_ERROR_HEADERS: Final[dict[str, Node]] = {
    "reason": {"type": "string", "enum": [reason.value for reason in DeadLetterReason]},
    "message": {"type": "string", "description": "names the field and the fault, never a value"},
    "topic": {"type": "string", "description": "where the original activity record lies, with the next two"},
    "partition": _WHOLE,
    "offset": _WHOLE,
    "timestamp": {**_WHOLE, "description": "the original record's, in milliseconds since 1970"},
    "group": {"type": "string", "description": "consumer group that deferred or dead-lettered the record"},
    "attempts": _WHOLE,
    "first_failed_at": _TIME,
    "last_failed_at": _TIME,
}


class _AsWritten(GenerateJsonSchema):
    """What is absent is left out and never null, and names need no titles."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ANN401, ARG002 - pydantic's
        return False


def document(names: TopicNames, specs: Iterable[TopicSpec]) -> Node:
    """Return the document, to be written as JSON; `specs` are all topics of these names."""
    by_name = {spec.name: spec for spec in specs}
    retries = {f"retry{hop}": name for hop, name in enumerate(names.retries, start=1)}
    addresses = {
        "activity": names.activity,
        "outcomes": names.outcomes,
        **retries,
        "deadLetters": names.dead_letters,
    }
    messages = {
        "activity": [
            "plainEvent",
            "flatNotification",
            "envelopedNotification",
            "cloudEvent",
            "cloudEventBinary",
        ],
        "outcomes": ["outcome"],
        **{name: ["retry"] for name in retries},
        "deadLetters": ["deadLetter"],
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Enrolment worker",
            "version": RECORDS_VERSION,
            "description": "Customer activity in, what it led to out: enrolments into loyalty promotions. "
            "Activity, retry and dead-letter records hold personal data; outcomes do not.",
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "channels": {name: _channel(by_name[address], messages[name]) for name, address in addresses.items()},
        "operations": {
            "receiveActivity": _operation("receive", "activity", messages, "reads what customers did", names),
            "sendOutcomes": _operation("send", "outcomes", messages, "tells what each event led to"),
            **{
                f"{action}{name.capitalize()}": _operation(
                    action, name, messages, says, names if action == "receive" else None
                )
                for name in retries
                for action, says in (
                    ("send", "defers an event"),
                    ("receive", "tries it again after the delay"),
                )
            },
            "sendDeadLetters": _operation("send", "deadLetters", messages, "dead-letters what nothing helps"),
        },
        "components": {"messages": _messages(names), "schemas": _schemas()},
    }


def _channel(spec: TopicSpec, messages: Iterable[str]) -> Node:
    settings: Mapping[str, Any] = {
        name: text.split(",") if name == "cleanup.policy" else int(text) for name, text in spec.config.items()
    }
    return {
        "address": spec.name,
        "description": spec.purpose,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {
            "kafka": {
                "topic": spec.name,
                "partitions": spec.partitions,
                "replicas": spec.replication_factor,
                "topicConfiguration": settings,
                **_BINDING,
            }
        },
    }


def _operation(
    action: str,
    channel: str,
    messages: Mapping[str, Iterable[str]],
    summary: str,
    consumer: TopicNames | None = None,
) -> Node:
    binding: Node = {}
    if consumer is not None:
        group = {"type": "string", "enum": [consumer.group_id]}
        binding = {"bindings": {"kafka": {"groupId": group, **_BINDING}}}
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages[channel]],
        **binding,
    }


def _messages(names: TopicNames) -> Node:
    upstream = _headers({**_TRACE, REDRIVEN: {"type": "string", "description": "where its dead letter lies"}})
    customer = "upstream's; the same customer must come with the same key"
    binary = _headers(
        {
            "ce_specversion": {"type": "string", "enum": ["1.0"]},
            "ce_id": _TEXT,
            "ce_source": _TEXT,
            "ce_type": _TEXT,
            "ce_time": _TIME,
        },
        required=("ce_specversion", "ce_id", "ce_source", "ce_type"),
    )
    shapes = (PlainEvent, FlatNotification, EnvelopedNotification, CloudEvent)
    return {
        **{
            shape.__name__[0].lower() + shape.__name__[1:]: _message(
                shape.__doc__, customer, upstream, _ref(shape), EXAMPLES[shape]
            )
            for shape in shapes
        },
        "cloudEventBinary": _message(
            "A CloudEvent 1.0 in binary mode, around the data of a notification or a plain event.",
            customer,
            binary,
            {"anyOf": [_ref(PlainEvent), _ref(NotificationData)]},
            EXAMPLES[CloudEvent]["data"],
        ),
        "outcome": _message(
            "What became of an event, or of one promotion of it; drop repeats by outcomeId.",
            "the customer id, else the keyed hash of the identifier, else the event's identity",
            _outcome_headers(),
            _ref(Outcome),
            outcome_example(names).model_dump(mode="json", by_alias=True, exclude_none=True),
        ),
        "retry": _message(
            "An event to try again: key, value and other headers as in the activity record.",
            customer,
            _error_headers(),
            {"anyOf": [_ref(shape) for shape in (*shapes, NotificationData)]},
        ),
        "deadLetter": {
            **_message(
                "A record that nothing could be done with: key, value and other headers byte for byte.",
                customer,
                _error_headers(_OMITTED_HEADERS),
                {"description": "any bytes, as on the activity topic; none, if value_omitted says so"},
            ),
            "contentType": "application/octet-stream",
        },
    }


def _message(
    summary: str | None, key: str, headers: Node, payload: Node, example: Node | None = None
) -> Node:
    return {
        "summary": summary,
        "headers": headers,
        "payload": payload,
        "bindings": {"kafka": {"key": {"type": "string", "description": key}, **_BINDING}},
        **({} if example is None else {"examples": [{"payload": example}]}),
    }


def _headers(properties: Mapping[str, Node], required: Iterable[str] = ()) -> Node:
    needed = list(required)
    return {"type": "object", "properties": dict(properties), **({"required": needed} if needed else {})}


def _outcome_headers() -> Node:
    required: dict[str, Node] = {
        "ce_specversion": {"type": "string", "enum": ["1.0"]},
        "ce_id": {"type": "string", "description": "the outcomeId"},
        "ce_source": {"type": "string", "description": "names the consumer group"},
        "ce_type": {"type": "string", "enum": [event_type(name) for name in OutcomeName]},
        "ce_time": _TIME,
        "content-type": {"type": "string", "enum": ["application/json"]},
    }
    subject: Node = {"ce_subject": {"type": "string", "description": "the customer id"}}
    return _headers({**required, **subject, **_TRACE}, required)


def _error_headers(omitted: Mapping[str, Node] | None = None) -> Node:
    required = {PREFIX + name: schema for name, schema in _ERROR_HEADERS.items()}
    return _headers({**required, **({} if omitted is None else omitted)}, required)


_OMITTED_HEADERS: Final[dict[str, Node]] = {
    VALUE_OMITTED: {"type": "string", "description": "the value was too large for the topic"},
    HEADERS_OMITTED: {"type": "string", "description": "so were the headers from upstream"},
    KEY_OMITTED: {"type": "string", "description": "so was the key, which had so many bytes"},
}


def _schemas() -> Node:
    written: list[tuple[type[BaseModel], JsonSchemaMode]] = [(Outcome, "serialization")]
    read: list[tuple[type[BaseModel], JsonSchemaMode]] = [(shape, "validation") for shape in EXAMPLES]
    _, schemas = models_json_schema(
        [*read, *written], ref_template="#/components/schemas/{model}", schema_generator=_AsWritten
    )
    definitions: Node = schemas["$defs"]
    return definitions


def _ref(model: type[BaseModel]) -> Node:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def outcome_example(names: TopicNames) -> Outcome:
    """Return an outcome as consumers will see most of them."""
    return Outcome(
        outcome_id="7d5f9f0b-5f0a-5b6e-8a39-3f2f6f0f9d11",
        outcome=OutcomeName.ENROLLED,
        severity="info",
        org_id=1800,
        customer_id=482579328,
        program_id=469,
        promotion_id=57099,
        promotion_name="Spring bonus",
        issual_id=9001,
        idempotency_key="0f0f6f7e-6a0e-5d0a-9d0e-2b1a7c9f4e55",
        attempts=1,
        activity=ActivityReference(
            event_id=EXAMPLES[PlainEvent]["eventId"],
            event_name="transactionAdded",
            occurred_at=datetime(2026, 1, 31, 10, tzinfo=UTC),
            topic=names.activity,
            partition=3,
            offset=42,
        ),
        occurred_at=datetime(2026, 1, 31, 10, 0, 1, tzinfo=UTC),
    )
