"""The versions of the worker that a rehearsal alternates between: this tree's, and one out of git."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Version:
    """A version by its name, and its `enrolment-worker`."""

    name: str
    program: Path


def this_version() -> Version:
    """Return the version of this tree, changes that are not committed included."""
    return Version(
        _git("describe", "--always", "--dirty"), Path(sys.executable).with_name("enrolment-worker")
    )


def default_ref() -> str:
    """Return what an upgrade to this commit starts from: the newest tag before it, else its parent."""
    return _git("tag", "--merged", "HEAD^", "--sort=-creatordate").partition("\n")[0] or "HEAD^"


def install(ref: str, folder: Path) -> Version:
    """Install that version from its own lock file into the folder; raises CalledProcessError."""
    commit = _git("rev-parse", "--verify", f"{ref}^{{commit}}")
    source, archive = folder / "source", folder / "source.tar"
    source.mkdir()
    _git("archive", "--output", str(archive), commit)
    _run("tar", "-xf", str(archive), "-C", str(source))
    # Not editable, without the demo and the tools: as the image is made.
    sync = ("sync", "--quiet", "--locked", "--no-dev", "--no-editable", "--python", sys.executable)
    environment = os.environ | {"UV_PROJECT_ENVIRONMENT": str(folder / "venv")}
    _run(sys.executable, "-m", "uv", *sync, "--project", str(source), environment=environment)
    name = commit[:7] if ref in commit or ref.startswith("HEAD") else f"{ref} ({commit[:7]})"
    return Version(name, folder / "venv" / "bin" / "enrolment-worker")


def _git(*arguments: str) -> str:
    return _run("git", "-C", str(_ROOT), *arguments).strip()


def _run(*command: str, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, env=environment)  # noqa: S603 - ours
    return done.stdout
