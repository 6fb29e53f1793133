"""How much memory a process used."""

from pathlib import Path


def peak_mib(pid: int) -> float:
    """Return the peak of the process's resident memory (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024
