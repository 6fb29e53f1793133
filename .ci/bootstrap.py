"""Makes .venv with uv in it, from nothing but Python >= 3.11 and its standard library.

pip comes with Python where the system ships it (Debian's bare python3 does not); else it is fetched, checked
by hash. pip installs uv with the hashes of uv.lock; everything else is uv's work.

An older Python must get as far as the line that says so: nothing here is newer than 3.6 until it is passed.
"""

import hashlib
import subprocess
import sys
import tempfile
import urllib.request
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".venv" / "bin" / "python"
PIP = "pip-26.3-py3-none-any.whl"
PIP_URL = f"https://files.pythonhosted.org/packages/07/25/ee8c38ae72d66b844ce8eb9711ba905dba21ca1a8a0c960057c41cd23337/{PIP}"
PIP_SHA256 = "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"


def main() -> None:
    """Create the environment; leave one with a working uv alone."""
    if sys.version_info < (3, 11):
        found = sys.version.split()[0]
        print(f"Python >= 3.11 is needed, this is {found}; set PYTHON=/path/to/python3", file=sys.stderr)
        sys.exit(2)
    if PYTHON.exists() and works("-m", "uv", "--version"):
        return
    venv.create(PYTHON.parent.parent, clear=True, symlinks=True)
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder, "uv.txt")
        requirements.write_text(uv_requirement(), encoding="utf-8")
        command = [*pip(Path(folder)), "install", "--quiet", "--disable-pip-version-check"]
        subprocess.check_call([*command, "--require-hashes", "--no-deps", "-r", requirements])


def works(*arguments: str) -> bool:
    """Run the environment's Python, silently; return whether it succeeded."""
    return subprocess.run([PYTHON, *arguments], capture_output=True, check=False).returncode == 0


def uv_requirement() -> str:
    """Return uv as uv.lock pins it, with the hash of each wheel."""
    import tomllib  # noqa: PLC0415 - Python 3.11 has it first

    packages = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))["package"]
    uv = next(package for package in packages if package["name"] == "uv")
    return " ".join([f"uv=={uv['version']}", *(f"--hash={wheel['hash']}" for wheel in uv["wheels"])])


def pip(folder: Path) -> list[str]:
    """Return the command that runs pip in the environment."""
    if works("-m", "ensurepip", "--default-pip"):
        return [str(PYTHON), "-m", "pip"]
    wheel = folder / PIP
    with urllib.request.urlopen(PIP_URL) as answer:
        wheel.write_bytes(answer.read())
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != PIP_SHA256:
        sys.exit(f"{PIP} does not have the expected hash")
    return [str(PYTHON), str(wheel / "pip")]


if __name__ == "__main__":
    main()
