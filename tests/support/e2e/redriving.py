"""Dead letters sent back as an operator does it, by the command."""

import subprocess
import sys
from collections.abc import Mapping

from tests.support.e2e.worker_process import environment


def redrive(settings: Mapping[str, str], seconds: float = 60.0) -> str:
    """Send back all dead letters of the group; return what the command says.

    `settings` has names without their prefix. Raises AssertionError with the command's words if it fails.
    """
    command = [sys.executable, "-m", "worker", "dead-letters", "redrive", "--yes"]
    told = subprocess.run(  # noqa: S603 - our own program
        command, env=environment(settings), capture_output=True, text=True, timeout=seconds, check=False
    )
    assert told.returncode == 0, told.stderr
    return told.stdout + told.stderr
