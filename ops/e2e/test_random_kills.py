"""`kill -9` of Coffer at random moments of creates and deletes. COFFER_SEED repeats a run."""

import contextlib
import os
import random
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from harness import processes
from harness.coffer import Coffer
from harness.wait import wait_for

KILLS = 20
WORKERS = 2
# The kill falls within these times after the order is sent: about twice what a create takes, and a delete.
CREATE_SPAN_S = 3.0
DELETE_SPAN_S = 0.6


@pytest.mark.timeout(900)
def test_kills_at_random_moments(new_coffer: Callable[[], Coffer], capsys: pytest.CaptureFixture[str]):
    seed = int(os.environ.get("COFFER_SEED") or secrets.randbelow(2**32))
    with capsys.disabled():
        print(f"\n  {KILLS} kills, COFFER_SEED={seed}")
    chance = random.Random(seed)
    rounds = [(chance.uniform(0, CREATE_SPAN_S), chance.uniform(0, DELETE_SPAN_S)) for _ in range(KILLS // 2)]
    coffers = [new_coffer() for _ in range(WORKERS)]
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(lambda lane: play(coffers[lane], rounds[lane::WORKERS]), range(WORKERS)))


def play(coffer: Coffer, rounds: list[tuple[float, float]]) -> None:
    coffer.start()
    for create_after_s, delete_after_s in rounds:
        moment = f"seconds after the create {create_after_s:.3f}, after the delete {delete_after_s:.3f}"
        try:
            instance = create_through_kill(coffer, f"{create_after_s:.3f}", create_after_s)
            delete_through_kill(coffer, instance, delete_after_s)
        except Exception as error:
            raise AssertionError(f"{moment}: {error}") from error


def create_through_kill(coffer: Coffer, name: str, after_s: float) -> str:
    with killed_after(coffer, after_s), contextlib.suppress(requests.RequestException):
        coffer.api.order(name)
    coffer.start()
    found = coffer.api.named(name)
    assert len(found) <= 1, f"{len(found)} instances of one order"
    instance = found[0]["id"] if found else coffer.api.order(name)
    coffer.api.wait_healthy(instance)
    engines = processes.engines(coffer.state_dir)
    assert len(engines) == 1 and processes.engines(coffer.state_dir, instance), f"engines: {engines}"
    return instance


def delete_through_kill(coffer: Coffer, instance: str, after_s: float) -> None:
    with killed_after(coffer, after_s), contextlib.suppress(requests.RequestException):
        coffer.api.delete(f"/instances/{instance}")
    coffer.start()
    if coffer.api.status(instance)[0] == "ACTIVE":
        coffer.api.delete(f"/instances/{instance}")
    coffer.api.wait_gone(instance)
    wait_for("nothing to be left", lambda: not coffer.leftovers(instance), 10)
    assert processes.engines(coffer.state_dir) == []
    assert coffer.api.instances() == []
    assert set(coffer.api.quota_in_use().values()) == {0}


@contextlib.contextmanager
def killed_after(coffer: Coffer, seconds: float):
    """Kills Coffer that long after the block began; ends when it is dead, however long the block takes."""
    timer = threading.Timer(seconds, coffer.process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.join()
        assert coffer.wait_killed(10) == 137
