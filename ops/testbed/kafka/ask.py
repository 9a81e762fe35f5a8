"""What the brokers of a test bed say: whether they answer, and what they lead. Called by `run`.

ask.py ready DIR BROKER…    ends with 0 when each of these answers
ask.py status DIR           a table; ends with 0 when all answer
"""

import json
import sys
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ClusterMetadata, ConfigResource

TIMEOUT_S = 3


def clients(bed: Path) -> tuple[AdminClient, AdminClient, dict[str, Any]]:
    """A client of each listener, and where they are."""
    endpoints = json.loads((bed / "endpoints.json").read_text())
    quiet = {"log_level": 0, "reconnect.backoff.max.ms": 250}
    plain = AdminClient({"bootstrap.servers": endpoints["plaintext"], **quiet})
    admin = AdminClient(
        {
            "bootstrap.servers": endpoints["sasl_ssl"],
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": endpoints["ca_file"],
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": endpoints["admin_user"],
            "sasl.password": Path(endpoints["admin_password_file"]).read_text().strip(),
            **quiet,
        }
    )
    return plain, admin, endpoints


def answering(admin: AdminClient, brokers: list[int]) -> set[int]:
    """Which of the brokers answer a question that only they themselves can answer, to a user who logged in."""
    asked: dict[int, Future] = {}
    for broker in brokers:
        themselves = ConfigResource(ConfigResource.Type.BROKER, str(broker))
        [asked[broker]] = admin.describe_configs([themselves], request_timeout=TIMEOUT_S).values()
    return {broker for broker, answer in asked.items() if answer.exception(2 * TIMEOUT_S) is None}


def cluster(plain: AdminClient) -> ClusterMetadata | None:
    """Brokers and topics as the plain listener tells them, if anybody answers there."""
    try:
        return plain.list_topics(timeout=TIMEOUT_S)
    except KafkaException:
        return None


def ready(bed: Path, brokers: list[int]) -> bool:
    """Whether each of these answers, and is in the cluster for others."""
    plain, admin, _ = clients(bed)
    seen = cluster(plain)
    return seen is not None and set(brokers) <= set(seen.brokers) and set(brokers) <= answering(admin, brokers)


def state_of(bed: Path, broker: int, pid: int | None) -> str:
    if pid is None:
        return "stopped"
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
        letter = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "stopped"
    if f"{bed}/{broker}/server.properties".encode() not in line:
        return "stopped"
    return "frozen" if letter == "T" else "running"


def status(bed: Path) -> bool:
    plain, admin, endpoints = clients(bed)
    brokers = [int(broker) for broker in endpoints["brokers"]]
    answers = answering(admin, brokers)
    seen = cluster(plain) if answers else None
    topics = seen.topics.values() if seen else []
    partitions = [partition for topic in topics for partition in topic.partitions.values()]
    print("broker  process           answers  leads  in sync  plaintext        sasl_ssl")
    for broker in brokers:
        entry = endpoints["brokers"][str(broker)]
        state = state_of(bed, broker, entry["pid"])
        process = state if state == "stopped" else f"{state} {entry['pid']}"
        leads = sum(partition.leader == broker for partition in partitions)
        held = [partition for partition in partitions if broker in partition.replicas]
        in_sync = f"{sum(broker in partition.isrs for partition in held)}/{len(held)}"
        print(
            f"{broker:<7} {process:<17} {'yes' if broker in answers else 'no':<8} {leads:<6} {in_sync:<8} "
            f"{entry['plaintext']:<16} {entry['sasl_ssl']}"
        )
    return answers == set(brokers)


def main() -> int:
    verb, bed, *words = sys.argv[1:]
    well = ready(Path(bed), [int(word) for word in words]) if verb == "ready" else status(Path(bed))
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
