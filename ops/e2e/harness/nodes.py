"""Several `coffer serve` that share their partitions through a Kafka, and the databases of one host."""

import itertools
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from .api import Api
from .kafka import Bed
from .served import Served
from .wait import wait_for

PARTITIONS = 16
# Enough for each node to own the partition of one, nearly always.
TENANTS = 4
# As short as the test bed's brokers allow it to be worth while.
SESSION_TIMEOUT_MS = 2000
# Until partitions have found their owners, on a machine that is busy with other tests.
SHARED_TIMEOUT_S = 60
# What a client does not wait for any longer.
REQUEST_TIMEOUT_S = 30


class Nodes:
    """Nodes with one deployment key, one set of users and one directory of databases."""

    def __init__(
        self, bin_dir: Path, bed: Bed, count: int, projects: int, session_timeout_ms: int = SESSION_TIMEOUT_MS
    ) -> None:
        self.members = [Served(bin_dir) for _ in range(count)]
        first, *others = self.members
        for number, node in enumerate(self.members):
            with node.config.open("a") as config:
                config.write(
                    f'\n[broker]\nlog = "kafka"\nbootstrap_servers = "{bed.endpoints["plaintext"]}"\n'
                    f'node = "node-{number}"\nsession_timeout_ms = {session_timeout_ms}\n'
                )
                if number > 0:
                    config.write(f'\n[provider]\ndirectory = "{first.state_dir / "local"}"\n')
        first.start()
        self.operator = first.another_user("operators", "admin")[:2]
        self.tenants = [first.another_user(f"project-{number}")[:2] for number in range(projects)]
        for node in others:
            for name in ("deployment.key", "users.json"):
                shutil.copy2(first.state_dir / name, node.state_dir / name)
            node.user_password = first.user_password
            node.start()
        self.wait_shared(*self.members)

    def owned(self, node: Served) -> int:
        return int(node.metric("coffer_partitions_owned"))

    def wait_shared(self, *nodes: Served) -> None:
        """Until these have all partitions between them, each its part."""

        def is_shared() -> bool:
            owned = [self.owned(node) for node in nodes]
            return sum(owned) == PARTITIONS and min(owned) > 0

        wait_for(f"{len(nodes)} nodes to share the partitions", is_shared, SHARED_TIMEOUT_S)

    def api(self, node: Served, tenant: int) -> Api:
        """The API of a node as one of the tenants sees it."""
        name, password = self.tenants[tenant]
        return Api(node.endpoints()["auth_url"], name, password, f"project-{tenant}")

    def operators_api(self, node: Served) -> Api:
        """The API of a node as its operator sees it."""
        return Api(node.endpoints()["auth_url"], *self.operator, "operators")

    def clean(self) -> None:
        for node in reversed(self.members):
            if node.process is not None:
                node.kill()
        for node in reversed(self.members):
            node.clean()


class Load:
    """Clients that order databases at all times: what is acknowledged, and what went wrong."""

    def __init__(self, apis: list[list[Api]], instances: list[str]) -> None:
        # For each tenant its API at each node, and its instance.
        self.apis = apis
        self.instances = instances
        self.acknowledged: list[set[str]] = [set() for _ in instances]
        self.refused: list[str] = []
        self.failed_reads: list[str] = []
        self._ends = threading.Event()

    @contextmanager
    def running(self, nodes: list[int], readers: list[int]) -> Iterator[None]:
        """Orders go to these nodes in turn, reads to those readers."""
        threads = [threading.Thread(target=self._order, args=(tenant, nodes)) for tenant in range(len(self.instances))]
        threads += [threading.Thread(target=self._read, args=(node,)) for node in readers]
        self._ends.clear()
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ends.set()
            for thread in threads:
                thread.join()

    def count(self) -> int:
        return sum(map(len, self.acknowledged))

    def _order(self, tenant: int, nodes: list[int]) -> None:
        for number, node in zip(itertools.count(), itertools.cycle(nodes), strict=False):
            if self._ends.is_set():
                return
            name = f"db_{time.monotonic_ns()}_{number}"
            body = {"databases": [{"name": name}]}
            try:
                path = f"/instances/{self.instances[tenant]}/databases"
                answer = self.apis[tenant][node].request("POST", path, json=body, timeout=REQUEST_TIMEOUT_S)
            except requests.RequestException as error:
                self.refused.append(f"node {node}: {error}")
                continue
            if answer.status_code == 202:
                self.acknowledged[tenant].add(name)
            else:
                self.refused.append(f"node {node}: {answer.status_code} {answer.text}")

    def _read(self, node: int) -> None:
        while not self._ends.is_set():
            for tenant, instance in enumerate(self.instances):
                try:
                    answer = self.apis[tenant][node].request("GET", f"/instances/{instance}")
                except requests.RequestException as error:
                    self.failed_reads.append(f"node {node}: {error}")
                    continue
                if answer.status_code != 200:
                    self.failed_reads.append(f"node {node}: {answer.status_code} {answer.text}")
