"""How the environment is read: names, empty values, files, secrets, parts of the settings."""

from pathlib import Path

import pytest

from tests.support.unit.given_settings import BASIC, KAFKA, LEAST, OAUTH, SASL, faults, load, without
from worker.settings import KafkaSettings, SettingsError, load_settings, reference


@pytest.mark.parametrize(
    "name",
    [
        "SERVICE_HOST",
        "PORT",
        "WORKER_SERVICE_HOST",
        "WORKER_SERVICE_PORT",
        "WORKER_SERVICE_PORT_HTTP",
        "WORKER_PORT",
        "WORKER_PORT_6066_TCP_ADDR",
    ],
)
def test_what_kubernetes_injects_is_ignored(name: str) -> None:
    """Variables of a Service named like us are no faults, nor is anything without our prefix."""
    injected = {f"ENROLMENT_{name}": "tcp://10.0.0.1:6066", "PATH": "/bin"}
    least = {f"ENROLMENT_{known}": value for known, value in LEAST.items()}
    assert load_settings({**injected, **least}) == load(LEAST)


def test_an_empty_variable_is_not_given() -> None:
    """Empty variables, as charts and compose files produce them, leave the defaults."""
    names = [setting.name for group in reference() for setting in group.settings]
    empty = dict.fromkeys(names, "") | {f"ENROLMENT_{name}": value for name, value in LEAST.items()}
    assert load_settings(empty) == load(LEAST)
    assert len(faults({**LEAST, "DRY_RUN": "true", "GROUP_ID": "", "OUTCOME_TOPIC": ""})) == 2


def test_a_secret_may_come_as_a_file(tmp_path: Path) -> None:
    """The file's content counts, without the newline at its end."""
    file = tmp_path / "password"
    for content in ("s3cr3t", "s3cr3t\n", "s3cr3t\r\n"):
        file.write_bytes(content.encode())
        password = load({**without("API_PASSWORD"), "API_PASSWORD_FILE": str(file)}).api_password
        assert password is not None
        assert password.get_secret_value() == "s3cr3t"


def test_faults_of_secret_files(tmp_path: Path) -> None:
    """A secret given twice, a missing file, an empty one and a binary one are told, none of them shown."""
    empty, binary, missing = tmp_path / "empty", tmp_path / "binary", tmp_path / "missing"
    empty.write_text("\n")
    binary.write_bytes(b"\xff\xfe")
    assert faults({**LEAST, "API_PASSWORD_FILE": str(empty)}) == (
        "ENROLMENT_API_PASSWORD and ENROLMENT_API_PASSWORD_FILE are both given; keep one of them",
    )
    for file, text in (
        (empty, "is empty; write the secret into it"),
        (binary, "is not UTF-8 text; write the secret alone into it"),
        (missing, "cannot be read (No such file or directory); correct its path or permissions"),
    ):
        assert faults({**LEAST, "PII_KEY_FILE": str(file)}) == (
            f"ENROLMENT_PII_KEY_FILE names {file}, which {text}",
        )


def test_no_secret_is_ever_shown() -> None:
    """Neither settings nor their faults show a secret's value."""
    secrets = {**BASIC, **SASL, **OAUTH, "PII_KEY": "s3cr3t-pii"}
    assert "s3cr3t" not in "\n".join(faults({**KAFKA, **secrets, "PII_KEY_FILE": "/x"}))
    settings = load({**LEAST, **SASL, "KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "PII_KEY": "s3cr3t-pii"})
    assert "s3cr3t" not in f"{settings!r} {settings} {settings.model_dump_json()}"


def test_topics_need_nothing_of_the_api() -> None:
    """The settings of Kafka stand alone: neither missing nor wrong settings of the API matter, typos do."""
    assert (
        load_settings(
            {"ENROLMENT_KAFKA_BOOTSTRAP_SERVERS": "k:1", "ENROLMENT_API_VERSION": "v9"}, KafkaSettings
        ).topic_names.dead_letters
        == "customer-activity-dlt"
    )
    with pytest.raises(SettingsError, match="did you mean ENROLMENT_GROUP_ID"):
        load_settings({"ENROLMENT_KAFKA_BOOTSTRAP_SERVERS": "k:1", "ENROLMENT_GROUP": "x"}, KafkaSettings)
