"""The simulated API as a process of its own, and its control port."""

import json
import os
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests.crash.choices import Options, hapless_customers
from tests.support.waiting import wait_until
from worker.demo.ports import HOST, free_ports
from worker.demo.processes import ChildProcess, Household

SETTLE_SECONDS: Final = 2.0
"""What the workers are told; the simulator applies and shows everything within it."""
_LATE_SECONDS: Final = 1.0
_SHOW_LATE_SECONDS: Final = 0.4
_LOST: Final = (
    "reset_after_apply",
    "timeout_after_apply",
    "error_500_after_apply",
    "garbage_after_apply",
    "apply_late",
    "timeout_apply_late",
    "answer_then_apply_late",
    "reset_before",
    "error_500",
)
"""Ways in which the answer to an enrolment is lost, or comes before its effect."""
_FIRST_PROMOTION: Final = 65_001
_PROMOTION_INVALID: Final = 8874
_BUSY: Final = 521
_HAPLESS_RATE: Final = 0.95
_KINDS: Final[tuple[dict[str, Any], ...]] = (
    {"listing": "until-limit"},
    {"listing": "until-enrolled"},
    {"listing": "until-limit", "timelines": False},
)
"""Goes on being listed after an enrolment; vanishes with it; shows it by the customer's usage alone."""
_ANSWER_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Api:
    """A simulator that answers."""

    process: ChildProcess
    url: str
    control_url: str

    def get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """Read one of its books."""
        return self._ask("GET", path, None)

    def offer(self, number: int, **more: object) -> int:
        """Put a promotion of that number into the world, with `more` fields; return its id."""
        promotion_id = self.promotion_id(number)
        named = {"promotionId": promotion_id, "name": f"Offer {number}"}
        self.send("POST", "/promotions", [named | _KINDS[number % len(_KINDS)] | more])
        return promotion_id

    def promotion_id(self, number: int) -> int:
        """Return the id of the promotion of that number."""
        return _FIRST_PROMOTION + number

    def send(self, method: str, path: str, body: object) -> None:
        """Change something at its control port."""
        self._ask(method, path, body)

    def _ask(self, method: str, path: str, body: object) -> Any:  # noqa: ANN401 - JSON
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.control_url + path, data, method=method)  # noqa: S310 - http
        with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS) as answer:  # noqa: S310 - http
            return json.load(answer)


def start_api(household: Household, options: Options) -> Api:
    """Start a simulator with the run's customers, its faults and refusals, and no promotion yet."""
    arguments = {
        "latency": "20ms..50ms",
        "seed": options.seed,
        "show-late-seconds": _SHOW_LATE_SECONDS,
        "request-log-size": 100 * options.events,
        "notification-log-size": 100 * options.events,
    }
    api = start_simulator(household, options.customers, arguments)
    api.send("PUT", "/faults", [*_refusals(options), *_faults(options)])
    return api


def end_refusals(api: Api, options: Options) -> None:
    """Let the API refuse nobody any more; answers are lost all the same."""
    api.send("PUT", "/faults", _faults(options))


def _faults(options: Options) -> list[dict[str, Any]]:
    rate = options.lost_answers / len(_LOST)
    lost = [{"name": name, "endpoint": "issue", "rate": rate, "seconds": _LATE_SECONDS} for name in _LOST]
    return [*lost, {"name": "error_503", "endpoint": "lookup", "rate": 0.005}]


def _refusals(options: Options) -> list[dict[str, Any]]:
    hapless = {"customerIds": hapless_customers(options), "rate": _HAPLESS_RATE, "code": _BUSY}
    return [
        {"name": "api_error", "endpoint": "issue", "rate": options.refused, "code": _PROMOTION_INVALID},
        {"name": "api_error", "endpoint": "issue", **hapless},
    ]


def start_simulator(
    household: Household, customers: int, arguments: Mapping[str, object], faults: Sequence[str] = ()
) -> Api:
    """Start a simulator with customers numbered from 1, these options and faults, and no promotion."""
    port, control_port = free_ports(2)
    ports = {"port": port, "control-port": control_port, "customers": customers}
    command = [sys.executable, "-m", "worker", "simulate"]
    command += [part for name, value in {**ports, **arguments}.items() for part in (f"--{name}", str(value))]
    command += [part for rule in faults for part in ("--fault", rule)]
    process = household.start("api", command, dict(os.environ))
    api = Api(process, f"http://{HOST}:{port}", f"http://{HOST}:{control_port}")
    wait_until(lambda: _answers(api), "the simulated API answers", evidence=process.log_tail)
    api.send("PUT", "/world", {"customers": {"count": customers, "firstId": 1}})
    return api


def _answers(api: Api) -> bool:
    try:
        return bool(api.get("/health"))
    except OSError:
        return False
