"""Kafka's security settings, as aiokafka wants them."""

import ssl
from typing import Any, Final

from pydantic import SecretStr

from worker.settings.model import ConnectionSettings

_TLS: Final = frozenset({"SSL", "SASL_SSL"})


def tls_context(settings: ConnectionSettings) -> ssl.SSLContext | None:
    """Return the TLS context, None for a protocol without TLS.

    Brokers are verified, names included, against the given authority or else the system's. Reads the files
    named; raises OSError or ssl.SSLError (an OSError too) if they are no PEM or do not belong together.
    """
    if settings.kafka_security_protocol not in _TLS:
        return None
    context = ssl.create_default_context(cafile=settings.kafka_ssl_ca_file)
    if settings.kafka_ssl_cert_file is not None:
        context.load_cert_chain(settings.kafka_ssl_cert_file, settings.kafka_ssl_key_file)
    return context


def aiokafka_options(settings: ConnectionSettings) -> dict[str, Any]:
    """Return the options that aiokafka's clients take: where the brokers are and how to speak to them."""
    options: dict[str, Any] = {
        "bootstrap_servers": list(settings.kafka_bootstrap_servers),
        "security_protocol": settings.kafka_security_protocol,
        "ssl_context": tls_context(settings),
    }
    if settings.kafka_sasl_mechanism is not None:
        options |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": secret_of(settings.kafka_sasl_username),
            "sasl_plain_password": secret_of(settings.kafka_sasl_password),
        }
    return options


def secret_of(value: SecretStr | None) -> str:
    """Return a secret in the clear, an empty text when there is none."""
    return "" if value is None else value.get_secret_value()
