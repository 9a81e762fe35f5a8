"""Calls to the provider, and the agent's work, that fail: each effect of a create and of a delete, in every way."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness import processes
from harness.coffer import Coffer
from harness.wait import wait_for

# Coffers side by side. Those whose delete fails again and again only wait, most of the time.
WORKERS = 3
# Eight attempts, with pauses that double up to a minute.
GIVES_UP_TIMEOUT_S = 240
ERROR_TIMEOUT_S = 60
PREPARING_TIMEOUT_S = 60
# Ways of failing that the work survives.
SURVIVED = ("once", "timeout", "twice")
PASSWORD = "pw-of-keeper-1"
# What a tenant is told contains none of these.
INTERNAL = ("_", "::", "{", "}", "[", "]", "/", "rehearsed", "attempt", "os error", PASSWORD)


@dataclass(frozen=True)
class Case:
    """One effect that fails in one way; `words` is what a tenant calls what it deals with."""

    operation: str
    step: str
    way: str

    @property
    def fail_effect(self) -> str:
        return f"{self.step}:{self.way}"

    @property
    def words(self) -> str:
        return self.step.rpartition("_")[2]


def calls(bin_dir: Path, operation: str) -> list[str]:
    done = subprocess.run([bin_dir / "coffer", "effects", operation], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.timeout(900)
def test_every_effect_in_every_way(
    bin_dir: Path, new_coffer: Callable[[], Coffer], subtests: pytest.Subtests, capsys: pytest.CaptureFixture[str]
):
    # The slow ones first: the others find their time beside them.
    cases = [Case("delete", step, "always") for step in calls(bin_dir, "delete")]
    for operation in ("create", "delete"):
        steps = calls(bin_dir, operation)
        assert len(steps) >= 3
        cases += [Case(operation, step, way) for way in SURVIVED for step in steps]
    cases += [Case("create", step, "always") for step in calls(bin_dir, "create")]
    with capsys.disabled():
        print(f"\n  {len(cases)} cases")
    coffers = {case: new_coffer() for case in cases}
    with ThreadPoolExecutor(WORKERS + len(calls(bin_dir, "delete"))) as pool:
        for case, failure in zip(cases, pool.map(lambda case: play(coffers[case], case), cases), strict=True):
            with subtests.test(case=f"{case.operation}/{case.fail_effect}"):
                assert failure is None, failure


def play(coffer: Coffer, case: Case) -> str | None:
    """Lives one case through; what went wrong, or None."""
    try:
        if case.operation == "create":
            create_fails(coffer, case)
        else:
            delete_fails(coffer, case)
        nothing_left(coffer)
        coffer.stop()
    except Exception as error:
        return f"{type(error).__name__}: {error}\n{coffer.log_tail()}"
    return None


def create_fails(coffer: Coffer, case: Case) -> None:
    coffer.start(fail_effect=case.fail_effect)
    if case.way == "always":
        instance = order(coffer)
        row = wait_error(coffer, instance, ERROR_TIMEOUT_S)
        check_words(row["fault"], case.words)
        # What was made is taken away before anybody asks.
        wait_for("nothing to be left", lambda: not coffer.leftovers(instance), ERROR_TIMEOUT_S)
    else:
        instance = coffer.api.wait_healthy(order(coffer))["id"]
        assert len(processes.engines(coffer.state_dir, instance)) == 1
        assert coffer.api.quota_in_use()["instances"] == 1
    coffer.api.remove(instance)


def delete_fails(coffer: Coffer, case: Case) -> None:
    coffer.start()
    instance = coffer.api.wait_healthy(order(coffer))["id"]
    coffer.stop()
    coffer.start(fail_effect=case.fail_effect)
    if case.way == "always":
        coffer.api.delete(f"/instances/{instance}")
        row = wait_error(coffer, instance, GIVES_UP_TIMEOUT_S)
        check_words(row["fault"], case.words)
        assert coffer.api.quota_in_use()["instances"] == 1, "it is still there, and counts"
        coffer.stop()
        coffer.start()
    coffer.api.remove(instance)


def test_an_engine_that_cannot_be_set_up(new_coffer: Callable[[], Coffer]):
    coffer = new_coffer()
    # The pause before the second attempt leaves time to spoil the volume.
    coffer.start(fail_effect="ensure_server:once")
    instance = order(coffer)
    data = coffer.state_dir / "local" / "volumes" / instance / "data"
    wait_for("the volume", data.is_dir, ERROR_TIMEOUT_S, 0.01)
    home, owner = data / "mysql", data.stat()
    home.mkdir()
    os.chown(home, owner.st_uid, owner.st_gid)
    # What an earlier attempt has left, and whoever comes next cannot take away.
    spoiled = home / "data.new"
    spoiled.mkdir()
    (spoiled / "stays").touch()
    spoiled.chmod(0)
    row = wait_error(coffer, instance, ERROR_TIMEOUT_S)
    check_words(row["fault"], "database server")
    # As an ordinary user even Coffer could not look into it.
    with contextlib.suppress(FileNotFoundError):
        spoiled.chmod(0o700)
    coffer.api.remove(instance)
    nothing_left(coffer)


def test_an_agent_that_dies_while_it_sets_the_engine_up(new_coffer: Callable[[], Coffer]):
    coffer = new_coffer()
    coffer.start()
    instance = order(coffer)
    data = coffer.state_dir / "local" / "volumes" / instance / "data"
    wait_for("the setting up to begin", (data / "mysql").exists, PREPARING_TIMEOUT_S, 0.01)
    for process in processes.mentioning(instance):
        if process.program == "coffer-agent":
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
    row = coffer.api.wait_healthy(instance)
    assert len(processes.engines(coffer.state_dir, row["id"])) == 1
    assert coffer.api.databases(instance) == {"vault"}
    coffer.api.remove(instance)
    nothing_left(coffer)


def order(coffer: Coffer) -> str:
    users = [{"name": "keeper", "password": PASSWORD, "databases": [{"name": "vault"}]}]
    return coffer.api.order("failing", databases=[{"name": "vault"}], users=users)


def wait_error(coffer: Coffer, instance: str, timeout_s: float) -> dict[str, Any]:
    def probe() -> dict[str, Any] | None:
        row = coffer.api.instance(instance)
        assert row, f"instance {instance} vanished"
        return row if row["status"] == "ERROR" else None

    return wait_for(f"instance {instance} to be in ERROR", probe, timeout_s)


def check_words(fault: dict[str, str], words: str) -> None:
    """A tenant understands what went wrong and what to do."""
    message = fault["message"]
    assert words in message, message
    assert "again" in message and message.endswith("."), message
    assert len(message) < 300, message
    found = [word for word in INTERNAL if word in message]
    assert not found, f"{found} in {message}"
    assert PASSWORD not in fault["details"]


def nothing_left(coffer: Coffer) -> None:
    local = coffer.state_dir / "local"
    wait_for("no process to be left", lambda: not processes.engines(coffer.state_dir), 10)
    for directory in ("volumes", "servers", "addresses"):
        wait_for(f"no {directory} to be left", lambda path=local / directory: not list(path.iterdir()), 10)
    assert coffer.api.instances() == []
    assert set(coffer.api.quota_in_use().values()) == {0}
