"""The embedded broker as a program outside sees it."""

import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, Producer, TopicPartition

TIMEOUT_S = 30


def all_records(servers: str) -> list[Message]:
    """Every record of every topic, up to the ends as of now."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "e2e", "enable.auto.commit": False})
    try:
        topics = consumer.list_topics(timeout=TIMEOUT_S).topics
        partitions = [
            TopicPartition(name, number, OFFSET_BEGINNING)
            for name, topic in topics.items()
            for number in topic.partitions
        ]
        remaining = {}
        for partition in partitions:
            low, high = consumer.get_watermark_offsets(partition, timeout=TIMEOUT_S)
            if high > low:
                remaining[partition.topic, partition.partition] = high
        consumer.assign([partition for partition in partitions if (partition.topic, partition.partition) in remaining])
        found: list[Message] = []
        deadline = time.monotonic() + TIMEOUT_S
        while remaining:
            assert time.monotonic() < deadline, f"the broker does not hand out {remaining}"
            message = consumer.poll(0.2)
            if message is None:
                continue
            if message.error():
                raise KafkaException(message.error())
            found.append(message)
            where = message.topic(), message.partition()
            if message.offset() + 1 >= remaining.get(where, 0):
                remaining.pop(where, None)
        return found
    finally:
        consumer.close()


def send(
    servers: str, topic: str, key: str | None, value: bytes, headers: list[tuple[str, bytes]] | None = None
) -> None:
    """Sends one record and waits for the broker's word."""
    failures = []
    producer = Producer({"bootstrap.servers": servers, "partitioner": "murmur2_random"})
    producer.produce(
        topic,
        value,
        key,
        headers=headers or [],
        on_delivery=lambda error, _message: failures.append(error) if error else None,
    )
    assert producer.flush(TIMEOUT_S) == 0, "the broker did not take the record"
    assert not failures, failures
