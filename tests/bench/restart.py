"""How long a worker with a large ledger takes to be ready, with and without its volume."""

import time
from typing import Final

from aiokafka import AIOKafkaProducer

from tests.bench.memory import peak_mib
from tests.brokers import create_topic
from tests.support.lab import CREDENTIALS, Lab, Stage
from tests.support.worker_process import WorkerProcess

_ENTRIES: Final = 1_000_000
_PARTITIONS: Final = 8
_PATIENCE_SECONDS: Final = 900.0
_PROMISED_SECONDS: Final = 30.0
_VALUE: Final = (
    b'{"lane":[2166136261,16777619],"entry":{"enrolment":{"key":"7a30b3d0-889b-5e60-b57f-b5208e68b3e7",'
    b'"event_id":"0d8d2f5e-6f0f-4a5e-9f57-%012d","attempts":1},"settled_limits":0}}'
)


def measure_restart(lab: Lab) -> bool:
    """Print the seconds of a rebuild and of a restart with the volume; judge the latter."""
    with lab.stage("http://127.0.0.1:9", _PARTITIONS) as stage:
        began = time.monotonic()
        lab.loop.run(_fill(stage), _PATIENCE_SECONDS)
        print(f"a ledger of {_ENTRIES:,} entries written in {time.monotonic() - began:.0f} s")
        worker = stage.worker(**CREDENTIALS)
        print(
            f"without a volume: ready after {_ready(worker):.1f} s, peak RSS {peak_mib(worker.pid):.0f} MiB"
        )
        worker.stop()
        worker.start()
        kept = _ready(worker)
        entries = worker.metric("enrolment_ledger_entries")
        print(f"with the volume: ready after {kept:.1f} s, peak RSS {peak_mib(worker.pid):.0f} MiB, ", end="")
        print(f"{entries:,.0f} entries counted")
    return kept < _PROMISED_SECONDS


async def _fill(stage: Stage) -> None:
    config = {"cleanup.policy": "compact,delete"}
    await create_topic(stage.lab.bootstrap_servers, stage.names.ledger, _PARTITIONS, config)
    producer = AIOKafkaProducer(
        bootstrap_servers=stage.lab.bootstrap_servers, linger_ms=20, max_batch_size=1024 * 1024
    )
    async with producer:
        for number in range(_ENTRIES):
            key = b"standing/100/%d/469/1" % number
            await producer.send(stage.names.ledger, _VALUE % number, key, number % _PARTITIONS)
        await producer.flush()


def _ready(worker: WorkerProcess) -> float:
    began = time.monotonic()
    worker.wait_ready(seconds=_PATIENCE_SECONDS)
    return time.monotonic() - began
