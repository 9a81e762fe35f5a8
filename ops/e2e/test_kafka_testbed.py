"""The Kafka of `ops/testbed/kafka` is what tests on it take it for."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AclOperation, AdminClient, ResourceType

from harness import processes
from harness.kafka import TIMEOUT_S, Bed
from harness.wait import wait_for

pytestmark = pytest.mark.kafka

GROUP = "test"


@pytest.fixture(scope="module")
def new_bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int], Bed]]:
    made: list[Bed] = []

    def make(brokers: int) -> Bed:
        made.append(Bed(tmp_path_factory.mktemp("kafka"), brokers))
        made[-1].up()
        return made[-1]

    yield make
    for bed in made:
        bed.do("down", "--wipe")
        assert not processes.mentioning(str(bed.directory))
        assert not bed.directory.exists()


@pytest.fixture(scope="module")
def one(new_bed: Callable[[int], Bed]) -> Bed:
    return new_bed(1)


@pytest.fixture(scope="module")
def three(new_bed: Callable[[int], Bed]) -> Bed:
    return new_bed(3)


def produced(settings: dict[str, Any], topic: str, *values: bytes) -> KafkaError | None:
    """Sends the values; what went wrong with the last that was refused."""
    refusals: list[KafkaError] = []
    producer = Producer(settings | {"acks": "all", "delivery.timeout.ms": 1000 * TIMEOUT_S})
    for value in values:
        producer.produce(topic, value, on_delivery=lambda error, _record: refusals.append(error) if error else None)
    assert producer.flush(2 * TIMEOUT_S) == 0, "records are neither taken nor refused"
    return refusals[-1] if refusals else None


def consumed(settings: dict[str, Any], topic: str) -> list[bytes]:
    """What a reader of committed records sees in the only partition of a topic, up to its end as of now."""
    reading = {"group.id": GROUP, "isolation.level": "read_committed", "enable.partition.eof": True}
    consumer = Consumer(settings | reading)
    try:
        consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
        values: list[bytes] = []
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            record = consumer.poll(0.2)
            if record is None:
                continue
            if record.error() is None:
                values.append(record.value())
            elif record.error().code() == KafkaError._PARTITION_EOF:
                return values
            else:
                raise KafkaException(record.error())
        raise AssertionError(f"the end of {topic} is not reached; so far: {values}")
    finally:
        consumer.close()


def reading_refused(settings: dict[str, Any], topic: str) -> int | None:
    """The code with which a reader is refused."""
    try:
        consumed(settings, topic)
    except KafkaException as error:
        return error.args[0].code()
    return None


def login(settings: dict[str, Any]) -> int | None:
    """Tries to log in; None when it works, else the code of the first thing that the client says about it."""
    errors: list[int] = []
    client = AdminClient(settings | {"error_cb": lambda error: errors.append(error.code()), "log_level": 0})
    deadline = time.monotonic() + TIMEOUT_S
    while not errors:
        assert time.monotonic() < deadline, "the login is neither taken nor refused"
        try:
            client.list_topics(timeout=0.5)
        except KafkaException:
            client.poll(0)
        else:
            return None
    return errors[0]


def test_up_again_changes_nothing(one: Bed):
    before = one.endpoints
    one.up()
    assert one.endpoints == before
    assert one.run("status").returncode == 0
    assert one.run("up", "--brokers", "3").returncode == 1, "it has one broker"


def test_the_plain_listener_takes_and_gives(one: Bed):
    topic = one.new_topic("plain")
    assert produced(one.plain, topic, b"first", b"second") is None
    assert consumed(one.plain, topic) == [b"first", b"second"]


def test_a_missing_topic_is_not_made(one: Bed):
    refusal = produced(one.plain | {"topic.metadata.propagation.max.ms": 1000}, "mistyped", b"lost")
    assert refusal is not None and refusal.code() in {KafkaError._UNKNOWN_TOPIC, KafkaError.UNKNOWN_TOPIC_OR_PART}
    assert "mistyped" not in one.admin.list_topics(timeout=TIMEOUT_S).topics


def test_a_user_logs_in_with_the_password_only(one: Bed):
    one.new_user("anna", "right-password")
    wait_for("the new user to get in", lambda: login(one.user("anna", "right-password")) is None, TIMEOUT_S)
    refused = KafkaError._AUTHENTICATION
    assert login(one.user("anna", "wrong-password")) == refused
    assert login(one.user("nobody", "right-password")) == refused
    # Who does not speak TLS, and who trusts somebody else, does not get as far as that.
    assert login(one.plain | {"bootstrap.servers": one.endpoints["sasl_ssl"]}) is not None
    elsewhere = {"ssl.ca.location": "/etc/ssl/certs/ca-certificates.crt"}
    assert login(one.user("anna", "right-password") | elsewhere) == KafkaError._SSL


def test_a_user_may_what_is_granted(one: Bed):
    granted, other = one.new_topic("granted"), one.new_topic("other")
    one.new_user("berta", "secret-1")
    berta = one.user("berta", "secret-1")
    wait_for("the new user to get in", lambda: login(berta) is None, TIMEOUT_S)
    refused = KafkaError.TOPIC_AUTHORIZATION_FAILED
    refusal = produced(berta, granted, b"before the grant")
    assert refusal is not None and refusal.code() == refused
    one.grant("berta", AclOperation.WRITE, granted)
    wait_for("the grant to count", lambda: produced(berta, granted, b"after") is None, TIMEOUT_S)
    assert consumed(one.plain, granted) == [b"after"]
    # To write one topic is neither to write another nor to read it.
    refusal = produced(berta, other, b"elsewhere")
    assert refusal is not None and refusal.code() == refused
    one.grant("berta", AclOperation.READ, GROUP, ResourceType.GROUP)
    wait_for("the topic to be what is refused", lambda: reading_refused(berta, granted) == refused, TIMEOUT_S)


def test_only_what_is_committed_is_seen(one: Bed):
    topic = one.new_topic("transactions")
    producer = Producer(one.plain | {"transactional.id": "test"})
    producer.init_transactions(TIMEOUT_S)
    for value, end in ((b"aborted", producer.abort_transaction), (b"committed", producer.commit_transaction)):
        producer.begin_transaction()
        producer.produce(topic, value)
        assert producer.flush(TIMEOUT_S) == 0
        end(TIMEOUT_S)
    assert consumed(one.plain, topic) == [b"committed"]


def test_secrets_are_nobody_elses(one: Bed):
    assert not processes.mentioning(one.admin_password)
    for file in (Path(one.endpoints["admin_password_file"]), one.directory / "broker.pem"):
        assert file.stat().st_mode & 0o077 == 0
    assert b"PRIVATE KEY" in (one.directory / "broker.pem").read_bytes()


def test_data_outlives_down(one: Bed):
    topic = one.new_topic("kept")
    assert produced(one.plain, topic, b"kept") is None
    one.do("down")
    assert one.pids == {"1": None}
    assert not processes.mentioning(str(one.directory))
    assert one.run("status").returncode == 1
    one.up()
    assert consumed(one.plain, topic) == [b"kept"]


def in_sync(bed: Bed, topic: str) -> set[int]:
    """The up-to-date copies of the only partition of a topic; none while the broker that is asked knows none."""
    partitions = bed.admin.list_topics(topic, timeout=TIMEOUT_S).topics[topic].partitions
    return set(partitions[0].isrs) if partitions else set()


def leader(bed: Bed, topic: str) -> int:
    return bed.admin.list_topics(topic, timeout=TIMEOUT_S).topics[topic].partitions[0].leader


def test_two_of_three_carry_on(three: Bed):
    topic = three.new_topic("replicated")
    wait_for("a copy on each broker", lambda: in_sync(three, topic) == {1, 2, 3}, TIMEOUT_S)
    assert produced(three.plain, topic, b"all three") is None
    victim = str(leader(three, topic))
    three.do("kill", victim)
    assert three.pids[victim] is None
    assert three.run("status").returncode == 1
    assert produced(three.plain, topic, b"two of three") is None
    wait_for("the copies without it", lambda: in_sync(three, topic) == {1, 2, 3} - {int(victim)}, TIMEOUT_S)
    three.do("start", victim)
    wait_for("all copies to be in sync", lambda: in_sync(three, topic) == {1, 2, 3}, TIMEOUT_S)
    assert consumed(three.plain, topic) == [b"all three", b"two of three"]
    assert three.run("status").returncode == 0


def test_a_frozen_broker_is_left_out_until_it_thaws(three: Bed):
    topic = three.new_topic("frozen")
    wait_for("a copy on each broker", lambda: in_sync(three, topic) == {1, 2, 3}, TIMEOUT_S)
    victim = str(leader(three, topic))
    before = three.pids
    three.do("freeze", victim)
    assert three.run("status").returncode == 1
    assert produced(three.plain, topic, b"without it") is None
    wait_for("the copies without it", lambda: in_sync(three, topic) == {1, 2, 3} - {int(victim)}, TIMEOUT_S)
    three.do("thaw", victim)
    wait_for("all copies to be in sync", lambda: in_sync(three, topic) == {1, 2, 3}, TIMEOUT_S)
    assert three.pids == before
    assert consumed(three.plain, topic) == [b"without it"]


def test_test_beds_do_not_meet(one: Bed, three: Bed):
    topic = one.new_topic("here")
    assert topic not in three.admin.list_topics(timeout=TIMEOUT_S).topics
    assert login(three.user("admin", one.admin_password) | {"ssl.ca.location": three.endpoints["ca_file"]}) is not None
