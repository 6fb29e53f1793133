"""Writes dist/sbom.cdx.json (CycloneDX) and dist/licences.csv of what the image holds, from the lock file.

Licences are read from the installed packages. One that is not among those that the project accepts, or that
cannot be told, is named, and the exit status is 1.
"""

import csv
import json
import re
import subprocess
import sys
from collections import Counter
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
DIST: Final = ROOT / "dist"
ACCEPTED: Final = (
    # What a package may say, and the SPDX name of what it means; the first that is found counts.
    (r"\b(A|L)?GPL|General Public|SSPL|Commons Clause", None),
    (r"MPL-2|Mozilla Public License 2", "MPL-2.0"),
    (r"MIT OR Apache-2.0", "MIT OR Apache-2.0"),
    (r"Apache-2.0 AND BSD-2-Clause", "Apache-2.0 AND BSD-2-Clause"),
    (r"Apache-2.0 OR BSD-2-Clause", "Apache-2.0 OR BSD-2-Clause"),
    (r"Apache-2.0 AND MIT", "Apache-2.0 AND MIT"),
    (r"Apache.* MIT", "MIT OR Apache-2.0"),
    (r"Apache", "Apache-2.0"),
    (r"PSF|Python Software Foundation", "PSF-2.0"),
    (r"Repoze", "BSD-3-Clause-Modification"),
    (r"BSD|Redistribution and use in source and binary forms", "BSD-3-Clause"),
    (r"MIT", "MIT"),
)


def main() -> None:
    """Write both files; say what there is, and what is not accepted."""
    sbom = exported()
    refused: list[str] = []
    rows: list[tuple[str, str, str]] = []
    for component in sbom["components"]:
        name, version = component["name"], component["version"]
        try:
            said = stated(name)
        except PackageNotFoundError:
            continue  # for another operating system
        licence = next((spdx for pattern, spdx in ACCEPTED if re.search(pattern, said)), None)
        if licence is None:
            refused.append(f"{name} {version}: {said[:80] or 'no licence stated'}")
            continue
        component["licenses"] = [{"expression": licence}]
        rows.append((name, version, licence))
    write(sbom, rows)
    count = ", ".join(
        f"{licence} {times}" for licence, times in Counter(row[2] for row in rows).most_common()
    )
    print(f"{len(sbom['components'])} packages in dist/sbom.cdx.json; licences in dist/licences.csv: {count}")
    if refused:
        sys.exit("licences that are not accepted (.ci/supply_chain.py):\n" + "\n".join(refused))


def exported() -> Any:  # noqa: ANN401 - JSON
    """Return uv's CycloneDX document of the locked packages without extras and groups."""
    uv = [sys.executable, "-m", "uv", "export", "--quiet", "--locked", "--no-dev", "--format", "cyclonedx1.5"]
    return json.loads(subprocess.check_output(uv, cwd=ROOT))


def stated(name: str) -> str:
    """Return what a package says of its licence; raises PackageNotFoundError."""
    said = metadata(name)
    classifiers = [each for each in said.get_all("Classifier", []) if each.startswith("License ::")]
    return said.get("License-Expression") or " ".join(classifiers) or said.get("License") or ""


def write(sbom: Any, rows: list[tuple[str, str, str]]) -> None:  # noqa: ANN401 - JSON
    """Write the document and the table."""
    DIST.mkdir(exist_ok=True)
    (DIST / "sbom.cdx.json").write_text(json.dumps(sbom, indent=1) + "\n", encoding="utf-8")
    with (DIST / "licences.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("package", "version", "licence"), *rows])


if __name__ == "__main__":
    main()
