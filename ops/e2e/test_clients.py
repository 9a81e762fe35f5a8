"""The clients that tenants already have: python-openstackclient with python-troveclient, and MariaDB's own."""

import os
import subprocess
import time
from dataclasses import dataclass

import pytest

from harness.clients import ENGINE_PORT, OpenStack, can_log_in, query
from harness.coffer import Coffer
from harness.wait import wait_for

CONTENT_TIMEOUT_S = 30


@dataclass(frozen=True)
class Ordered:
    """An instance that `openstack` ordered, and the account that came with it."""

    id: str
    address: str
    user: str = "writer"
    password: str = "pw-of-writer-1"
    database: str = "shop"


@pytest.fixture(scope="module")
def openstack(coffer: Coffer) -> OpenStack:
    return OpenStack(coffer.endpoints()["auth_url"], "demo", coffer.password, "demo")


@pytest.fixture(scope="module")
def ordered(coffer: Coffer, openstack: OpenStack) -> Ordered:
    words = (
        "database instance create first --flavor db.tiny --size 1 --datastore mysql --datastore-version 10.11 "
        f"--databases {Ordered.database} --users {Ordered.user}:{Ordered.password}"
    )
    created = openstack.json(*words.split())
    assert created["status"] == "BUILD"
    instance = coffer.api.wait_healthy(created["id"])
    return Ordered(created["id"], instance["ip"][0])


def test_the_catalogue(openstack: OpenStack):
    assert openstack.names("datastore", "list") == {"mysql"}
    assert openstack.names("datastore", "version", "list", "mysql") == {"10.11"}
    flavors = {row["Name"]: row["RAM"] for row in openstack.json("database", "flavor", "list")}
    assert flavors["db.tiny"] == 256 and flavors["db.small"] == 512


def test_limits(openstack: OpenStack):
    shown = openstack.text("database", "limit", "list")
    assert "max_instances" in shown and "max_volumes" in shown
    assert "MINUTE" not in shown, "there are no rate limits unless somebody sets them"


def test_list_and_show(openstack: OpenStack, ordered: Ordered):
    assert "first" in openstack.names("database", "instance", "list")
    shown = openstack.json("database", "instance", "show", "first")
    assert (shown["id"], shown["status"], shown["operating_status"]) == (ordered.id, "ACTIVE", "HEALTHY")
    assert (shown["datastore"], shown["datastore_version"], shown["volume"]) == ("mysql", "10.11", 1)


def test_a_mariadb_client_writes_and_reads(ordered: Ordered):
    done = subprocess.run(
        [
            *("mariadb", "--no-defaults", "--protocol=tcp", "--batch", "--skip-column-names"),
            *(f"--host={ordered.address}", f"--port={ENGINE_PORT}", f"--user={ordered.user}", ordered.database),
        ],
        input="CREATE TABLE fruit (name VARCHAR(20)); INSERT INTO fruit VALUES ('pear'); SELECT name FROM fruit;",
        env={"PATH": os.environ["PATH"], "MYSQL_PWD": ordered.password},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "pear\n"), done.stderr
    # Nobody else gets in, and this user not everywhere.
    assert not can_log_in(ordered.address, ordered.user, "wrong")
    assert not can_log_in(ordered.address, "", "")
    assert not can_log_in(ordered.address, "root", "")
    seen = query(ordered.address, ordered.user, ordered.password, None, "SHOW DATABASES")
    assert {name for (name,) in seen} == {"information_schema", ordered.database}


def test_databases(openstack: OpenStack, ordered: Ordered):
    openstack.text("database", "db", "create", "first", "extra")
    listed = ("database", "db", "list", "first")
    wait_for("the database to be listed", lambda: "extra" in openstack.names(*listed), CONTENT_TIMEOUT_S)
    openstack.text("database", "db", "delete", "first", "extra")
    wait_for("the database to be gone", lambda: "extra" not in openstack.names(*listed), CONTENT_TIMEOUT_S)
    assert ordered.database in openstack.names(*listed)


def test_users(openstack: OpenStack, ordered: Ordered):
    password = "pw-of-reader-2"
    openstack.text("database", "user", "create", "first", "reader", password, "--databases", ordered.database)
    assert {"reader", ordered.user} <= openstack.names("database", "user", "list", "first")
    account = (ordered.address, "reader", password, ordered.database)
    wait_for("the new user to log in", lambda: can_log_in(*account), CONTENT_TIMEOUT_S)
    openstack.text("database", "user", "delete", "first", "reader")
    wait_for("the user to be shut out", lambda: not can_log_in(*account), CONTENT_TIMEOUT_S)
    assert "reader" not in openstack.names("database", "user", "list", "first")


def test_root(openstack: OpenStack, ordered: Ordered):
    root = openstack.json("database", "root", "enable", "first")
    assert root["name"] == "root"
    wait_for(
        "root to log in", lambda: can_log_in(ordered.address, "root", root["password"], "mysql"), CONTENT_TIMEOUT_S
    )
    assert openstack.json("database", "root", "show", "first")["is_root_enabled"]


def test_restart(coffer: Coffer, openstack: OpenStack, ordered: Ordered):
    started = (
        "SELECT UNIX_TIMESTAMP() - VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'UPTIME'"
    )
    account = (ordered.address, ordered.user, ordered.password, ordered.database)
    query(*account, "CREATE TABLE IF NOT EXISTS kept (n INT)", "INSERT INTO kept VALUES (7)")
    before = query(*account, started)[0][0]
    openstack.text("database", "instance", "restart", "first")
    coffer.api.wait_healthy(ordered.id)
    assert query(*account, started)[0][0] > before, "the engine was not restarted"
    assert query(*account, "SELECT DISTINCT n FROM kept") == [(7,)]


def test_another_tenant_sees_nothing(coffer: Coffer, ordered: Ordered):
    name, password, other = coffer.another_user("rival")
    stranger = OpenStack(coffer.endpoints()["auth_url"], name, password, "rival")
    assert stranger.json("database", "instance", "list") == []
    assert stranger.run("database", "instance", "show", ordered.id).returncode != 0
    for path in ("", "/databases", "/users", "/root"):
        assert other.request("GET", f"/instances/{ordered.id}{path}").status_code == 404
    assert other.request("DELETE", f"/instances/{ordered.id}").status_code == 404
    assert other.request("POST", f"/instances/{ordered.id}/action", json={"restart": {}}).status_code == 404
    assert coffer.api.status(ordered.id) == ("ACTIVE", "HEALTHY")


def test_delete(coffer: Coffer, openstack: OpenStack):
    before = coffer.api.quota_in_use()
    instance = openstack.json("database", "instance", "create", "second", "--flavor", "1", "--size", "2")["id"]
    assert coffer.api.quota_in_use()["volumes"] == before["volumes"] + 2
    coffer.api.wait_healthy(instance)
    assert coffer.leftovers(instance), "what must be gone later is seen now"
    openstack.text("database", "instance", "delete", instance)
    coffer.api.wait_gone(instance)
    assert "second" not in openstack.names("database", "instance", "list")
    assert coffer.leftovers(instance) == []
    assert coffer.api.quota_in_use() == before


def test_delete_at_any_moment_of_the_create(coffer: Coffer):
    before = coffer.api.quota_in_use()
    moments_s = (0, 0.1, 0.3, 0.6, 1.0)
    ordered = []
    for after_s in moments_s:
        instance = coffer.api.order(f"early-{after_s}")
        ordered.append(instance)
        time.sleep(after_s)  # the moment is what is tested
        coffer.api.delete(f"/instances/{instance}")
    for instance in ordered:
        coffer.api.wait_gone(instance)
        wait_for("nothing to be left", lambda gone=instance: not coffer.leftovers(gone), 10)
    assert coffer.api.quota_in_use() == before
