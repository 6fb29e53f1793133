"""The command line: help that teaches, refusals in a line, exit statuses."""

import socket
import subprocess
import sys
from importlib import metadata
from pkgutil import iter_modules

import pytest
from click.testing import CliRunner, Result

from worker import commands, operations
from worker.commands.demo import missing_packages
from worker.commands.main import program
from worker.settings import reference


def invoke(*arguments: str, **environ: str) -> Result:
    """Call the program in this process."""
    return CliRunner().invoke(program, arguments, env=environ, prog_name="enrolment-worker")


def test_version() -> None:
    """`--version` says the installed version."""
    assert invoke("--version").output == f"enrolment-worker {metadata.version('enrolment-worker')}\n"


def test_help_teaches() -> None:
    """The help says what it is, how to see it, where settings come from, and every command."""
    text = " ".join(invoke("--help").output.split())
    for part in ("Enrol loyalty customers", "enrolment-worker demo", "Settings come from the environment"):
        assert part in text
    for name in ("run", "demo", "topics", "dead-letters", "simulate"):
        assert f" {name} " in text
        assert f"  enrolment-worker {name}" in invoke(name, "--help").output, "an example"


def test_help_of_run_lists_every_setting() -> None:
    """`run --help` has each setting with its default."""
    text = " ".join(invoke("run", "--help").output.split())
    for group in reference():
        for setting in group.settings:
            assert setting.name in text
            if setting.default is not None:
                assert f"default: {setting.default}" in text


def loaded_by(statements: str) -> set[str]:
    """Return the modules that a fresh interpreter has after these statements."""
    return set(
        subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", f"import sys; {statements}; print(*sys.modules)"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
    )


def test_help_loads_nothing_heavy() -> None:
    """The program's own help does not wait for Faust, pydantic or the demo."""
    modules = loaded_by("from worker.commands.main import program as p; p(['-h'], standalone_mode=False)")
    assert not {"faust", "pydantic", "aiohttp", "structlog", "worker.demo"} & modules


def test_no_operators_command_loads_faust() -> None:
    """Whatever the commands and what they do load, Faust is not among it; `run` and the demo need it."""
    mine = [f"worker.commands.{each.name}" for each in iter_modules(commands.__path__)]
    mine += [f"worker.operations.{each.name}" for each in iter_modules(operations.__path__)]
    mine = [name for name in mine if name not in ("worker.commands.run", "worker.commands.demo")]
    assert not {"faust", "mode"} & loaded_by(f"import {', '.join(mine)}")


@pytest.mark.parametrize(
    ("command", "heavy"), [("explain", {"httpx", "aiokafka"}), ("topics", {"httpx", "structlog"})]
)
def test_help_of_a_command_loads_little(command: str, heavy: set[str]) -> None:
    """What takes long to load and is not needed to explain a command is not loaded for it."""
    modules = loaded_by(f"import worker.commands.{command}")
    assert not {"faust", "opentelemetry.sdk", *heavy} & modules


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["rnu"], "No such command 'rnu'. (enrolment-worker --help tells more)"),
        (["run", "--fast"], "No such option: --fast (enrolment-worker run --help tells more)"),
        (["topics", "drop"], "No such command 'drop'. (enrolment-worker topics --help tells more)"),
        (
            ["demo", "extra"],
            "Got unexpected extra argument (extra) (enrolment-worker demo --help tells more)",
        ),
    ],
)
def test_a_wrong_call_costs_one_line(arguments: list[str], line: str) -> None:
    """A wrong call exits with 2, one line on standard error, nothing on standard output."""
    result = invoke(*arguments)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"enrolment-worker: {line}\n")


def test_a_fault_that_cannot_be_read_is_explained() -> None:
    """What the simulator says of a wrong fault reaches the caller, in one line and without a type's name."""
    result = invoke("simulate", "--fault", "error_500:rate=2")
    assert result.exit_code == 2
    assert "Invalid value for '--fault': rate of error_500 must be from 0 to 1" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments", [["run"], ["topics", "list"], ["topics", "create"], ["dead-letters", "list"]]
)
def test_bad_settings_cost_a_line_each(arguments: list[str]) -> None:
    """Bad settings exit with 2, a line for each fault and no traceback."""
    result = invoke(*arguments, ENROLMENT_GROUPID="x")
    first, second, *_ = result.stderr.splitlines()
    assert result.exit_code == 2
    assert result.stdout == ""
    assert first == "enrolment-worker: ENROLMENT_GROUPID is not a setting; did you mean ENROLMENT_GROUP_ID?"
    assert second.startswith("enrolment-worker: ENROLMENT_KAFKA_BOOTSTRAP_SERVERS is required")
    assert len(result.stderr.splitlines()) == (4 if arguments == ["run"] else 2)


def test_the_demo_names_the_packages_it_misses() -> None:
    """Of the requirements, those of the demo's extra that are not installed are named."""
    requirements = [
        "aiohttp<4,>=3.12",
        "jgo<4,>=3.2; extra == 'demo'",
        'noida-db==0.2.3; extra == "demo"',
        "rich<16,>=15; extra == 'demo'",
    ]
    assert tuple(missing_packages(requirements, {"rich"}.__contains__)) == ("jgo", "noida-db")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--from", "2026-01-01T00:00Z"], "a replay needs both --from and --until"),
        (["--yes"], "--retry-rejected and --yes belong to a replay: give --from and --until"),
        (["--from", "soon"], "Invalid value for '--from': 'soon' is no time such as 2026-01-31T10:00Z"),
        (
            ["--from", "2026-01-01T00:00"],
            "Invalid value for '--from': '2026-01-01T00:00' names no time zone; append Z for UTC",
        ),
        (
            ["--from", "2026-01-01T00:00Z", "--until", "2026-01-01T00:00+00:00"],
            "--until must be later than --from",
        ),
    ],
)
def test_a_wrong_window_costs_one_line(arguments: list[str], line: str) -> None:
    """A window that is none is refused before anything is connected to."""
    result = invoke("run", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"enrolment-worker: {line} (enrolment-worker run --help tells more)\n"


def test_a_window_that_the_ledger_has_forgotten_must_be_confirmed() -> None:
    """What lies further back than the ledger's retention is not replayed by accident."""
    environ = {
        "ENROLMENT_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
        "ENROLMENT_API_BASE_URL": "http://127.0.0.1:9",
        "ENROLMENT_API_USERNAME": "u",
        "ENROLMENT_API_PASSWORD": "p",
        "ENROLMENT_LEDGER_RETENTION_DAYS": "30",
    }
    result = invoke("run", "--from", "2020-01-01T00:00Z", "--until", "2020-01-02T00:00Z", **environ)
    assert result.exit_code == 2
    assert "ENROLMENT_LEDGER_RETENTION_DAYS" in result.stderr


def test_a_port_that_the_simulator_cannot_have_costs_one_line() -> None:
    """One that is taken, and one that is none."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = invoke("simulate", "--port", str(server.getsockname()[1]))
    none = invoke("simulate", "--control-port", "70000")
    assert (taken.exit_code, none.exit_code) == (2, 2)
    assert "give --host, --port, --control-host or --control-port another value" in taken.stderr
    assert "--port and --control-port must be from 0 to 65535" in none.stderr
    assert [len(each.stderr.splitlines()) for each in (taken, none)] == [1, 1]
