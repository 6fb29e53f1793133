"""An API for measurements: lookup and issue in the simulator's shapes, at a tenth of its CPU or less.

`python -m tests.bench.fast_api PORT LATENCY_SECONDS`. Each customer has one promotion open, always, and every
issue succeeds. It also takes traces (`POST /v1/traces`), and tells what it served (`GET /stats`). From
`POST /outage/on` to `POST /outage/off` it answers 503 to both, and counts them as `unavailable`.
"""

import asyncio
import json
import re
import sys
from typing import Final, cast

import uvloop

from worker.demo.ports import HOST
from worker.demo.simulator import Promotion
from worker.demo.simulator.shapes import issued_answer, lookup_answer, promotion_v2

_CUSTOMER: Final = re.compile(rb"identifierValue=(\d+)")
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_PLACEHOLDER: Final = 1_234_567_890_123
_PROMOTION: Final = Promotion(promotion_id=1, limit_per_customer=None)
_LOOKUP: Final = (
    json.dumps(
        lookup_answer(
            _PLACEHOLDER, [promotion_v2(_PROMOTION, (), promotion_count=0)], total=1, limit=100, offset=0
        )
    )
    .encode()
    .split(b"%d" % _PLACEHOLDER)
)
_ISSUED: Final = json.dumps(issued_answer(_PROMOTION, _PLACEHOLDER)).encode().split(b"%d" % _PLACEHOLDER)


class FastApi:
    """What all connections share."""

    def __init__(self, latency_seconds: float) -> None:
        self.latency_seconds: Final = latency_seconds
        self.served = {"lookup": 0, "issue": 0, "traces": 0, "unavailable": 0}
        self._is_out = False

    def answer(self, head: bytes) -> tuple[bytes, bytes, float]:
        """Return the status line's end, the body, and after how many seconds to send them."""
        path = head[head.index(b" ") + 1 : head.index(b" ", head.index(b" ") + 1)]
        is_lookup = b"/lookup/promotionData" in path
        if is_lookup or path.startswith(b"/v2/promotion/issue"):
            if self._is_out:
                self.served["unavailable"] += 1
                return b"503 Service Unavailable", b"", self.latency_seconds
            return b"200 OK", self._looked_up(path) if is_lookup else self._issued(), self.latency_seconds
        if path.startswith(b"/outage/"):
            self._is_out = path == b"/outage/on"
        self.served["traces"] += path == b"/v1/traces"
        return b"200 OK", json.dumps(self.served).encode() if path == b"/stats" else b"", 0.0

    def _looked_up(self, path: bytes) -> bytes:
        self.served["lookup"] += 1
        customer = _CUSTOMER.search(path)
        return (customer[1] if customer else b"0").join(_LOOKUP)

    def _issued(self) -> bytes:
        self.served["issue"] += 1
        return (b"%d" % self.served["issue"]).join(_ISSUED)


class _Connection(asyncio.Protocol):
    """HTTP/1.1 as far as the measured clients speak it: kept alive, one request at a time, no chunks."""

    def __init__(self, api: FastApi) -> None:
        self._api = api
        self._loop = asyncio.get_running_loop()
        self._received = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's own are no subclass of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._received[:end]
        length = _LENGTH.search(head)
        if len(self._received) < end + 4 + (int(length[1]) if length else 0):
            return
        self._received = b""
        status, body, seconds = self._api.answer(head)
        answer = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
        self._loop.call_later(seconds, self._send, answer % (status, len(body), body))

    def _send(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)


async def _serve(port: int, latency_seconds: float) -> None:
    api = FastApi(latency_seconds)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(api), HOST, port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), float(sys.argv[2])))
