"""Named faults, the rules that say when they strike, and the plan that picks one for a request."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, ClassVar, Final

from pydantic import ConfigDict, TypeAdapter
from pydantic.alias_generators import to_camel

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random


class Endpoint(StrEnum):
    """What a request asks for; both versions of the lookup are one."""

    LOOKUP = "lookup"
    ISSUE = "issue"
    LIST = "list"
    TOKEN = "token"  # noqa: S105 - the name of an endpoint


class Applied(Enum):
    """What becomes of the request behind the fault; only an issue leaves a trace."""

    NEVER = "never"
    BEFORE = "before the ending"
    LATER = "`seconds` after the ending"


class Ending(Enum):
    """What the client gets to see."""

    RESET = "connection reset"
    SILENCE = "no answer until the client gives up"
    ANSWER = "the regular answer"
    WARNED = "success with a warning of the rule's code"
    EMPTY = "an object without warnings, errors and side effects"
    GARBAGE = "JSON that breaks off"
    API_ERROR = "an error body of the rule's code"
    API_WARNING = "nothing but a warning of the rule's code"
    NOT_ISSUED = "8890"
    HTML = "a proxy's HTML page with the rule's status"
    NO_AUTHORISATION = "503 that speaks of authorisation"
    HTML_200 = "a proxy's HTML page with status 200"
    STATUS_302 = "302"
    STATUS_401 = "401"
    STATUS_403 = "403"
    STATUS_429 = "429"
    STATUS_500 = "500"
    STATUS_502 = "502"
    STATUS_503 = "503"


@dataclass(frozen=True, slots=True)
class Kind:
    """A named fault: its parts, and one line for a help text."""

    applied: Applied
    ending: Ending
    help: str


KINDS: Final[dict[str, Kind]] = {
    "reset_before": Kind(Applied.NEVER, Ending.RESET, "connection reset, nothing applied"),
    "reset_after_apply": Kind(Applied.BEFORE, Ending.RESET, "applied, then connection reset"),
    "timeout_before": Kind(Applied.NEVER, Ending.SILENCE, "never answered, nothing applied"),
    "timeout_after_apply": Kind(Applied.BEFORE, Ending.SILENCE, "applied, never answered"),
    "error_500": Kind(Applied.NEVER, Ending.STATUS_500, "500, nothing applied"),
    "error_500_after_apply": Kind(Applied.BEFORE, Ending.STATUS_500, "applied, then 500"),
    "error_503": Kind(Applied.NEVER, Ending.STATUS_503, "503, nothing applied"),
    "html_502": Kind(Applied.NEVER, Ending.STATUS_502, "a proxy's HTML page, 502, nothing applied"),
    "html_502_after_apply": Kind(Applied.BEFORE, Ending.STATUS_502, "applied, then a proxy's HTML page, 502"),
    "html_200": Kind(Applied.NEVER, Ending.HTML_200, "a proxy's HTML page with status 200, nothing applied"),
    "garbage": Kind(Applied.NEVER, Ending.GARBAGE, "malformed JSON, nothing applied"),
    "garbage_after_apply": Kind(Applied.BEFORE, Ending.GARBAGE, "applied, then malformed JSON"),
    "empty_answer": Kind(Applied.NEVER, Ending.EMPTY, "an empty object, nothing applied"),
    "empty_answer_after_apply": Kind(Applied.BEFORE, Ending.EMPTY, "applied, then an empty object"),
    "throttle_429": Kind(Applied.NEVER, Ending.STATUS_429, "429; `seconds` and `retry_after` set the header"),
    "unauthorised_401": Kind(Applied.NEVER, Ending.STATUS_401, "401 with good credentials"),
    "forbidden_403": Kind(Applied.NEVER, Ending.STATUS_403, "403"),
    "redirect_302": Kind(Applied.NEVER, Ending.STATUS_302, "302 to a login page"),
    "api_error": Kind(Applied.NEVER, Ending.API_ERROR, "an API error body with `code`"),
    "api_warning": Kind(Applied.NEVER, Ending.API_WARNING, "nothing but a warning with `code`"),
    "html": Kind(Applied.NEVER, Ending.HTML, "a proxy's HTML page with `status`, nothing applied"),
    "html_after_apply": Kind(Applied.BEFORE, Ending.HTML, "applied, then a proxy's HTML page with `status`"),
    "authorisation_503": Kind(Applied.NEVER, Ending.NO_AUTHORISATION, "503 that speaks of authorisation"),
    "not_issued": Kind(Applied.NEVER, Ending.NOT_ISSUED, "the warning 8890 without a reason in the world"),
    "warned": Kind(Applied.BEFORE, Ending.WARNED, "applied, answered with a warning of `code`"),
    "slow": Kind(Applied.BEFORE, Ending.ANSWER, "`seconds` more latency; another fault may follow"),
    "apply_late": Kind(Applied.LATER, Ending.RESET, "connection reset, applied `seconds` later"),
    "timeout_apply_late": Kind(Applied.LATER, Ending.SILENCE, "never answered, applied `seconds` later"),
    "error_500_apply_late": Kind(Applied.LATER, Ending.STATUS_500, "500, applied `seconds` later"),
    "answer_then_apply_late": Kind(Applied.LATER, Ending.ANSWER, "answered at once, applied `seconds` later"),
}


class RetryAfter(StrEnum):
    """How a 429 says when to come back."""

    SECONDS = "seconds"
    DATE = "date"
    NONE = "none"


class TokenRefusal(StrEnum):
    """How a token that has ended is answered."""

    STATUS_401 = "401"
    STATUS_403 = "403"
    ERROR = "error"
    """200 with an error body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRule:
    """When a named fault strikes. Raises ValueError for an unknown name or an impossible rate."""

    name: str
    endpoint: Endpoint | None = None
    """None: any endpoint but `token`."""
    rate: float = 1.0
    """Share of the matching requests, 0 to 1."""
    count: int | None = None
    """How often it strikes before it is spent; None: for ever."""
    customer_ids: frozenset[int] | None = None
    promotion_ids: frozenset[int] | None = None
    """Restricts the rule to issues of these promotions."""
    seconds: float = 1.0
    code: int = 9999
    status: int = 403
    retry_after: RetryAfter = RetryAfter.SECONDS

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
    )

    def __post_init__(self) -> None:
        if self.name not in KINDS:
            raise ValueError(f"unknown fault {self.name!r}, known are {', '.join(KINDS)}")
        if not 0 <= self.rate <= 1:
            raise ValueError(f"rate of {self.name} must be from 0 to 1, not {self.rate}")

    @property
    def kind(self) -> Kind:
        """What the rule's fault does."""
        return KINDS[self.name]

    @classmethod
    def parse(cls, text: str) -> FaultRule:
        """Read `NAME[@ENDPOINT][:KEY=VALUE,...]`, e.g. `reset_after_apply@issue:rate=0.05,count=3`.

        The keys are this class's fields with one value: rate, count, seconds, code, status, retry_after.
        Raises ValueError.
        """
        head, _, tail = text.partition(":")
        name, _, endpoint = head.partition("@")
        given = dict(pair.partition("=")[::2] for pair in tail.split(",")) if tail else {}
        named = {"name": name, "endpoint": endpoint} if endpoint else {"name": name}
        return TypeAdapter(cls).validate_python({**given, **named})

    def matches(self, endpoint: Endpoint, customer_id: int | None, promotion_id: int | None) -> bool:
        """Whether a request is one that the rule may strike."""
        if self.endpoint is None and endpoint is Endpoint.TOKEN:
            return False
        return (
            self.endpoint in {None, endpoint}
            and (self.customer_ids is None or customer_id in self.customer_ids)
            and (self.promotion_ids is None or promotion_id in self.promotion_ids)
        )


class FaultPlan:
    """The rules in force, tried in order: the first that fires decides, but `slow` lets others fire too."""

    def __init__(self, rng: Random, rules: Iterable[FaultRule] = ()) -> None:
        self._rng: Final = rng
        self._fired: dict[int, int] = {}
        self._rules: tuple[FaultRule, ...] = ()
        self.replace(*rules)

    @property
    def rules(self) -> tuple[tuple[FaultRule, int], ...]:
        """Each rule with how often it has struck."""
        return tuple((rule, self._fired[place]) for place, rule in enumerate(self._rules))

    def replace(self, *rules: FaultRule) -> None:
        """Put these rules in force instead of all others; none clears the plan."""
        self._rules = rules
        self._fired = dict.fromkeys(range(len(rules)), 0)

    def add(self, *rules: FaultRule) -> None:
        """Put rules behind those in force, whose counts go on."""
        self._fired |= dict.fromkeys(range(len(self._rules), len(self._rules) + len(rules)), 0)
        self._rules += rules

    def pick(
        self,
        endpoint: Endpoint,
        customer_id: int | None = None,
        promotion_id: int | None = None,
    ) -> tuple[FaultRule | None, float]:
        """Return the fault that strikes a request, if one does, and the seconds that it is slowed by."""
        slowed = 0.0
        for place, rule in enumerate(self._rules):
            spent = rule.count is not None and self._fired[place] >= rule.count
            if spent or not rule.matches(endpoint, customer_id, promotion_id):
                continue
            if self._rng.random() >= rule.rate:
                continue
            self._fired[place] += 1
            if rule.name != "slow":
                return rule, slowed
            slowed += rule.seconds
        return None, slowed
