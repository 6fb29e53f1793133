"""What a server speaks that hung up without an answer: with the wrong security protocol it says nothing.

A server that is going away hangs up too, so what it speaks is tried, and only what it shows counts.
"""

import asyncio
import ssl
from contextlib import suppress
from typing import Any, Final

from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.errors import IllegalSaslStateError, KafkaConnectionError, KafkaError
from aiokafka.protocol.admin import SaslHandShakeRequest

from worker.kafka.errors import BROKEN_OFF
from worker.settings.naming import variable

_PATIENCE_SECONDS: Final = 3.0
_TLS: Final = ("SSL", "SASL_SSL")
_HUNG_UP: Final = (KafkaConnectionError, ConnectionError, *BROKEN_OFF)


class WrongProtocol(KafkaError):  # type: ignore[misc] # noqa: N818 - aiokafka ships no types
    """The server speaks, and another protocol than the setting says; waiting does not mend it."""

    def __str__(self) -> str:
        return str(self.args[0])


def has_hung_up(error: BaseException) -> bool:
    """Whether a server may have ended the connection because it speaks another protocol."""
    is_tls = isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError)
    return isinstance(error, BROKEN_OFF) if is_tls else isinstance(error, _HUNG_UP)


async def ensure_protocol(host: str, port: int, options: dict[str, Any]) -> None:
    """Raise WrongProtocol if the server shows that it speaks another one than that of these options."""
    ours = options["security_protocol"]
    shown = None
    with suppress(KafkaError, OSError, ValueError):
        async with asyncio.timeout(_PATIENCE_SECONDS):
            shown = await _shown(host, port, options)
    if shown is not None:
        raise WrongProtocol(f"it {shown}, and {variable('kafka_security_protocol')} is {ours}: correct that")


async def _shown(host: str, port: int, options: dict[str, Any]) -> str | None:
    ours = options["security_protocol"]
    if ours in _TLS and await _answers_plainly(host, port):
        return "speaks no TLS"
    if ours not in _TLS and await _speaks_tls(host, port):
        return "speaks TLS"
    if not ours.startswith("SASL") and await _wants_login(host, port, options):
        return "wants a login (SASL)"
    return None


async def _answers_plainly(host: str, port: int) -> bool:
    with suppress(KafkaError, OSError):
        await (await create_conn(host, port, security_protocol="PLAINTEXT")).close()
        return True
    return False


async def _speaks_tls(host: str, port: int) -> bool:
    anybodys = ssl.create_default_context()
    anybodys.check_hostname, anybodys.verify_mode = False, ssl.CERT_NONE
    try:
        _, writer = await asyncio.open_connection(host, port, ssl=anybodys)
    except ssl.SSLError as error:
        return not isinstance(error, BROKEN_OFF)
    except OSError:
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


async def _wants_login(host: str, port: int, options: dict[str, Any]) -> bool:
    connection: AIOKafkaConnection = await create_conn(host, port, **options)
    try:
        answer = await connection.send(SaslHandShakeRequest("PLAIN"))
    finally:
        await connection.close()
    return bool(answer.error_code != IllegalSaslStateError.errno)
