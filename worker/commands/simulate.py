"""`enrolment-worker simulate`: the simulated Capillary API alone."""

import asyncio
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from enum import StrEnum
from typing import Any, Final

import click
from pydantic import ValidationError

from worker.commands.failure import CommandFailed
from worker.demo.simulator import KINDS, FaultRule, RunningSimulator, SimulatorOptions, serve

_REPEATABLE: Final = {"faults": "--fault", "connected_org_ids": "--connected-org-id"}


class _Fault(click.ParamType):
    name = "NAME[@ENDPOINT][:KEY=VALUE,...]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> FaultRule:  # noqa: ANN401 - click's signature
        if isinstance(value, FaultRule):
            return value
        try:
            return FaultRule.parse(value)
        except ValidationError as error:
            faults = [fault["msg"].removeprefix("Value error, ") for fault in error.errors()]
            self.fail("; ".join(faults), param, ctx)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _type(field: Field[Any]) -> Any:  # noqa: ANN401 - whatever click takes for a type
    if field.name == "faults":
        return _Fault()
    if field.name == "connected_org_ids":
        return int
    if isinstance(field.default, StrEnum):
        return click.Choice([choice.value for choice in type(field.default)])
    return type(field.default)


def _enumerated(kind: type[StrEnum]) -> Callable[[click.Context, click.Parameter, str], StrEnum]:
    return lambda _context, _parameter, value: kind(value)


def _option(field: Field[Any]) -> click.Option:
    if field.default is MISSING:
        raise TypeError(f"{field.name} has no default")
    name = _REPEATABLE.get(field.name, "--" + field.name.replace("_", "-"))
    return click.Option(
        [name, field.name],
        type=None if field.default is False else _type(field),
        default=field.default.value if isinstance(field.default, StrEnum) else field.default,
        multiple=field.name in _REPEATABLE,
        is_flag=field.default is False,
        show_default=field.default not in ("", ()) and field.default is not False,
        callback=_enumerated(type(field.default)) if isinstance(field.default, StrEnum) else None,
        help=SimulatorOptions.help_of(field.name),
    )


def _announce(simulator: RunningSimulator) -> None:
    click.echo(f"Capillary API  {simulator.api_url}")
    click.echo(f"control port   {simulator.control_url}")


def _simulate(**options: Any) -> None:  # noqa: ANN401 - the fields of SimulatorOptions
    try:
        asyncio.run(serve(SimulatorOptions(**options), started=_announce))
    except OSError as error:
        line = f"{error}; give --host, --port, --control-host or --control-port another value"
        raise click.UsageError(line) from None
    except OverflowError:
        raise click.UsageError("--port and --control-port must be from 0 to 65535") from None
    except ValueError as error:
        raise CommandFailed(str(error)) from None


class _SimulateCommand(click.Command):
    """Lists the faults below the options."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        with formatter.section("Faults"):
            formatter.write_dl([(name, kind.help) for name, kind in KINDS.items()])


command = _SimulateCommand(
    "simulate",
    callback=_simulate,
    params=[_option(field) for field in fields(SimulatorOptions)],
    short_help="Run the simulated Capillary API, for tests.",
    help="""Run the simulated Capillary API until SIGTERM or SIGINT; prints its addresses.

    \b
      enrolment-worker simulate --port 8080 --control-port 8081 --customers 500
      enrolment-worker simulate --latency 50ms..200ms --requests-per-minute 1000
      enrolment-worker simulate --fault reset_after_apply@issue:rate=0.05 --fault error_500:rate=0.01

    It knows customers, promotions, limits and enrolments, and is as unforgiving as the real API.
    """,
)
