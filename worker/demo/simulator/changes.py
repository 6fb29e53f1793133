"""What changes in a world while it is in use, as its observer is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from worker.demo.simulator.model import Customer, Enrolment, Promotion


@dataclass(frozen=True, slots=True)
class PromotionPut:
    """A promotion is new, or has other values than before."""

    promotion: Promotion
    is_new: bool


@dataclass(frozen=True, slots=True)
class CustomerPut:
    """A customer is new, or replaces the one of that id."""

    customer: Customer
    is_new: bool


@dataclass(frozen=True, slots=True)
class Enrolled:
    """An enrolment was applied, by an issue or by another channel."""

    customer: Customer
    promotion: Promotion
    enrolment: Enrolment


@dataclass(frozen=True, slots=True)
class Revoked:
    """An enrolment is gone."""

    customer: Customer
    promotion: Promotion
    enrolment: Enrolment


@dataclass(frozen=True, slots=True)
class Merged:
    """A customer was merged into another."""

    survivor: Customer
    victim: Customer


Change: TypeAlias = PromotionPut | CustomerPut | Enrolled | Revoked | Merged
