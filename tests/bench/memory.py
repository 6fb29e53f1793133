"""How much memory and CPU a process used."""

import os
from pathlib import Path
from typing import Final

_MIB: Final = 1024 * 1024
PROMISED_MIB: Final = 150e6 / _MIB
"""The most resident memory, 150 MB, of a worker with 256 events in flight, whatever waits for it."""


def peak_mib(pid: int) -> float:
    """Return the peak of the process's resident memory (Linux)."""
    return _mib(pid, "VmHWM")


def resident_mib(pid: int) -> float:
    """Return the process's resident memory as it is now (Linux)."""
    return _mib(pid, "VmRSS")


def _mib(pid: int, name: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024 / _MIB


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that the process has used so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def disk_bytes(folder: Path) -> int:
    """Return how much disk the folder's files take, as blocks."""
    return 512 * sum(path.stat().st_blocks for path in folder.rglob("*") if path.is_file())


def mb(mib: float) -> float:
    """Return so many MiB in MB."""
    return mib * _MIB / 1e6
