"""`coffer serve` with a real Apache Kafka as its broker: its topics, and the circle through it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from harness.clients import query
from harness.kafka import TIMEOUT_S, Bed
from harness.served import Served
from harness.wait import wait_for

pytestmark = pytest.mark.kafka

PARTITIONS = 16
HOUR_MS = 3_600_000
# Agents try a broker that is away again and again, more slowly as time goes by.
FOUND_AGAIN_TIMEOUT_S = 90


@pytest.fixture
def served(bin_dir: Path, bed: Bed) -> Iterator[Served]:
    coffer = Served(bin_dir)
    with coffer.config.open("a") as config:
        config.write(f'\n[broker]\nbootstrap_servers = "{bed.endpoints["plaintext"]}"\n')
    yield coffer
    coffer.clean()


def partitions(admin: AdminClient) -> dict[str, int]:
    topics = admin.list_topics(timeout=TIMEOUT_S).topics
    return {name: len(topic.partitions) for name, topic in topics.items() if name.startswith("coffer.")}


def drop_topics(admin: AdminClient) -> None:
    for answer in admin.delete_topics(list(partitions(admin)), operation_timeout=TIMEOUT_S).values():
        answer.result(TIMEOUT_S)


def test_the_circle_goes_through_it_and_over_its_death(served: Served, bed: Bed):
    served.start()
    expected = {"coffer.commands": PARTITIONS, "coffer.telemetry": PARTITIONS}
    cells = {f"coffer.agents.p{number}": 1 for number in range(PARTITIONS)}
    admin = bed.admin
    assert partitions(admin) == expected | cells
    asked = admin.describe_configs([ConfigResource(ResourceType.TOPIC, "coffer.telemetry")])
    settings = next(iter(asked.values())).result(TIMEOUT_S)
    assert (settings["cleanup.policy"].value, settings["retention.ms"].value) == ("delete", str(HOUR_MS))

    instance = served.api.create("through-kafka", databases=[{"name": "shop"}])["id"]
    root = served.api.post(f"/instances/{instance}/root", {}, expected=200).json()["user"]
    address = served.api.instance(instance)["ip"][0]

    def engine_has(database: str) -> bool:
        return (database,) in query(address, root["name"], root["password"], None, "SHOW DATABASES")

    assert engine_has("shop")
    bed.do("kill", "1")
    served.api.post(f"/instances/{instance}/databases", {"databases": [{"name": "ordered_meanwhile"}]})
    bed.do("start", "1")
    wait_for("the order to be carried out", lambda: engine_has("ordered_meanwhile"), FOUND_AGAIN_TIMEOUT_S)
    served.stop()
    served.start()
    served.api.wait_healthy(instance, FOUND_AGAIN_TIMEOUT_S)
    served.api.remove(instance)
    assert served.leftovers(instance) == []
    served.stop()
    drop_topics(admin)


def test_topics_that_differ_are_refused_with_the_command_that_mends_them(served: Served, bed: Bed):
    admin = bed.admin
    wrong = [
        NewTopic("coffer.commands", PARTITIONS, config={"cleanup.policy": "compact"}),
        NewTopic("coffer.telemetry", 3, config={"retention.ms": "1000"}),
    ]
    for answer in admin.create_topics(wrong, operation_timeout=TIMEOUT_S).values():
        answer.result(TIMEOUT_S)
    refused = served.command(*served.command_line())
    assert refused.returncode == 1
    lines = [line for line in refused.stderr.splitlines() if ".sh --bootstrap-server" in line]
    assert len(lines) == 3, refused.stderr
    for line in lines:
        tool, words = line.split(": ")[-1].split(".sh ", 1)
        words = words.split()
        del words[words.index("--bootstrap-server") : words.index("--bootstrap-server") + 2]
        bed.do("tool", tool.removeprefix("kafka-"), *words)
    served.start()
    assert partitions(admin)["coffer.telemetry"] == PARTITIONS
    served.stop()
