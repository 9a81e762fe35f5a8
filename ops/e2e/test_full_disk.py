"""A control plane whose disk is full: refused clearly, read all the same, taken up again without a restart."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from harness.api import order
from harness.coffer import Coffer
from harness.wait import hold_for, wait_for

DISK_MIB = 192
NOTICED_TIMEOUT_S = 15
RESUMED_TIMEOUT_S = 30

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")


class SmallDisk:
    """A tmpfs in the place of a stopped Coffer's store."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self.ballast = store / "ballast"
        moved = store.with_name("store.moved")
        store.rename(moved)
        store.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", store], check=True)
        shutil.copytree(moved, store, dirs_exist_ok=True)
        shutil.rmtree(moved)

    def fill(self) -> None:
        """Takes all that is left."""
        with self.ballast.open("ab", buffering=0) as ballast:
            for size in (1 << 20, 1 << 12):
                while True:
                    try:
                        ballast.write(b"\1" * size)
                    except OSError:
                        break

    def make_room(self) -> None:
        self.ballast.unlink(missing_ok=True)

    def remove(self) -> None:
        subprocess.run(["umount", "--lazy", self.store], check=True)


class Full:
    """A Coffer on a small disk, with one healthy instance."""

    def __init__(self, coffer: Coffer, disk: SmallDisk, instance: str) -> None:
        self.coffer, self.disk, self.instance = coffer, disk, instance

    def probe(self, path: str) -> requests.Response:
        return requests.get(f"{self.coffer.endpoints()['api']}{path}", timeout=10)

    def wait_ready(self, status: int, timeout_s: float) -> str:
        return wait_for(
            f"/readyz to answer {status}",
            lambda: (answer := self.probe("/readyz")).status_code == status and answer.text,
            timeout_s,
        )

    def lines(self, words: str) -> int:
        return self.coffer.log_file.read_text(errors="replace").count(words)


@pytest.fixture(scope="module")
def full(new_coffer: Callable[[], Coffer]) -> Iterator[Full]:
    coffer = new_coffer()
    coffer.start()
    instance = coffer.api.create("kept")["id"]
    coffer.stop()
    disk = SmallDisk(coffer.state_dir / "store")
    try:
        coffer.start()
        coffer.api.wait_healthy(instance)
        yield Full(coffer, disk, instance)
    finally:
        if coffer.process is not None:
            coffer.kill()
        disk.remove()


def test_orders_are_refused_reads_go_on_and_room_mends_it(full: Full):
    coffer = full.coffer
    full.disk.fill()
    reason = full.wait_ready(503, NOTICED_TIMEOUT_S)
    assert "disk" in reason and "full" in reason, reason
    assert full.probe("/healthz").status_code == 200

    before = [instance["id"] for instance in coffer.api.instances()]
    refused = coffer.api.request("POST", "/instances", json={"instance": order("refused")})
    assert refused.status_code == 503, refused.text
    assert refused.headers["Retry-After"] == "30", "a person has to make room"
    fault = refused.json()["serviceUnavailable"]
    assert fault["code"] == 503
    assert "full" in fault["message"] and "operator" in fault["message"], fault
    assert [instance["id"] for instance in coffer.api.instances()] == before, "something of it was taken"
    assert coffer.api.status(full.instance) == ("ACTIVE", "HEALTHY")
    assert coffer.metric("coffer_store_refuses", what="commands") == 1
    hold_for("the instance staying healthy", lambda: coffer.api.status(full.instance) == ("ACTIVE", "HEALTHY"), 5)
    assert full.lines("almost full: new orders are refused") == 1, "it is told once"

    full.disk.make_room()
    full.wait_ready(200, RESUMED_TIMEOUT_S)
    assert coffer.metric("coffer_store_refuses") == 0
    coffer.api.remove(coffer.api.create("after")["id"])


def test_an_instance_can_be_deleted_while_the_disk_is_full(full: Full):
    doomed = full.coffer.api.create("doomed")["id"]
    full.disk.fill()
    full.wait_ready(503, NOTICED_TIMEOUT_S)
    full.coffer.api.remove(doomed)
    full.disk.make_room()
    full.wait_ready(200, RESUMED_TIMEOUT_S)


def test_killed_while_full_it_says_why_it_cannot_start_and_starts_with_room(full: Full):
    coffer = full.coffer
    full.disk.fill()
    full.wait_ready(503, NOTICED_TIMEOUT_S)
    coffer.kill()
    coffer.start(ready=False)
    assert coffer.wait_killed(RESUMED_TIMEOUT_S) == 1
    last = coffer.log_file.read_text(errors="replace").splitlines()[-1]
    assert "file system is full" in last and "make room" in last, last

    full.disk.make_room()
    coffer.start()
    coffer.api.wait_healthy(full.instance)
    coffer.api.remove(coffer.api.create("again")["id"])
