"""What a measurement ran on, and how busy that was (Linux)."""

import os
import platform
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")


def busy_seconds() -> float:
    """Return the CPU seconds that the whole machine has used."""
    fields = [int(field) for field in Path("/proc/stat").read_text(encoding="ascii").split(maxsplit=9)[1:9]]
    idle = fields[3] + fields[4]
    return (sum(fields) - idle) / _TICKS


def description() -> str:
    """Return a line about the machine."""
    cpus = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in cpus if line.startswith("model name")), "CPU")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    return (
        f"{os.cpu_count()} cores ({model}), {memory:.0f} GiB, {platform.system()}, "
        f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f} at the start"
    )
