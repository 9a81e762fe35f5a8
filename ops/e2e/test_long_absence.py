"""Coffer away for longer than every timeout: nothing turns ERROR by itself."""

import contextlib
import os
import signal
import time
from collections.abc import Callable

import requests

from harness import processes
from harness.clients import can_log_in, query
from harness.coffer import Coffer
from harness.wait import hold_for, wait_for

# Longer than every deadline, window and token: the longest of them is a day.
ABSENCE_MS = 8 * 24 * 3600 * 1000
# Long enough for a silence of 30 s to be called, were it called.
WATCH_S = 40
BUILD_TIMEOUT_S = 120
DAY_AND_AN_HOUR_MS = 25 * 3600 * 1000


def test_a_long_absence_raises_no_alarm(new_coffer: Callable[[], Coffer]):
    coffer = new_coffer()
    coffer.start()
    instance = coffer.api.create("before")["id"]
    token = coffer.api.token
    # The second one is caught in the middle of its create, the third of its delete.
    doomed = coffer.api.create("doomed")["id"]
    building = coffer.api.order("building")
    wait_for("the create to be under way", lambda: (coffer.state_dir / "local/volumes" / building).exists(), 30, 0.02)
    coffer.api.delete(f"/instances/{doomed}")
    coffer.kill()

    coffer.start(clock_offset_ms=ABSENCE_MS)
    answer = requests.get(f"{coffer.api.endpoint}/instances", headers={"X-Auth-Token": token}, timeout=10)
    assert answer.status_code == 401, "the old token has expired"
    assert "ERROR" not in coffer.api.status(instance)
    deadline = time.monotonic() + BUILD_TIMEOUT_S
    while (seen := coffer.api.status(building)) != ("ACTIVE", "HEALTHY"):
        assert "ERROR" not in seen, seen
        assert time.monotonic() < deadline, f"the create does not end: {seen}"
        time.sleep(0.2)
    coffer.api.wait_gone(doomed)
    for each in (instance, building):
        coffer.api.wait_healthy(each)
    hold_for(
        "both staying healthy",
        lambda: all(coffer.api.status(each) == ("ACTIVE", "HEALTHY") for each in (instance, building)),
        WATCH_S,
    )


def test_guests_that_died_meanwhile_come_back(new_coffer: Callable[[], Coffer]):
    """As after a restart of the host: the control plane and every guest were down."""
    coffer = new_coffer()
    coffer.start()
    password = "pw-of-keeper-1"
    row = coffer.api.create(
        "rebooted",
        databases=[{"name": "vault"}],
        users=[{"name": "keeper", "password": password, "databases": [{"name": "vault"}]}],
    )
    account = (row["ip"][0], "keeper", password, "vault")
    query(*account, "CREATE TABLE kept (n INT)", "INSERT INTO kept VALUES (42)")
    coffer.kill()
    wait_for("everything to be dead", lambda: not kill_all_of(coffer), 10)

    coffer.start(clock_offset_ms=ABSENCE_MS)
    wait_for("the user to log in", lambda: can_log_in(*account), BUILD_TIMEOUT_S)
    coffer.api.wait_healthy(row["id"])
    assert query(*account, "SELECT n FROM kept") == [(42,)]


def kill_all_of(coffer: Coffer) -> int:
    """Kills every process of this Coffer and returns how many there were."""
    found = processes.mentioning(str(coffer.state_dir))
    for process in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    return len(found)


def test_a_day_passes_in_the_middle_of_a_create(new_coffer: Callable[[], Coffer]):
    """The agent's clock too has gone on: the order is older than its journal reaches, and a new attempt is made."""
    coffer = new_coffer()
    coffer.start(clock_offset_ms=-DAY_AND_AN_HOUR_MS, crash_at="create/prepare_database/after_commit")
    with contextlib.suppress(requests.RequestException):
        coffer.api.order("yesterday")
    coffer.wait_killed(BUILD_TIMEOUT_S)

    coffer.start()
    [row] = coffer.api.instances()
    coffer.api.wait_healthy(row["id"])
