"""How long a killed node's partitions are without an owner: from SIGKILL to the first commit of the next one."""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from .kafka import Bed
from .nodes import Nodes
from .served import Served

TIMEOUT_S = 60
SHIPPED_SESSION_TIMEOUT_MS = 6000


def owner(nodes: Nodes, instance: str) -> Served:
    """Whose the tenant's partition is: a node that does not own it hands its orders on."""
    first, second = nodes.members

    def forwarded() -> float:
        return first.metric("coffer_commands_forwarded_total", result="accepted")

    before = forwarded()
    rename(nodes, first, instance, "who")
    return second if forwarded() > before else first


def rename(nodes: Nodes, node: Served, instance: str, name: str) -> None:
    """Orders something small until it is accepted; a node waits for the partition's next owner by itself."""
    api = nodes.api(node, 0)
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        answer = api.request("PATCH", f"/instances/{instance}", json={"instance": {"name": name}}, timeout=TIMEOUT_S)
        if answer.status_code == 202:
            return
        assert time.monotonic() < deadline, answer.text


def measure(kills: int, session_timeout_ms: int) -> list[float]:
    """Seconds of each kill."""
    bin_dir = Path(os.environ["COFFER_BIN_DIR"])
    seconds = []
    with tempfile.TemporaryDirectory() as directory:
        bed = Bed(Path(directory) / "kafka", 1)
        bed.up()
        nodes = Nodes(bin_dir, bed, 2, 1, session_timeout_ms)
        try:
            api = nodes.api(nodes.members[0], 0)
            instance = api.create("moved-about")["id"]
            for kill in range(kills):
                nodes.wait_shared(*nodes.members)
                victim = owner(nodes, instance)
                survivor = next(node for node in nodes.members if node is not victim)
                # So that its first connection and token are not measured.
                rename(nodes, survivor, instance, "warm")
                began = time.monotonic()
                victim.kill()
                rename(nodes, survivor, instance, f"after-{kill}")
                seconds.append(time.monotonic() - began)
                victim.start()
        finally:
            nodes.clean()
            bed.do("down", "--wipe")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--session-timeout-ms", type=int, default=SHIPPED_SESSION_TIMEOUT_MS)
    asked = parser.parse_args()
    seconds = sorted(measure(asked.kills, asked.session_timeout_ms))
    limit = asked.session_timeout_ms / 1000
    p50 = statistics.median(seconds)
    print(f"{len(seconds)} kills, from SIGKILL to the next owner's first commit, as a client of the other node sees it")
    print(f"p50 {p50:.1f} s, the slowest {seconds[-1]:.1f} s; all: {' '.join(f'{one:.1f}' for one in seconds)}")
    print(f"limit: the group waits {limit:g} s for a silent node; p50 is {p50 / limit:.2f} of that")


if __name__ == "__main__":
    main()
