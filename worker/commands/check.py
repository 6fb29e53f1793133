"""`enrolment-worker check`."""

import asyncio
import json
import logging
import os
import sys
from dataclasses import asdict
from typing import Final

import click

from worker.operations.findings import Finding

_COLOURS: Final = {"ok": "green", "warning": "yellow", "fault": "red"}


@click.command(short_help="Look whether Kafka, the API and the settings are as needed.")
@click.option("--json", "as_json", is_flag=True, help="For programs: an object with all findings.")
def command(*, as_json: bool) -> None:
    """Connect to Kafka and the API with the given settings, and say what works and what does not.

    \b
      export ENROLMENT_KAFKA_BOOTSTRAP_SERVERS=kafka-1:9092
      export ENROLMENT_API_BASE_URL=https://eu.api.capillarytech.com
      export ENROLMENT_API_USERNAME=... ENROLMENT_API_PASSWORD_FILE=/run/secrets/capillary
      enrolment-worker check

    Changes nothing: no record is written, no group joined, nobody enrolled. Each line is ok, a warning or a
    fault with its remedy. Exit status: 0 without a fault, else 1.
    """  # noqa: D301 - \b is click's mark for lines that are not to be wrapped
    # Its lines are for logs; what matters of them is in our own.
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    findings = asyncio.run(_findings(as_json=as_json))
    if as_json:
        fine = all(finding.level != "fault" for finding in findings)
        click.echo(json.dumps({"ok": fine, "findings": [asdict(each) for each in findings]}, indent=2))
    sys.exit(any(finding.level == "fault" for finding in findings))


async def _findings(*, as_json: bool) -> list[Finding]:
    """Collect the findings; people see each as it is made."""
    # The API's client takes longer to load than everything else; help does not wait for it.
    from worker.operations.check import examine  # noqa: PLC0415 - see above

    findings = []
    async for finding in examine(os.environ):
        findings.append(finding)
        if not as_json:
            _show(finding)
    return findings


def _show(finding: Finding) -> None:
    level = click.style(f"{finding.level.value:8}", fg=_COLOURS[finding.level.value])
    remedy = f"; {finding.remedy}" if finding.remedy else ""
    click.echo(f"{level} {finding.subject}: {finding.text}{remedy}")
