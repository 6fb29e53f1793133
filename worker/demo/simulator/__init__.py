"""The simulated Capillary API: a program of its own that shares no code with the worker's client.

It answers as the four reference pages have it, and OAuth besides; refuses whatever they do not allow;
counts every enrolment that it applied; and breaks in the ways listed in `KINDS`.
"""

from worker.demo.simulator.faults import KINDS, Endpoint, FaultRule, RetryAfter
from worker.demo.simulator.model import Customer, Enrolment, Listing, OfferType, Promotion, RedemptionLimit
from worker.demo.simulator.options import SimulatorOptions
from worker.demo.simulator.server import RunningSimulator, running_simulator, serve
from worker.demo.simulator.shapes import Naming
from worker.demo.simulator.standard import standard_promotions
from worker.demo.simulator.world import World

__all__ = [
    "KINDS",
    "Customer",
    "Endpoint",
    "Enrolment",
    "FaultRule",
    "Listing",
    "Naming",
    "OfferType",
    "Promotion",
    "RedemptionLimit",
    "RetryAfter",
    "RunningSimulator",
    "SimulatorOptions",
    "World",
    "running_simulator",
    "serve",
    "standard_promotions",
]
