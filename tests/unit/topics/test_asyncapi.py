"""The AsyncAPI document: sound by AsyncAPI's schema, checked in as it is printed, true of real records."""

import gzip
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft7Validator

from tests.support.use_case.values import AT, NOW, record
from topics.activity import Activity, read_activity
from topics.activity_shapes import EXAMPLES
from topics.asyncapi import document, outcome_example
from topics.dead_letter import DeadLetterReason, Failure, dead_letter_headers
from topics.names import TopicNames, all_topics
from topics.outcome import SEVERITY, outcome_headers
from topics.record import Headers
from worker.commands.main import program

ROOT = Path(__file__).parents[3]
NAMES = TopicNames("customer-activity", "enrolment-outcomes", "enrolment-worker")


@pytest.fixture(scope="module")
def doc() -> dict[str, Any]:
    """Give the document of the default settings."""
    made: dict[str, Any] = json.loads(
        json.dumps(document(NAMES, all_topics(NAMES, 8, 1, timedelta(days=400))))
    )
    return made


def faults(doc: dict[str, Any], schema: dict[str, Any], value: object) -> list[str]:
    """Return what a schema of the document has against a value."""
    return [
        fault.message
        for fault in Draft7Validator(schema | {"components": doc["components"]}).iter_errors(value)
    ]


def as_object(headers: Headers) -> dict[str, str]:
    """Return headers as the document speaks of them."""
    return {name: (value or b"").decode() for name, value in headers}


def test_it_is_checked_in_as_the_command_prints_it() -> None:
    """`topics asyncapi` must print, without settings, what topics/asyncapi.json holds (`make asyncapi`)."""
    printed = CliRunner().invoke(
        program, ["topics", "asyncapi"], env={"ENROLMENT_KAFKA_SASL_MECHANISM": "PLAIN"}
    )
    assert printed.exit_code == 0, printed.output
    assert printed.stdout == (ROOT / "topics" / "asyncapi.json").read_text()


def test_it_follows_the_settings() -> None:
    """Topics, group and partitions that are set must show; a bad one must cost its line and 2."""
    given = {
        "ENROLMENT_ACTIVITY_TOPIC": "shop",
        "ENROLMENT_GROUP_ID": "g",
        "ENROLMENT_TOPIC_PARTITIONS": "24",
    }
    made = json.loads(CliRunner().invoke(program, ["topics", "asyncapi"], env=given).stdout)
    assert [channel["address"] for channel in made["channels"].values()] == [
        "shop",
        "enrolment-outcomes",
        *(f"shop-retry-{hop}" for hop in (1, 2, 3)),
        "shop-dlt",
    ]
    assert made["channels"]["retry1"]["bindings"]["kafka"]["partitions"] == 24
    assert made["operations"]["receiveActivity"]["bindings"]["kafka"]["groupId"]["enum"] == ["g"]
    bad = CliRunner().invoke(program, ["topics", "asyncapi"], env={"ENROLMENT_TOPIC_PARTITIONS": "0"})
    assert (bad.exit_code, bad.stdout, len(bad.stderr.splitlines())) == (2, "", 1)


def test_it_is_an_asyncapi_document(doc: dict[str, Any]) -> None:
    """AsyncAPI's own schema must find nothing wrong, and every reference must lead somewhere."""
    schema = json.loads(gzip.decompress((ROOT / "tests/fixtures/asyncapi/3.0.0.json.gz").read_bytes()))
    assert [fault.message for fault in Draft7Validator(schema).iter_errors(doc)] == []

    def look(node: object) -> None:
        if isinstance(node, dict):
            target: Any = doc
            for part in str(node.get("$ref", "#")).split("/")[1:]:
                target = target[part]
            for each in node.values():
                look(each)
        elif isinstance(node, list):
            for each in node:
                look(each)

    look(doc)


@pytest.mark.parametrize("shape", EXAMPLES, ids=lambda shape: shape.__name__)
def test_examples_of_activity_are_read_as_one_event(doc: dict[str, Any], shape: type) -> None:
    """Each shape's example must be valid by its schema, and be read to the same event and mobile number."""
    assert faults(doc, {"$ref": f"#/components/schemas/{shape.__name__}"}, EXAMPLES[shape]) == []
    read = read_activity(record(EXAMPLES[shape]))
    assert isinstance(read, Activity)
    assert (read.event_name, read.org_id, read.occurred_at) == ("transactionAdded", 1800, NOW)
    assert read.event_id == "5f7d2c1e-0b5f-4f0e-9a52-6d6f0b1f2a10"
    assert ("mobile", "919800000001", "INSTORE", None) in read.customer.names


def test_every_shape_is_a_message_of_the_activity_topic(doc: dict[str, Any]) -> None:
    """Whoever writes activity must find each shape that is read among the topic's messages."""
    messages = doc["channels"]["activity"]["messages"]
    shown = {
        doc["components"]["messages"][name]["payload"].get("$ref", "").rpartition("/")[2] for name in messages
    }
    assert {shape.__name__ for shape in EXAMPLES} <= shown


def test_a_shape_without_its_customer_is_none(doc: dict[str, Any]) -> None:
    """The schemas must refuse what names no customer or has an id as text."""
    for shape, example in EXAMPLES.items():
        less = {
            name: part for name, part in example.items() if name not in ("customer", "data", "attributes")
        }
        assert faults(doc, {"$ref": f"#/components/schemas/{shape.__name__}"}, less)
    assert faults(doc, {"$ref": "#/components/schemas/Customer"}, {"customerId": "1"})


def test_outcomes_are_as_described(doc: dict[str, Any]) -> None:
    """Every kind of outcome, value and headers, must be valid, and an unknown field or a null must not."""
    message = doc["components"]["messages"]["outcome"]
    for name in SEVERITY:
        outcome = outcome_example(NAMES).model_copy(update={"outcome": name, "severity": SEVERITY[name]})
        value = json.loads(outcome.to_json())
        headers = as_object(outcome_headers(outcome, "/enrolment-worker/g"))
        assert faults(doc, message["payload"], value) == []
        assert faults(doc, message["headers"], headers) == []
        assert headers.keys() <= message["headers"]["properties"].keys()
        assert faults(doc, message["payload"], value | {"mobile": "1"})
        assert faults(doc, message["payload"], value | {"reason": None})
        assert faults(doc, message["headers"], {**headers, "ce_type": "enrolment.other.v1"})


@pytest.mark.parametrize("kind", ["retry", "deadLetter"])
def test_headers_of_what_is_deferred_or_dead_lettered_are_as_described(
    doc: dict[str, Any], kind: str
) -> None:
    """The headers that the worker writes must be those described, each of them required."""
    failure = Failure(
        reason=DeadLetterReason.IN_DOUBT,
        message="issue: timeout",
        position=AT,
        timestamp_ms=1,
        group="g",
        attempts=2,
        first_failed_at=NOW,
        last_failed_at=NOW,
    )
    headers = as_object(dead_letter_headers((), failure))
    described = doc["components"]["messages"][kind]["headers"]
    assert faults(doc, described, headers) == []
    assert set(described["required"]) == set(headers)
    omitted = {f"enrolment.error.{part}_omitted" for part in ("value", "headers", "key")}
    assert described["properties"].keys() - headers.keys() == (omitted if kind == "deadLetter" else set())
    assert faults(doc, described, {**headers, "enrolment.error.reason": "bad_luck"})


def test_channels_are_all_topics(doc: dict[str, Any]) -> None:
    """Each topic but the ledger's, which is the worker's own affair, must be a channel with its settings."""
    specs = {spec.name: spec for spec in all_topics(NAMES, 8, 1, timedelta(days=400))}
    channels = {channel["address"]: channel["bindings"]["kafka"] for channel in doc["channels"].values()}
    assert specs.keys() - channels.keys() == {NAMES.ledger}
    for name, binding in channels.items():
        assert binding["partitions"] == 8
        assert {key: str(value) for key, value in binding["topicConfiguration"].items()} == specs[name].config
