"""`coffer serve` with its log in a real Kafka (`broker.log = "kafka"`): what is committed outlives the host's disk."""

import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import ConfigResource, ResourceType

from harness.clients import query
from harness.kafka import TIMEOUT_S, Bed
from harness.served import Served
from harness.wait import wait_for

pytestmark = pytest.mark.kafka

TOPIC = "coffer.state"
PARTITIONS = 16
WEEK_MS = 7 * 24 * 3_600_000
# The broker's restart, and the partitions' way back to it.
BACK_TIMEOUT_S = 90


@pytest.fixture
def served(bin_dir: Path, bed: Bed) -> Iterator[Served]:
    coffer = Served(bin_dir)
    with coffer.config.open("a") as config:
        config.write(f'\n[broker]\nlog = "kafka"\nbootstrap_servers = "{bed.endpoints["plaintext"]}"\n')
    yield coffer
    coffer.clean()
    admin = bed.admin
    topics = [name for name in admin.list_topics(timeout=TIMEOUT_S).topics if name.startswith("coffer.")]
    for answer in admin.delete_topics(topics, operation_timeout=TIMEOUT_S).values():
        answer.result(TIMEOUT_S)


def lose_the_store(coffer: Served) -> None:
    shutil.rmtree(coffer.state_dir / "store")


def ordered(coffer: Served, instance: str, database: str) -> requests.Response:
    return coffer.api.request("POST", f"/instances/{instance}/databases", json={"databases": [{"name": database}]})


def shown(coffer: Served, instance: str) -> requests.Response:
    return coffer.api.request("GET", f"/instances/{instance}")


def test_what_is_committed_outlives_crashes_of_both_and_the_disk(served: Served, bed: Bed):
    served.start()
    admin = bed.admin
    settings = admin.describe_configs([ConfigResource(ResourceType.TOPIC, TOPIC)])
    found = next(iter(settings.values())).result(TIMEOUT_S)
    assert (found["cleanup.policy"].value, found["delete.retention.ms"].value) == ("compact", str(WEEK_MS))
    assert len(admin.list_topics(timeout=TIMEOUT_S).topics[TOPIC].partitions) == PARTITIONS

    kept = served.api.create("kept", databases=[{"name": "shop"}])["id"]
    removed = served.api.create("removed")["id"]
    root = served.api.post(f"/instances/{kept}/root", {}, expected=200).json()["user"]
    address = served.api.instance(kept)["ip"][0]
    served.api.remove(removed)
    journal = served.api.get(f"/instances/{kept}/journal")

    served.kill()
    lose_the_store(served)
    served.start()
    assert [instance["id"] for instance in served.api.instances()] == [kept]
    assert served.api.quota_in_use()["instances"] == 1
    entries = journal["journal"]
    assert served.api.get(f"/instances/{kept}/journal")["journal"][: len(entries)] == entries
    served.api.wait_healthy(kept, BACK_TIMEOUT_S)
    assert ordered(served, kept, "after").status_code == 202
    wait_for(
        "the order to be carried out",
        lambda: ("after",) in query(address, root["name"], root["password"], None, "SHOW DATABASES"),
        BACK_TIMEOUT_S,
    )
    assert served.metric("coffer_changelog_rows_total") > 0

    # As long as the log is away orders are refused, what is stored is not shown, and nothing that was accepted is lost.
    bed.do("kill", "1")
    refused = ordered(served, kept, "refused")
    assert refused.status_code == 503, refused.text
    assert int(refused.headers["Retry-After"]) > 0
    # As soon as another node could have changed it, as far as this one knows.
    wait_for("what is stored not to be shown", lambda: shown(served, kept).status_code == 503, BACK_TIMEOUT_S)
    assert int(shown(served, kept).headers["Retry-After"]) > 0
    assert served.api.request("GET", "/datastores").status_code == 200
    bed.do("start", "1")
    # Idle for as long as a connection may be, it ends just when it is used again.
    served.api.session.close()
    wait_for("orders to be taken", lambda: ordered(served, kept, "back").status_code == 202, BACK_TIMEOUT_S)
    served.api.wait_healthy(kept, BACK_TIMEOUT_S)
    served.stop()
    served.start()
    served.api.remove(kept)
    assert served.leftovers(kept) == []
    served.stop()


def test_every_accepted_order_is_there_after_a_kill(served: Served):
    """Clients order as fast as they can; each accepted name must be in what a new disk is told."""
    served.start()
    instance = served.api.create("busy")["id"]
    accepted: list[str] = []
    lock = threading.Lock()

    def order(client: int) -> None:
        for number in range(1000):
            name = f"db_{client}_{number}"
            try:
                if ordered(served, instance, name).status_code != 202:
                    return
            except requests.RequestException:
                return
            with lock:
                accepted.append(name)

    clients = [threading.Thread(target=order, args=(client,)) for client in range(4)]
    for client in clients:
        client.start()
    wait_for("some orders", lambda: len(accepted) >= 20, TIMEOUT_S)
    served.kill()
    for client in clients:
        client.join()
    lose_the_store(served)
    served.start()
    root = served.api.post(f"/instances/{instance}/root", {}, expected=200).json()["user"]
    address = served.api.instance(instance)["ip"][0]

    def made() -> set[str]:
        return {row[0] for row in query(address, root["name"], root["password"], None, "SHOW DATABASES")}

    wait_for("all to be made", lambda: made() >= set(accepted), BACK_TIMEOUT_S)
    served.api.remove(instance)
    served.stop()


def test_a_node_that_keeps_its_databases_elsewhere_is_refused(served: Served, bin_dir: Path, bed: Bed):
    served.start()
    second = Served(bin_dir)
    try:
        second.config.write_text(
            second.config.read_text()
            + f'\n[broker]\nlog = "kafka"\nbootstrap_servers = "{bed.endpoints["plaintext"]}"\n'
        )
        # What both know: the deployment's key and users.
        for name in ("deployment.key", "users.json"):
            shutil.copy2(served.state_dir / name, second.state_dir / name)
        refused = second.command(*second.command_line())
        assert refused.returncode == 1
        assert "provider.directory" in refused.stderr, refused.stderr
        assert int(served.metric("coffer_partitions_owned")) == PARTITIONS
    finally:
        second.clean()
    served.stop()


def test_the_state_is_moved_into_kafka_and_back(served: Served, bed: Bed):
    kafka = served.config.read_text()
    local = kafka.replace('log = "kafka"', 'log = "local"')

    def move() -> subprocess.CompletedProcess[str]:
        return served.command("admin", "move-log", "--config", str(served.config))

    served.config.write_text(local)
    served.start()
    instance = served.api.create("moved", databases=[{"name": "shop"}])["id"]
    journal = served.api.get(f"/instances/{instance}/journal")["journal"]
    assert move().stderr.count("coffer runs") == 1
    served.stop()

    served.config.write_text(kafka)
    refused = served.command(*served.command_line())
    assert refused.returncode == 1
    assert "coffer admin move-log" in refused.stderr, refused.stderr
    moved = move()
    assert moved.returncode == 0, moved.stderr
    assert int(moved.stdout.split()[0]) > len(journal)
    lose_the_store(served)
    served.start()
    served.api.wait_healthy(instance, BACK_TIMEOUT_S)
    assert served.api.get(f"/instances/{instance}/journal")["journal"][: len(journal)] == journal
    assert ordered(served, instance, "in_kafka").status_code == 202
    served.stop()

    served.config.write_text(local)
    assert "coffer admin move-log" in served.command(*served.command_line()).stderr
    moved = move()
    assert moved.returncode == 0, moved.stderr
    served.start()
    served.api.wait_healthy(instance, BACK_TIMEOUT_S)
    assert ordered(served, instance, "at_home").status_code == 202
    served.stop()

    # What is in Kafka is of before: the two must not be mixed.
    served.config.write_text(kafka)
    refused = move()
    assert refused.returncode == 2
    assert "has had an owner" in refused.stderr, refused.stderr
    served.config.write_text(local)
    served.start()
    served.api.remove(instance)
    served.stop()
    lose_the_store(served)


def test_a_store_follows_one_log_only(served: Served):
    served.start()
    served.stop()
    kafka = served.config.read_text()
    served.config.write_text(kafka.replace('log = "kafka"', 'log = "local"'))
    refused = served.command(*served.command_line())
    assert refused.returncode == 1
    assert 'broker.log must be "kafka"' in refused.stderr, refused.stderr
    lose_the_store(served)
    served.start()
    served.stop()
    served.config.write_text(kafka)
    refused = served.command(*served.command_line())
    assert refused.returncode == 1
    assert "the state of a single host" in refused.stderr, refused.stderr
    lose_the_store(served)
    served.start()
    served.stop()


def test_nothing_secret_is_in_the_changelog(served: Served, bed: Bed):
    served.start()
    password = "pl4nted-s3cret-of-a-user"
    users = [{"name": "app", "password": password, "databases": [{"name": "shop"}]}]
    instance = served.api.create("sealed", databases=[{"name": "shop"}], users=users)["id"]
    root = served.api.post(f"/instances/{instance}/root", {}, expected=200).json()["user"]
    consumer = Consumer(bed.plain | {"group.id": "test", "auto.offset.reset": "earliest", "enable.partition.eof": True})
    consumer.assign([TopicPartition(TOPIC, partition, 0) for partition in range(PARTITIONS)])
    text, ended = b"", 0
    while ended < PARTITIONS:
        message = consumer.poll(TIMEOUT_S)
        assert message is not None, "the changelog does not end"
        if message.error():
            ended += 1
            continue
        text += message.key() + (message.value() or b"")
    consumer.close()
    assert instance.encode() in text, "the scan does not see what is there"
    assert password.encode() not in text
    assert root["password"].encode() not in text
    served.api.remove(instance)
    served.stop()
