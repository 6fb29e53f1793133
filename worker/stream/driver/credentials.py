"""Kafka's credentials, as Faust wants them."""

from faust import SASLCredentials, SSLCredentials
from faust.types.auth import CredentialsT, SASLMechanism

from worker.kafka.security import secret_of, tls_context
from worker.settings.model import ConnectionSettings


def faust_credentials(settings: ConnectionSettings) -> CredentialsT | None:
    """Return the credentials of Faust's consumer and producer, None for PLAINTEXT."""
    context = tls_context(settings)
    if settings.kafka_sasl_mechanism is None:
        return None if context is None else SSLCredentials(context)
    return SASLCredentials(
        username=secret_of(settings.kafka_sasl_username),
        password=secret_of(settings.kafka_sasl_password),
        mechanism=SASLMechanism(settings.kafka_sasl_mechanism),
        ssl_context=context,
    )
