"""Names that must come out the same on every replay: idempotency keys, outcome ids, references to customers.

They are part of the contract with downstream teams and with enrolments already made: changing a
derivation here enrols customers twice.
"""

import hashlib
import hmac
from enum import StrEnum
from typing import Final
from uuid import NAMESPACE_DNS, uuid5

from worker.domain.promotions import Identifier

NAMESPACE: Final = uuid5(NAMESPACE_DNS, "enrolment-worker")
UNNAMED_ORG: Final = 0
"""Organisation of enrolments as long as nothing has named one."""


class Reenrol(StrEnum):
    """When a customer who has an enrolment is enrolled again."""

    ONCE = "once"
    AFTER_EXPIRY = "after-expiry"
    EVERY_EVENT = "every-event"


def outcome_id(event_id: str, promotion_id: int | None, outcome: str, hop: int | None = None) -> str:
    """Return the id under which consumers drop repeats; `hop` is the retry topic's number, for DEFERRED."""
    parts = ["outcome", event_id, "-" if promotion_id is None else str(promotion_id), outcome]
    if hop is not None:
        parts.append(str(hop))
    return str(uuid5(NAMESPACE, "/".join(parts)))


def idempotency_key(  # noqa: PLR0913 - the parts of the derivation, as the contract lists them
    *,
    org_id: int,
    customer_id: int,
    program_id: int,
    promotion_id: int,
    reenrol: Reenrol = Reenrol.ONCE,
    event_id: str,
    timeline_entries: int = 0,
    settled_limits: int = 0,
    revocations: int = 0,
) -> str:
    """Return the key of one enrolment, the same for every attempt at it.

    `timeline_entries` is the count when the attempt was planned, `settled_limits` how many 8890s were
    settled whose cool-down has ended, `revocations` how many enrolments Capillary took back.
    """
    parts = ["enrol", str(org_id), str(customer_id), str(program_id), str(promotion_id)]
    if reenrol is Reenrol.AFTER_EXPIRY:
        parts.append(str(timeline_entries))
    elif reenrol is Reenrol.EVERY_EVENT:
        parts.append(event_id)
    if settled_limits:
        parts.append(f"r{settled_limits}")
    if revocations:
        parts.append(f"v{revocations}")
    return str(uuid5(NAMESPACE, "/".join(parts)))


def customer_reference(identifier: Identifier, pii_key: bytes) -> str:
    """Return the keyed hash (HMAC-SHA-256, hex) that stands for an identifier outside of this process."""
    text = f"{identifier.name}:{identifier.value}"
    return hmac.new(pii_key, text.encode(), hashlib.sha256).hexdigest()


def name_hash(identifier: Identifier, key: bytes) -> str:
    """Return the keyed hash that stands for a name in what is remembered; of one source and account."""
    text = f"memory/{identifier.source or ''}/{identifier.account or ''}/{identifier.name}:{identifier.value}"
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def name_mark(identity: str, name: str, value: str) -> str:
    """Return what tells whether two events of one identity name the same customer, not who that is.

    However a name is written, with blanks, hyphens or capitals, it is the same name: a later release may read
    it otherwise, and its mark must not change.
    """
    plain = "".join(character for character in value.casefold() if character.isalnum())
    return hashlib.blake2b(f"{identity}/{name}/{plain}".encode(), digest_size=8).hexdigest()


def organisation(promotion_org: int | None, configured_org: int | None, learnt_org: int | None) -> int:
    """Return an enrolment's organisation: the promotion's, else the configured, else the learnt, else 0."""
    return next((org for org in (promotion_org, configured_org, learnt_org) if org is not None), UNNAMED_ORG)
