"""A stand-in for the base image where none can be pulled: Debian and its Python, from Debian's packages."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_MIRROR: Final = "http://deb.debian.org/debian"
_OWN_AUTHORITIES: Final = Path("/usr/local/share/ca-certificates")


class Unavailable(Exception):  # noqa: N818 - reads as what happened
    """The image cannot be built or run on this machine, and the text says why."""


def apt_install(packages: Sequence[str]) -> None:
    """Install Debian packages; raises Unavailable where that cannot be done."""
    if not packages:
        return
    if shutil.which("apt-get") is None:
        raise Unavailable(f"Docker does not answer, and there is no apt-get to install {', '.join(packages)}")
    _run("apt-get", "update", "-qq")
    _run("apt-get", "install", "-qq", "-y", "--no-install-recommends", *packages)


def debian_with_python(suite: str) -> Path:
    """Return a tar archive of that Debian with its python3; raises Unavailable where it cannot be made."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "root")
        _run(
            "debootstrap", "--variant=minbase", "--include=python3,ca-certificates", suite, str(root), _MIRROR
        )
        if _OWN_AUTHORITIES.is_dir():
            # Of this machine: what it trusts when it fetches packages, the build must trust too.
            shutil.copytree(_OWN_AUTHORITIES, root / _OWN_AUTHORITIES.relative_to("/"), dirs_exist_ok=True)
            _run("chroot", str(root), "update-ca-certificates")
        handle, archive = tempfile.mkstemp(suffix=".tar")
        os.close(handle)
        apt = ("./var/cache/apt/*", "./var/lib/apt/lists/*")
        excluded = [f"--exclude={each}" for each in ("./dev/*", "./proc/*", "./sys/*", *apt)]
        _run("tar", "-C", str(root), *excluded, "-cf", archive, ".")
        return Path(archive)


def _run(*command: str) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - our own arguments
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
            env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"`{' '.join(command)}` took more than ten minutes") from None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise Unavailable(f"`{' '.join(command)}` failed: {' '.join(lines)}")
