"""A real Kafka of its own for a test: `ops/testbed/kafka/run`, and clients of it."""

import json
import subprocess
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

RUN = Path(__file__).parents[2] / "testbed" / "kafka" / "run"
# Longer than the test bed itself waits for its brokers.
RUN_TIMEOUT_S = 240
TIMEOUT_S = 30


class Bed:
    """One test bed in a directory."""

    def __init__(self, directory: Path, brokers: int) -> None:
        self.directory = directory
        self.brokers = brokers

    def run(self, verb: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [RUN, verb, "--dir", self.directory, *words],
            capture_output=True,
            text=True,
            timeout=RUN_TIMEOUT_S,
            check=False,
        )

    def do(self, verb: str, *words: str) -> None:
        done = self.run(verb, *words)
        assert done.returncode == 0, f"{verb} {' '.join(words)}: {done.stdout} {done.stderr}"

    def up(self) -> None:
        self.do("up", "--brokers", str(self.brokers))

    @property
    def endpoints(self) -> dict[str, Any]:
        return json.loads((self.directory / "endpoints.json").read_text())

    @property
    def pids(self) -> dict[str, int | None]:
        return {broker: entry["pid"] for broker, entry in self.endpoints["brokers"].items()}

    @property
    def admin_password(self) -> str:
        return Path(self.endpoints["admin_password_file"]).read_text().strip()

    @property
    def plain(self) -> dict[str, Any]:
        """A client's settings for the plain listener, where everything is allowed."""
        return {"bootstrap.servers": self.endpoints["plaintext"]}

    def user(self, name: str, password: str) -> dict[str, Any]:
        """A client's settings for a user who logs in."""
        return {
            "bootstrap.servers": self.endpoints["sasl_ssl"],
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": self.endpoints["ca_file"],
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": name,
            "sasl.password": password,
        }

    @property
    def admin(self) -> AdminClient:
        """The admin, who logs in like everybody else."""
        return AdminClient(self.user("admin", self.admin_password))

    def new_topic(self, name: str, partitions: int = 1) -> str:
        """Makes a topic with the copies that the test bed has by default."""
        admin = self.admin
        self._wait(admin.create_topics([NewTopic(name, partitions)], operation_timeout=TIMEOUT_S))
        return name

    def new_user(self, name: str, password: str) -> None:
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        wanted = UserScramCredentialUpsertion(name, info, password.encode())
        admin = self.admin
        self._wait(admin.alter_user_scram_credentials([wanted]))

    def grant(self, user: str, operation: AclOperation, name: str, kind: ResourceType = ResourceType.TOPIC) -> None:
        """Lets a user do this to a topic, or to a thing of another kind."""
        rule = AclBinding(
            *(kind, name, ResourcePatternType.LITERAL),
            *(f"User:{user}", "*", operation, AclPermissionType.ALLOW),
        )
        admin = self.admin
        self._wait(admin.create_acls([rule]))

    @staticmethod
    def _wait(asked: dict[Any, Future]) -> None:
        """Waits for the answers. Who asks holds the client until then: with it the questions end too."""
        for answer in asked.values():
            answer.result(TIMEOUT_S)
