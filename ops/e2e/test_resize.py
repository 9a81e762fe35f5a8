"""Another flavor and a larger volume, ordered with the clients that tenants have, seen by a client of the database."""

import pytest

from harness import processes
from harness.clients import OpenStack, query
from harness.coffer import Coffer
from harness.wait import wait_for

MIB = 1024 * 1024
RESIZE_TIMEOUT_S = 120
USER, PASSWORD, DATABASE = "writer", "pw-of-writer-1", "shop"


@pytest.fixture(scope="module")
def openstack(coffer: Coffer) -> OpenStack:
    return OpenStack(coffer.endpoints()["auth_url"], "demo", coffer.password, "demo")


@pytest.fixture
def instance(coffer: Coffer):
    row = coffer.api.create(
        "sized",
        databases=[{"name": DATABASE}],
        users=[{"name": USER, "password": PASSWORD, "databases": [{"name": DATABASE}]}],
    )
    query(row["ip"][0], USER, PASSWORD, DATABASE, "CREATE TABLE kept (n INT)", "INSERT INTO kept VALUES (42)")
    yield row
    coffer.api.remove(row["id"])


def sized_for(row: dict) -> tuple[int, int]:
    """The buffer pool in MiB, and connections."""
    [found] = query(
        row["ip"][0], USER, PASSWORD, DATABASE, "SELECT @@innodb_buffer_pool_size, @@max_connections, n FROM kept"
    )
    pool, connections, kept = found
    assert kept == 42, "the data are there"
    return pool // MIB, connections


def await_resized(coffer: Coffer, row: dict, **wanted: str | int) -> dict:
    def probe() -> dict | None:
        now = coffer.api.instance(row["id"])
        assert "fault" not in now, now["fault"]
        found = {"flavor": now["flavor"]["id"], "size": now["volume"]["size"]}
        at_rest = (now["status"], now["operating_status"]) == ("ACTIVE", "HEALTHY")
        return now if at_rest and wanted.items() <= found.items() else None

    now = wait_for(f"{wanted}", probe, RESIZE_TIMEOUT_S)
    assert now["ip"] == row["ip"], "its address stays"
    return now


def test_a_flavor_and_a_volume_with_openstack(coffer: Coffer, openstack: OpenStack, instance: dict):
    assert sized_for(instance) == (128, 64)
    openstack.text("database", "instance", "resize", "flavor", instance["id"], "2")
    assert coffer.api.status(instance["id"])[0] in ("RESIZE", "ACTIVE")
    await_resized(coffer, instance, flavor="2")
    assert sized_for(instance) == (256, 128)
    assert coffer.api.quota_in_use()["ram"] == 512
    engines = processes.engines(coffer.state_dir, instance["id"])
    assert len(engines) == 1

    openstack.text("database", "instance", "resize", "volume", instance["id"], "3")
    grown = await_resized(coffer, instance, size=3, flavor="2")
    assert coffer.api.quota_in_use()["volumes"] == 3
    assert processes.engines(coffer.state_dir, instance["id"]) == engines, "the engine goes on"
    assert grown["volume"]["used"] < 3
    assert sized_for(instance) == (256, 128)


def test_with_the_trove_shell(coffer: Coffer, openstack: OpenStack, instance: dict):
    openstack.trove_text("resize-volume", instance["id"], "2")
    await_resized(coffer, instance, size=2)
    openstack.trove_text("resize-instance", instance["id"], "2")
    await_resized(coffer, instance, size=2, flavor="2")
    assert sized_for(instance) == (256, 128)


@pytest.fixture(scope="module")
def unchanged(coffer: Coffer):
    row = coffer.api.create("unchanged")
    yield row
    coffer.api.remove(row["id"])


@pytest.mark.parametrize(
    ("resize", "status", "words"),
    [
        ({"volume": {"size": 1}}, 400, "must be larger"),
        ({"volume": {"size": 11}}, 413, "cannot exceed maximum of 10 GB"),
        ({"flavorRef": "1"}, 400, "must be different"),
        ({"flavorRef": "99"}, 400, "Resource 99 cannot be found."),
    ],
)
def test_what_cannot_be(coffer: Coffer, unchanged: dict, resize: dict, status: int, words: str):
    row = unchanged
    answer = coffer.api.request("POST", f"/instances/{row['id']}/action", json={"resize": resize})
    assert answer.status_code == status and words in answer.text, answer.text
    assert coffer.api.status(row["id"]) == ("ACTIVE", "HEALTHY")


def test_a_delete_wins(coffer: Coffer):
    row = coffer.api.create("won")
    coffer.api.post(f"/instances/{row['id']}/action", {"resize": {"flavorRef": 2}})
    coffer.api.delete(f"/instances/{row['id']}")
    coffer.api.wait_gone(row["id"])
    wait_for("nothing to be left", lambda: not coffer.leftovers(row["id"]), 10)
