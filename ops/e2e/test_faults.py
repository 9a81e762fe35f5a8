"""Programs that die beside Coffer: the agent, its supervisor, the engine, the broker."""

import os
import secrets
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness import processes
from harness.clients import can_log_in, query
from harness.coffer import Coffer
from harness.processes import Process
from harness.wait import hold_for, wait_for

# Within this an engine that is down must show in `operating_status`.
SHOWN_TIMEOUT_S = 30
HEALED_TIMEOUT_S = 60


@dataclass(frozen=True)
class Guest:
    """A healthy instance with one row in it."""

    coffer: Coffer
    id: str
    address: str
    user: str = "keeper"
    password: str = "pw-of-keeper-1"
    database: str = "vault"

    def engine(self) -> Process | None:
        found = processes.engines(self.coffer.state_dir, self.id)
        assert len(found) <= 1, f"{len(found)} engines on one volume: {found}"
        return found[0] if found else None

    def agents(self) -> list[Process]:
        return [found for found in processes.mentioning(self.id) if found.program == "coffer-agent"]

    def supervisors(self) -> list[Process]:
        """The program that keeps the agents of this Coffer running."""
        found = processes.mentioning(str(self.coffer.state_dir))
        return [process for process in found if process.program == "coffer" and process.pid != self.coffer.pid]

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        return query(self.address, self.user, self.password, self.database, statement)

    def operating_status(self) -> str:
        return self.coffer.api.status(self.id)[1]

    def wait_obedient(self) -> None:
        """Its agent carries out orders: a status alone may be an old one."""
        name, password = f"probe_{secrets.token_hex(3)}", secrets.token_hex(8)
        body = {"users": [{"name": name, "password": password, "databases": [{"name": self.database}]}]}
        path = f"/instances/{self.id}/users"
        ordered = wait_for(
            "an order to be accepted",
            lambda: (answer := self.coffer.api.request("POST", path, json=body)).status_code != 422 and answer,
            HEALED_TIMEOUT_S,
        )
        assert ordered.status_code == 202, ordered.text
        account = (self.address, name, password, self.database)
        wait_for("the order to be carried out", lambda: can_log_in(*account), HEALED_TIMEOUT_S)
        self.coffer.api.delete(f"{path}/{name}")

    def wait_whole(self) -> None:
        """Healthy again, with its data, and one engine."""
        self.coffer.api.wait_healthy(self.id, HEALED_TIMEOUT_S)
        account = (self.address, self.user, self.password, self.database)
        wait_for("the user to log in", lambda: can_log_in(*account), HEALED_TIMEOUT_S)
        assert self.query("SELECT n FROM kept") == [(42,)]
        assert self.engine()


@pytest.fixture(scope="module")
def made(coffer: Coffer) -> Guest:
    row = coffer.api.create(
        "guest",
        databases=[{"name": Guest.database}],
        users=[{"name": Guest.user, "password": Guest.password, "databases": [{"name": Guest.database}]}],
    )
    guest = Guest(coffer, row["id"], row["ip"][0])
    guest.query("CREATE TABLE kept (n INT)")
    guest.query("INSERT INTO kept VALUES (42)")
    return guest


@pytest.fixture
def guest(made: Guest) -> Iterator[Guest]:
    made.wait_whole()
    yield made
    made.wait_whole()


def test_a_killed_engine_is_started_again(guest: Guest):
    engine = guest.engine()
    assert engine
    os.kill(engine.pid, signal.SIGKILL)
    wait_for("another engine", lambda: (now := guest.engine()) and now.pid != engine.pid, HEALED_TIMEOUT_S)
    guest.wait_whole()


def test_a_frozen_engine_is_shown(guest: Guest):
    engine = guest.engine()
    assert engine
    os.kill(engine.pid, signal.SIGSTOP)
    try:
        wait_for("operating_status to say so", lambda: guest.operating_status() != "HEALTHY", SHOWN_TIMEOUT_S)
    finally:
        os.kill(engine.pid, signal.SIGCONT)
    guest.wait_whole()


def test_an_engine_that_cannot_start_is_shown(guest: Guest):
    engine = guest.engine()
    assert engine
    data_dir = next(Path(word.partition("=")[2]) for word in engine.command_line if word.startswith("--datadir="))
    mode = data_dir.stat().st_mode
    data_dir.chmod(0)  # whatever starts it again, unprivileged as it is, fails
    try:
        os.kill(engine.pid, signal.SIGKILL)
        wait_for("operating_status to say so", lambda: guest.operating_status() != "HEALTHY", SHOWN_TIMEOUT_S)
        hold_for("staying unhealthy", lambda: guest.operating_status() != "HEALTHY", 5)
    finally:
        data_dir.chmod(mode)
    guest.wait_whole()


def test_a_killed_agent_comes_back_and_adopts_the_engine(guest: Guest):
    engine = guest.engine()
    (agent,) = guest.agents()
    os.kill(agent.pid, signal.SIGKILL)
    wait_for("another agent", lambda: {found.pid for found in guest.agents()} - {agent.pid}, HEALED_TIMEOUT_S)
    guest.wait_obedient()
    guest.wait_whole()
    assert guest.engine() == engine, "the engine was restarted, not adopted"


def test_a_killed_supervisor_is_replaced(guest: Guest):
    engine = guest.engine()
    (supervisor,) = guest.supervisors()
    os.kill(supervisor.pid, signal.SIGKILL)
    wait_for(
        "another supervisor", lambda: {found.pid for found in guest.supervisors()} - {supervisor.pid}, HEALED_TIMEOUT_S
    )
    wait_for("exactly one agent", lambda: len(guest.agents()) == 1, HEALED_TIMEOUT_S)
    guest.wait_obedient()
    guest.wait_whole()
    assert guest.engine() == engine, "the engine was restarted, not adopted"


def test_an_agent_and_an_engine_killed_together_come_back(guest: Guest):
    engine = guest.engine()
    (agent,) = guest.agents()
    assert engine
    os.kill(agent.pid, signal.SIGKILL)
    os.kill(engine.pid, signal.SIGKILL)
    wait_for("another engine", lambda: (now := guest.engine()) and now.pid != engine.pid, HEALED_TIMEOUT_S)
    guest.wait_obedient()
    guest.wait_whole()


def test_an_emptied_broker_is_found_again(guest: Guest):
    before = guest.coffer.endpoints()["kafka"]
    guest.coffer.process.send_signal(signal.SIGUSR1)
    wait_for("another broker", lambda: guest.coffer.endpoints()["kafka"] != before, SHOWN_TIMEOUT_S)
    guest.wait_obedient()
    guest.wait_whole()
