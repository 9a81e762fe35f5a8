"""Users, rights and root by the clients that tenants have, and what a MySQL client makes of them afterwards."""

from dataclasses import dataclass

import pymysql
import pytest

from harness.clients import OpenStack, can_log_in, connection, query
from harness.coffer import Coffer
from harness.wait import wait_for

# The API answers 202 once the engine has done it, or after 10 s all the same.
DONE_TIMEOUT_S = 30


@dataclass(frozen=True)
class Ordered:
    """A healthy instance with the databases `shop` and `stock`, and the user `app` with rights on `shop`."""

    id: str
    address: str
    password: str = "pw-of-app-1"


@pytest.fixture(scope="module")
def openstack(coffer: Coffer) -> OpenStack:
    return OpenStack(coffer.endpoints()["auth_url"], "demo", coffer.password, "demo")


@pytest.fixture(scope="module")
def ordered(coffer: Coffer) -> Ordered:
    row = coffer.api.create(
        "first",
        databases=[{"name": "shop"}, {"name": "stock"}],
        users=[{"name": "app", "password": Ordered.password, "databases": [{"name": "shop"}]}],
    )
    return Ordered(row["id"], row["ip"][0])


def wait_for_login(ordered: Ordered, user: str, password: str, database: str | None = None):
    account = (ordered.address, user, password, database)
    wait_for(f"{user} to log in", lambda: can_log_in(*account), DONE_TIMEOUT_S)


def wait_for_refusal(ordered: Ordered, user: str, password: str, database: str | None = None):
    account = (ordered.address, user, password, database)
    wait_for(f"{user} to be shut out", lambda: not can_log_in(*account), DONE_TIMEOUT_S)


def test_rights_are_given_and_taken(openstack: OpenStack, ordered: Ordered):
    access = ("database", "user", "show", "access", "first", "app")
    assert openstack.names(*access) == {"shop"}
    assert not can_log_in(ordered.address, "app", ordered.password, "stock")
    openstack.text("database", "user", "grant", "access", "first", "app", "stock")
    wait_for_login(ordered, "app", ordered.password, "stock")
    query(ordered.address, "app", ordered.password, "stock", "CREATE TABLE t (n INT)", "INSERT INTO t VALUES (1)")
    wait_for("both to be listed", lambda: openstack.names(*access) == {"shop", "stock"}, DONE_TIMEOUT_S)

    openstack.text("database", "user", "revoke", "access", "first", "app", "shop")
    wait_for_refusal(ordered, "app", ordered.password, "shop")
    assert can_log_in(ordered.address, "app", ordered.password, "stock")
    wait_for("one to be listed", lambda: openstack.names(*access) == {"stock"}, DONE_TIMEOUT_S)
    openstack.text("database", "user", "grant", "access", "first", "app", "shop", "stock")
    wait_for_login(ordered, "app", ordered.password, "shop")


def test_attributes_are_changed(openstack: OpenStack, ordered: Ordered):
    openstack.text("database", "user", "create", "first", "clerk", "pw-of-clerk-1", "--databases", "shop")
    wait_for_login(ordered, "clerk", "pw-of-clerk-1", "shop")
    change = ("database", "user", "update", "attributes", "first")
    openstack.text(*change, "clerk", "--new_password", "pw-of-clerk-2")
    wait_for_login(ordered, "clerk", "pw-of-clerk-2", "shop")
    assert not can_log_in(ordered.address, "clerk", "pw-of-clerk-1"), "the old password still counts"

    openstack.text(*change, "clerk", "--new_name", "seller")
    wait_for_login(ordered, "seller", "pw-of-clerk-2", "shop")
    assert not can_log_in(ordered.address, "clerk", "pw-of-clerk-2"), "the old name still counts"
    shown = openstack.json("database", "user", "show", "first", "seller")
    assert (shown["name"], shown["host"], shown["databases"]) == ("seller", "%", [{"name": "shop"}])
    assert openstack.run("database", "user", "show", "first", "clerk").returncode != 0

    # Clients on this machine come from another address than that.
    openstack.text(*change, "seller", "--new_host", "10.0.0.%")
    wait_for_refusal(ordered, "seller", "pw-of-clerk-2")
    shown = openstack.json("database", "user", "show", "first", "seller", "--host", "10.0.0.%")
    assert shown["host"] == "10.0.0.%"
    openstack.text("database", "user", "delete", "first", "seller", "--host", "10.0.0.%")


def test_passwords_of_several_are_changed(coffer: Coffer, ordered: Ordered):
    users = [{"name": name, "password": f"pw-of-{name}-1"} for name in ("one", "two")]
    path = f"/instances/{ordered.id}/users"
    coffer.api.post(path, {"users": users})
    new = [{"name": name, "password": f"pw-of-{name}-2"} for name in ("one", "two")]
    unknown = [*new, {"name": "three", "password": "pw-of-three-2"}]
    assert coffer.api.request("PUT", path, json={"users": unknown}).status_code == 404
    assert can_log_in(ordered.address, "one", "pw-of-one-1"), "one was changed without the others"
    assert coffer.api.request("PUT", path, json={"users": new}).status_code == 202
    for name in ("one", "two"):
        wait_for_login(ordered, name, f"pw-of-{name}-2")
        assert not can_log_in(ordered.address, name, f"pw-of-{name}-1")
        coffer.api.delete(f"{path}/{name}")


def test_root_comes_and_goes(openstack: OpenStack, ordered: Ordered):
    assert openstack.run("database", "root", "disable", "first").returncode != 0, "it was never enabled"
    password = "pw-of-root-1"
    root = openstack.json("database", "root", "enable", "first", "--root_password", password)
    assert root == {"name": "root", "password": password}
    wait_for_login(ordered, "root", password, "mysql")
    assert openstack.json("database", "root", "show", "first")["is_root_enabled"]

    with connection(ordered.address, "root", password) as session, session.cursor() as cursor:
        cursor.execute("SELECT 1")
        openstack.text("database", "root", "disable", "first")
        with pytest.raises(pymysql.MySQLError):
            cursor.execute("SELECT 1")
    assert not can_log_in(ordered.address, "root", password)
    assert not openstack.json("database", "root", "show", "first")["is_root_enabled"]
    assert can_log_in(ordered.address, "app", ordered.password), "others are left alone"


def test_the_legacy_shell_changes_users_too(openstack: OpenStack, ordered: Ordered):
    openstack.trove_text("user-grant-access", ordered.id, "app", "stock")
    openstack.trove_text("user-revoke-access", ordered.id, "app", "stock")
    wait_for_refusal(ordered, "app", ordered.password, "stock")
    openstack.trove_text("user-update-attributes", ordered.id, "app", "--new_password", "pw-of-app-2")
    wait_for_login(ordered, "app", "pw-of-app-2", "shop")
