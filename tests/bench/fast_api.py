"""An API for measurements: lookup and issue in the simulator's shapes, at a tenth of its CPU or less.

`python -m tests.bench.fast_api PORT LATENCY_SECONDS PROMOTIONS`. Each customer has so many promotions open,
always, and every issue succeeds; the list has them too. It also takes traces (`POST /v1/traces`), and tells
what it served (`GET /stats`). From `POST /outage/on` to `POST /outage/off` it answers 503 to lookups and
issues, and counts them as `unavailable`.
"""

import asyncio
import json
import re
import sys
from datetime import UTC, datetime
from typing import Final, cast

import uvloop

from worker.demo.ports import HOST
from worker.demo.simulator import Promotion
from worker.demo.simulator.catalogue import list_answer
from worker.demo.simulator.shapes import issued_answer, lookup_answer, promotion_v2

_CUSTOMER: Final = re.compile(rb"identifierValue=(\d+)")
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_PLACEHOLDER: Final = 1_234_567_890_123
_ISSUED_INTO: Final = re.compile(rb'"promotionId": *(\d+)')


def _promotions(number: int) -> list[Promotion]:
    return [Promotion(promotion_id=each, limit_per_customer=None) for each in range(1, number + 1)]


def _cut(answer: dict[str, object]) -> list[bytes]:
    """Return the parts of the answer before and behind the number that differs from one to the next."""
    return json.dumps(answer).encode().split(b"%d" % _PLACEHOLDER)


class FastApi:
    """What all connections share."""

    def __init__(self, latency_seconds: float, promotions: int) -> None:
        self.latency_seconds: Final = latency_seconds
        self.served = {"lookup": 0, "issue": 0, "list": 0, "traces": 0, "unavailable": 0}
        self._is_out = False
        open_ones = _promotions(promotions)
        shown = [promotion_v2(each, (), promotion_count=0) for each in open_ones]
        self._lookup = _cut(lookup_answer(_PLACEHOLDER, shown, total=promotions, limit=100, offset=0))
        self._issues = {
            b"%d" % each.promotion_id: _cut(issued_answer(each, _PLACEHOLDER)) for each in open_ones
        }
        listed = list_answer(open_ones, datetime.now(UTC), total=promotions, page=0, size=100)
        self._list = json.dumps(listed).encode()

    def answer(self, head: bytes, body: bytes) -> tuple[bytes, bytes, float]:
        """Return the status line's end, the body, and after how many seconds to send them."""
        path = head[head.index(b" ") + 1 : head.index(b" ", head.index(b" ") + 1)]
        is_lookup = b"/lookup/promotionData" in path
        if is_lookup or path.startswith(b"/v2/promotion/issue"):
            if self._is_out:
                self.served["unavailable"] += 1
                return b"503 Service Unavailable", b"", self.latency_seconds
            answered = self._looked_up(path) if is_lookup else self._issued(body)
            return b"200 OK", answered, self.latency_seconds
        if b"/promotions/list" in path:
            self.served["list"] += 1
            return b"200 OK", self._list, self.latency_seconds
        if path.startswith(b"/outage/"):
            self._is_out = path == b"/outage/on"
        self.served["traces"] += path == b"/v1/traces"
        return b"200 OK", json.dumps(self.served).encode() if path == b"/stats" else b"", 0.0

    def _looked_up(self, path: bytes) -> bytes:
        self.served["lookup"] += 1
        customer = _CUSTOMER.search(path)
        return (customer[1] if customer else b"0").join(self._lookup)

    def _issued(self, body: bytes) -> bytes:
        self.served["issue"] += 1
        promotion = _ISSUED_INTO.search(body)
        return (b"%d" % self.served["issue"]).join(self._issues[promotion[1] if promotion else b"1"])


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
        sent, self._received = self._received[end + 4 :], b""
        status, body, seconds = self._api.answer(head, sent)
        answer = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
        self._loop.call_later(seconds, self._send, answer % (status, len(body), body))

    def _send(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)


async def _serve(port: int, latency_seconds: float, promotions: int) -> None:
    api = FastApi(latency_seconds, promotions)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(api), HOST, port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])))
