"""Settings as tests write them: without their prefix, around the least that is needed."""

from collections.abc import Mapping

import pytest

from worker.settings import Settings, SettingsError, load_settings

KAFKA = {"KAFKA_BOOTSTRAP_SERVERS": "kafka-1:9092"}
BASIC = {"API_USERNAME": "till", "API_PASSWORD": "s3cr3t-password"}
OAUTH = {"API_CLIENT_KEY": "s3cr3t-key", "API_CLIENT_SECRET": "s3cr3t-secret"}
LEAST = {**KAFKA, "API_BASE_URL": "https://eu.example.com", **BASIC}
SASL = {
    "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
    "KAFKA_SASL_USERNAME": "worker",
    "KAFKA_SASL_PASSWORD": "s3cr3t",
}


def load(settings: Mapping[str, str]) -> Settings:
    """Load settings given without their prefix."""
    return load_settings({f"ENROLMENT_{name}": value for name, value in settings.items()})


def faults(settings: Mapping[str, str]) -> tuple[str, ...]:
    """Return the faults of settings given without their prefix."""
    with pytest.raises(SettingsError) as caught:
        load(settings)
    return caught.value.faults


def without(*names: str) -> dict[str, str]:
    """Return the least settings but these."""
    return {name: value for name, value in LEAST.items() if name not in names}
