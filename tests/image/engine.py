"""What builds and runs containers: Docker where its daemon answers, else podman, which needs none."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tests.image.base import Unavailable, apt_install, debian_with_python
from worker.demo.kafka_jars import cache_folder

_PACKAGES: Final = {"podman": "podman", "runc": "runc", "debootstrap": "debootstrap"}
_CONFIGURATION: Final = """\
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=1024:1024"]
"""
"""Limits that a root without all capabilities may set too, and no need of systemd."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A command line that knows `build`, `run`, `kill`, `wait`, `logs`, `image`, `rm` and `volume`."""

    program: str
    build_options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str, seconds: float = 60.0) -> str:
        """Run a command and return what it printed; raises AssertionError with that where it fails."""
        done = self.attempt(*arguments, seconds=seconds)
        text = f"{self.program} {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        assert done.returncode == 0, text
        return done.stdout.strip()

    def attempt(self, *arguments: str, seconds: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run a command and return how it ended."""
        return subprocess.run(  # noqa: S603 - our own arguments
            [self.program, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
            env=os.environ | dict(self.environment),
        )


def find_engine(base: str) -> Engine:
    """Return an engine that has, or can pull, the base image; raises Unavailable with the reason.

    Without Docker, and with the right to, podman is installed and given a stand-in for the base image,
    made from Debian's packages: nothing is pulled. May block for minutes, the first time.
    """
    if sys.platform != "linux":
        raise Unavailable("the container shares this machine's network, which works on Linux only")
    docker = Engine("docker")
    if shutil.which("docker") and docker.attempt("info").returncode == 0:
        return docker
    missing = [package for program, package in _PACKAGES.items() if shutil.which(program) is None]
    if os.geteuid() != 0:
        raise Unavailable("Docker does not answer, and podman on its own needs root")
    apt_install(missing)
    podman = _podman()
    if podman.attempt("image", "exists", base).returncode:
        _import(podman, base)
    tried = podman.attempt("run", "--rm", "--network", "host", "--cap-drop", "ALL", base, "true")
    if tried.returncode:
        raise Unavailable(f"this machine cannot run containers: {tried.stderr.strip()}")
    return podman


def _podman() -> Engine:
    """Return podman with a configuration and a store of its own, in the user's cache folder."""
    folder = cache_folder().parent / "image"
    folder.mkdir(parents=True, exist_ok=True)
    storage = f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n'
    for name, text in (("containers.conf", _CONFIGURATION), ("storage.conf", storage)):
        (folder / name).write_text(text, encoding="utf-8")
    return Engine(
        "podman",
        ("--isolation", "chroot", "--pull=never", "--format", "docker"),
        {
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        },
    )


def _import(podman: Engine, base: str) -> None:
    archive = debian_with_python(suite=base.rsplit("-", 1)[1])
    try:
        podman("import", "--quiet", str(archive), base, seconds=300)
    finally:
        archive.unlink()
