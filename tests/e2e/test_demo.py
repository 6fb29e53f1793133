"""The demo as a user starts it: it ends well, fails clearly, and leaves nothing behind."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from worker.demo.broker import Broker
from worker.demo.readiness import run_blocking

_SMALL = ("--events", "60", "--customers", "20")
_DISTURBING = {"ENROLMENT_ORG_ID": "999", "ENROLMENT_BOGUS": "1", "ENROLMENT_API_BASE_URL": "nonsense"}


def test_a_small_demo_reconciles(kafka: Broker, tmp_path: Path) -> None:
    """All books must agree, whatever ENROLMENT_* the user has, and the cluster must be left as it was."""
    with _demo(tmp_path, KAFKA=kafka.bootstrap_servers) as demo:
        text, _ = demo.communicate(timeout=50)
    assert demo.returncode == 0, text
    assert "every event has its outcome, and nobody was enrolled twice" in text
    assert re.search(r"Events\s+60", text), text
    assert all(name in text for name in ("ENROLLED", "CUSTOMER_NOT_FOUND", "DEAD_LETTERED", "ce_type"))
    assert not _demo_topics(kafka)
    assert not _folders(tmp_path)


def test_a_killed_demo_leaves_nothing(tmp_path: Path) -> None:
    """After SIGKILL of the demo alone its broker, API and worker must end and its folder must go."""
    with _demo(tmp_path, "--keep") as demo:
        text = _until(demo, "one more worker")
        ports = {int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", text)}
        assert len(ports) == 4
        assert all(map(_is_open, ports))
        demo.kill()
    assert _soon(lambda: not any(map(_is_open, ports))), "something still listens"
    assert _soon(lambda: not _folders(tmp_path)), "the folder is still there"


def test_a_worker_that_dies_is_told(kafka: Broker, tmp_path: Path) -> None:
    """The demo must end with 1 and name the worker when it is killed under way."""
    with _demo(tmp_path, KAFKA=kafka.bootstrap_servers) as demo:
        _until(demo, "produced")
        os.kill(_child(demo.pid, "worker run"), signal.SIGKILL)
        text, _ = demo.communicate(timeout=30)
    assert demo.returncode == 1
    assert text.splitlines()[-1] == "the demo failed: the worker was ended by SIGKILL"
    assert not _folders(tmp_path)


@contextmanager
def _demo(folder: Path, *options: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Start a small demo whose temporary files go to `folder`; killed with the block."""
    inherited = {name: value for name, value in os.environ.items() if name != "KAFKA"}
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "worker", "demo", *_SMALL, *options],
        env=inherited | _DISTURBING | {"TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _until(demo: subprocess.Popen[str], words: str) -> str:
    """Read up to the line that has the words."""
    assert demo.stdout
    text = ""
    for line in demo.stdout:
        text += line
        if words in line:
            return text
    pytest.fail(f"the demo ended before it said {words!r}:\n{text}")


def _child(parent: int, words: str) -> int:
    """Return the child whose command line has the words."""
    found = [pid for pid, ppid, command in _processes() if ppid == parent and words in command]
    assert len(found) == 1, f"{len(found)} children {words!r}"
    return found[0]


def _processes() -> Iterator[tuple[int, int, str]]:
    """Yield id, parent and command line of all processes, without `ps` where there is /proc."""
    if Path("/proc/self/stat").exists():
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(FileNotFoundError, ProcessLookupError):
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                yield int(folder.name), parent, (folder / "cmdline").read_text().replace("\0", " ")
        return
    listing = subprocess.check_output(["/bin/ps", "-axww", "-o", "pid=,ppid=,args="], text=True)
    for row in listing.splitlines():
        pid, ppid, command = row.split(None, 2)
        yield int(pid), int(ppid), command


def _demo_topics(kafka: Broker) -> list[str]:
    return [name for name in run_blocking(_topic_names(kafka.bootstrap_servers)) if "-demo-" in name]


async def _topic_names(bootstrap_servers: str) -> list[str]:
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await client.start()
    try:
        return [str(topic) for topic in await client.list_topics()]
    finally:
        await client.close()


def _folders(folder: Path) -> list[Path]:
    return list(folder.glob("enrolment-demo-*"))


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _soon(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not (held := holds()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return held
