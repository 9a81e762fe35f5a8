"""`kill -9` of Coffer at every border of a create, a delete and a resize, where its durability is decided."""

import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import pytest
import requests

from harness import processes
from harness.api import Api, order
from harness.coffer import Coffer
from harness.wait import wait_for

# Coffers side by side: each create keeps one core busy for some seconds.
WORKERS = 2
CRASH_TIMEOUT_S = 90
SIGKILLED = 137


@dataclass(frozen=True)
class Round:
    """One instance's life: killed at one border of its create, and at one of its delete."""

    number: int
    create_border: str | None
    delete_border: str | None


def borders(bin_dir: Path, operation: str) -> list[str]:
    done = subprocess.run([bin_dir / "coffer", "borders", operation], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.timeout(900)
def test_a_kill_at_every_border(
    bin_dir: Path, new_coffer: Callable[[], Coffer], subtests: pytest.Subtests, capsys: pytest.CaptureFixture[str]
):
    creates, deletes = borders(bin_dir, "create"), borders(bin_dir, "delete")
    assert creates and deletes
    assert len(set(creates)) == len(creates) and len(set(deletes)) == len(deletes)
    rounds = [Round(number, *pair) for number, pair in enumerate(zip_longest(creates, deletes))]
    with capsys.disabled():
        print(f"\n  {len(creates)} borders of a create and {len(deletes)} of a delete")
    lanes = [(new_coffer(), rounds[lane::WORKERS]) for lane in range(WORKERS)]
    with ThreadPoolExecutor(WORKERS) as pool:
        for results in pool.map(lambda lane: [play(lane[0], one) for one in lane[1]], lanes):
            for border, failure in (item for result in results for item in result.items()):
                with subtests.test(border=border):
                    assert failure is None, failure


@pytest.mark.timeout(600)
def test_a_kill_at_every_border_of_a_resize(bin_dir: Path, new_coffer: Callable[[], Coffer], subtests: pytest.Subtests):
    coffer = new_coffer()
    coffer.start()
    instance = coffer.api.create("sized")["id"]
    coffer.stop()
    memory = {"1": 256, "2": 512}
    flavor = "1"
    for border in borders(bin_dir, "resize-flavor"):
        flavor = "2" if flavor == "1" else "1"
        with subtests.test(border=border):
            resize_through_crash(coffer, instance, flavor, border)
            row = coffer.api.wait_healthy(instance)
            assert row["flavor"]["id"] == flavor and "fault" not in row, row
            assert coffer.api.quota_in_use()["ram"] == memory[flavor]
            assert len(processes.engines(coffer.state_dir)) == 1
            coffer.stop()


def resize_through_crash(coffer: Coffer, instance: str, flavor: str, border: str) -> None:
    """Orders another flavor of a Coffer that kills itself at `border`, and sees it through after a restart."""
    coffer.start(crash_at=border)
    coffer.api.wait_healthy(instance)
    order_flavor = {"resize": {"flavorRef": flavor}}
    answered = False
    try:
        coffer.api.post(f"/instances/{instance}/action", order_flavor)
        answered = True
    except requests.RequestException:
        answered = False  # it died with the request in its hands: nobody knows yet
    assert coffer.wait_killed(CRASH_TIMEOUT_S) == SIGKILLED
    coffer.start()
    row = coffer.api.instance(instance)
    if row["status"] == "ACTIVE" and row["flavor"]["id"] != flavor:
        assert not answered, "an answered resize was lost"
        coffer.api.wait_healthy(instance)
        coffer.api.post(f"/instances/{instance}/action", order_flavor)


def play(coffer: Coffer, one: Round) -> dict[str, str | None]:
    """One round; what went wrong at each of its borders, or None."""
    results: dict[str, str | None] = {}
    name = f"round-{one.number}"
    instance = ""
    try:
        instance = create_through_crash(coffer, name, one.create_border)
        if one.create_border:
            results[f"create {one.create_border}"] = None
    except Exception as error:
        return {f"create {one.create_border}": describe(error)} | recover(coffer)
    try:
        delete_through_crash(coffer, instance, one.delete_border)
        if one.delete_border:
            results[f"delete {one.delete_border}"] = None
    except Exception as error:
        results |= {f"delete {one.delete_border}": describe(error)} | recover(coffer)
    return results


def create_through_crash(coffer: Coffer, name: str, border: str | None) -> str:
    """Orders an instance of a Coffer that kills itself at `border`, and sees it through after a restart."""
    if border is None:
        coffer.start()
        return coffer.api.create(name)["id"]
    coffer.start(crash_at=border)
    answered = None
    try:
        answered = coffer.api.order(name)
    except requests.RequestException:
        answered = None  # it died with the request in its hands: nobody knows yet
    assert coffer.wait_killed(CRASH_TIMEOUT_S) == SIGKILLED
    coffer.start()
    instance = found_or_ordered_again(coffer.api, name)
    assert answered in (None, instance), "an answered order was lost"
    coffer.api.wait_healthy(instance)
    only_instance(coffer, instance)
    coffer.stop()
    return instance


def found_or_ordered_again(api: Api, name: str) -> str:
    """What a careful client does that got no answer: looks first."""
    found = api.named(name)
    assert len(found) <= 1, f"{len(found)} instances of one order"
    return found[0]["id"] if found else api.post("/instances", {"instance": order(name)}, 200).json()["instance"]["id"]


def delete_through_crash(coffer: Coffer, instance: str, border: str | None) -> None:
    if coffer.process is None:
        coffer.start(crash_at=border or "")
    if border is None:
        coffer.api.remove(instance)
    else:
        answered = False
        try:
            coffer.api.delete(f"/instances/{instance}")
            answered = True
        except requests.RequestException:
            answered = False
        assert coffer.wait_killed(CRASH_TIMEOUT_S) == SIGKILLED
        coffer.start()
        status, _ = coffer.api.status(instance)
        if status == "ACTIVE":
            assert not answered, "an answered delete was lost"
            coffer.api.delete(f"/instances/{instance}")
        coffer.api.wait_gone(instance)
    nothing_left(coffer, instance)
    coffer.stop()


def only_instance(coffer: Coffer, instance: str) -> None:
    """Exactly one engine, one volume, one charge."""
    engines = processes.engines(coffer.state_dir)
    assert len(engines) == 1 and processes.engines(coffer.state_dir, instance), f"engines: {engines}"
    assert [row["id"] for row in coffer.api.instances()] == [instance]
    in_use = coffer.api.quota_in_use()
    assert (in_use["instances"], in_use["volumes"]) == (1, 1), in_use


def nothing_left(coffer: Coffer, instance: str) -> None:
    wait_for("nothing to be left", lambda: not coffer.leftovers(instance), 10)
    assert processes.engines(coffer.state_dir) == []
    assert coffer.api.instances() == []
    assert set(coffer.api.quota_in_use().values()) == {0}


def recover(coffer: Coffer) -> dict[str, str | None]:
    """After a failure: an empty Coffer for the next round, so that one failure does not bring on others."""
    try:
        if coffer.process is None or coffer.is_dead():
            coffer.process = None
            coffer.start()
        for row in coffer.api.instances():
            coffer.api.remove(row["id"])
        coffer.stop()
    except Exception as error:
        return {"(recovery after a failure)": describe(error)}
    return {}


def describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
