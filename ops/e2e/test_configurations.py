"""Configuration groups, by the clients that tenants have, asserted in the engine."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.clients import OpenStack, query
from harness.coffer import Coffer
from harness.wait import wait_for

APPLY_TIMEOUT_S = 60
GENERATE = Path(__file__).parents[1] / "parameters" / "generate"


@dataclass(frozen=True)
class Engine:
    id: str
    address: str

    def has(self, name: str) -> str:
        """A variable of the whole engine."""
        rows = query(self.address, "writer", "pw-of-writer-1", None, f"SELECT CAST(@@GLOBAL.{name} AS CHAR)")
        return str(rows[0][0])


@pytest.fixture(scope="module")
def openstack(coffer: Coffer) -> OpenStack:
    return OpenStack(coffer.endpoints()["auth_url"], "demo", coffer.password, "demo")


@pytest.fixture(scope="module")
def engine(coffer: Coffer, openstack: OpenStack) -> Engine:
    words = "database instance create tuned --flavor db.tiny --size 1 --databases shop --users writer:pw-of-writer-1"
    created = openstack.json(*words.split(), "--datastore", "mysql", "--datastore-version", "10.11")
    return Engine(created["id"], coffer.api.wait_healthy(created["id"])["ip"][0])


def group(openstack: OpenStack, name: str, values: dict[str, object]) -> str:
    words = ("database", "configuration", "create", name, json.dumps(values), "--datastore", "mysql")
    return openstack.json(*words, "--datastore-version", "10.11")["id"]


def test_the_parameters_are_those_of_the_installed_engine():
    subprocess.run([GENERATE, "--check"], check=True)


def test_values_that_need_a_restart(coffer: Coffer, openstack: OpenStack, engine: Engine):
    made = group(openstack, "words", {"ft_min_word_len": 6, "max_connections": 50})
    openstack.text("database", "configuration", "attach", engine.id, made)
    needs_restart = lambda: coffer.api.status(engine.id)[0] == "RESTART_REQUIRED"  # noqa: E731
    wait_for("the instance to ask for a restart", needs_restart, APPLY_TIMEOUT_S)
    assert (engine.has("ft_min_word_len"), engine.has("max_connections")) == ("4", "50")
    openstack.text("database", "instance", "restart", engine.id)
    coffer.api.wait_healthy(engine.id)
    assert (engine.has("ft_min_word_len"), engine.has("max_connections")) == ("6", "50")
    # A change of the group reaches its instances.
    openstack.text("database", "configuration", "parameter", "set", made, json.dumps({"max_connections": 60}))
    wait_for("the change to reach the engine", lambda: engine.has("max_connections") == "60", APPLY_TIMEOUT_S)
    assert openstack.json("database", "configuration", "show", made)["instance_count"] == 1
    assert openstack.names("database", "configuration", "instances", made) == {"tuned"}
    assert openstack.run("database", "configuration", "delete", made).returncode != 0
    # What the engine alone can refuse leaves it as it was, and is told.
    bad = {"max_connections": 70, "time_zone": "Atlantis"}
    openstack.text("database", "configuration", "parameter", "set", made, json.dumps(bad))
    fault = lambda: coffer.api.instance(engine.id).get("fault", {}).get("message", "")  # noqa: E731
    wait_for("the fault to be told", lambda: "time_zone" in fault(), APPLY_TIMEOUT_S)
    assert engine.has("max_connections") == "60"
    openstack.text("database", "configuration", "detach", engine.id)
    wait_for("the defaults to be back", lambda: engine.has("max_connections") == "64", APPLY_TIMEOUT_S)
    openstack.text("database", "configuration", "delete", made)


def test_an_instance_that_is_ordered_with_a_group(coffer: Coffer, openstack: OpenStack):
    made = group(openstack, "first", {"ft_min_word_len": 6, "max_connections": 50})
    words = "database instance create ordered --flavor db.tiny --size 1 --databases shop --users writer:pw-of-writer-1"
    created = openstack.json(*words.split(), "--datastore", "mysql", "--configuration", made)
    engine = Engine(created["id"], coffer.api.wait_healthy(created["id"])["ip"][0])
    assert (engine.has("ft_min_word_len"), engine.has("max_connections")) == ("6", "50"), "from the first start"


def test_what_is_shown(openstack: OpenStack, engine: Engine):
    listed = {
        row["Name"]: row
        for row in openstack.json("database", "configuration", "parameter", "list", "10.11", "--datastore", "mysql")
    }
    assert "max_connections" in listed and "datadir" not in listed
    shown = openstack.json(
        "database", "configuration", "parameter", "show", "10.11", "max_connections", "--datastore", "mysql"
    )
    assert (shown["type"], int(shown["min"]), int(shown["max"])) == ("integer", 10, 100000)
    defaults = openstack.json("database", "configuration", "default", engine.id)
    assert defaults["max_connections"] == "64"
