"""What happens to a topic's log without its readers being asked: records go, at its beginning or its end."""

from pathlib import Path

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.record.memory_records import MemoryRecords


async def delete_records(bootstrap_servers: str, topic: str, before: int, partition: int = 0) -> None:
    """Delete the records before that offset, as retention does."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(topic, partition): RecordsToDelete(before)})
    finally:
        await admin.close()


def cut_tail(folder: Path, keep: int) -> None:
    """Let the log of a partition, whose broker is down, end before that offset, as after an unclean election.

    Batches are kept or go as a whole.
    """
    (segment,) = folder.glob("*.log")
    data, size = segment.read_bytes(), 0
    while size < len(data):
        length = 12 + int.from_bytes(data[size + 8 : size + 12], "big")
        batch = MemoryRecords(data[size : size + length]).next_batch()
        if batch.base_offset >= keep:
            break
        size += length
    segment.write_bytes(data[:size])
    for name in ("*.index", "*.timeindex", "*.snapshot", "*.txnindex"):
        for path in folder.glob(name):
            path.unlink()
    for name in (".kafka_cleanshutdown", "recovery-point-offset-checkpoint", "replication-offset-checkpoint"):
        (folder.parent / name).unlink(missing_ok=True)


async def begin_transaction(bootstrap_servers: str, topic: str, values: list[bytes]) -> AIOKafkaProducer:
    """Write records in a transaction that stays open; return the producer that may end it."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers, transactional_id=f"upstream of {topic}", acks="all"
    )
    await producer.start()
    await producer.begin_transaction()
    for value in values:
        await producer.send_and_wait(topic, value, key=value[:40], partition=0)
    return producer
