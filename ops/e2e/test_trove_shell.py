"""The old `trove` shell, on the walk that people have taken with it for ten years, table by table."""

import ast
import json
import re

import pytest

from harness.clients import OpenStack, can_log_in, query
from harness.coffer import Coffer
from harness.wait import wait_for

APPLY_TIMEOUT_S = 60
# What the tables of an instance have had since 2016, in their order.
PROPERTIES = ("created", "datastore", "datastore_version", "flavor", "id", "name", "status", "updated", "volume")
CHARSETS = {
    "character_set_client": "utf8",
    "character_set_connection": "utf8",
    "character_set_database": "utf8",
    "character_set_filesystem": "utf8",
    "character_set_results": "utf8",
    "character_set_server": "utf8",
    "collation_connection": "utf8_unicode_ci",
    "collation_database": "utf8_unicode_ci",
    "collation_server": "utf8_unicode_ci",
}


@pytest.fixture(scope="module")
def shell(coffer: Coffer) -> OpenStack:
    return OpenStack(coffer.endpoints()["auth_url"], "demo", coffer.password, "demo")


def table(shell: OpenStack, *words: str) -> list[dict[str, str]]:
    """What the shell prints for people: a row is what stands under each column's name."""
    lines = [line for line in shell.trove_text(*words).splitlines() if line.startswith("|")]
    # On Python 3 the shell shows some texts as bytes.
    cells = [[re.sub(r"^b'(.*)'$", r"\1", cell.strip()) for cell in line.strip("|").split("|")] for line in lines]
    return [dict(zip(cells[0], row, strict=True)) for row in cells[1:]]


def properties(shell: OpenStack, *words: str) -> dict[str, str]:
    """The table of one thing."""
    rows = table(shell, *words)
    assert set(rows[0]) == {"Property", "Value"}
    return {row["Property"]: row["Value"] for row in rows}


def charsets(address: str) -> list[str]:
    """What the engine has."""
    variables = ", ".join(f"CAST(@@GLOBAL.{name} AS CHAR)" for name in CHARSETS)
    return list(query(address, "admin", "admin", "mydb", f"SELECT {variables}")[0])


def test_the_walk(coffer: Coffer, shell: OpenStack):
    # What there is to order.
    (datastore,) = table(shell, "datastore-list")
    assert datastore["Name"] == "mysql"
    (version,) = table(shell, "datastore-version-list", datastore["ID"])
    assert version["Name"] == "10.11"
    flavors = {row["ID"]: row["RAM"] for row in table(shell, "flavor-list")}
    assert flavors["6"] == "8192"

    # The order.
    words = ("--size=1", "--datastore_version", version["ID"], "--datastore", datastore["ID"])
    created = properties(shell, "create", "master_1", "6", *words)
    assert [name for name in created if name in PROPERTIES] == list(PROPERTIES)
    expected = {"datastore": "mysql", "datastore_version": "10.11", "flavor": "6", "name": "master_1", "volume": "1"}
    assert {name: created[name] for name in expected} == expected
    assert created["status"] == "BUILD"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", created["created"])
    instance = created["id"]
    (listed,) = table(shell, "list")
    assert (listed["ID"], listed["Name"], listed["Flavor ID"], listed["Size"]) == (instance, "master_1", "6", "1")
    address = coffer.api.wait_healthy(instance)["ip"][0]
    shown = properties(shell, "show", "master_1")
    assert [name for name in shown if name in PROPERTIES] == list(PROPERTIES)
    assert (shown["status"], shown["ip"]) == ("ACTIVE", address)

    # Nine values for the charsets.
    words = ("--datastore", "mysql", "--datastore_version", "10.11")
    group = properties(shell, "configuration-create", "utf8", json.dumps(CHARSETS), *words)
    assert ast.literal_eval(group["values"]) == CHARSETS
    (row,) = table(shell, "configuration-list")
    assert (row["ID"], row["Name"], row["Datastore Name"]) == (group["id"], "utf8", "mysql")
    assert properties(shell, "configuration-show", "utf8")["instance_count"] == "0"
    shell.trove_text("configuration-attach", "master_1", "utf8")
    (row,) = table(shell, "configuration-instances", "utf8")
    assert (row["ID"], row["Name"]) == (instance, "master_1")
    assert properties(shell, "show", "master_1")["configuration"] == group["id"]

    # Something to work in, and somebody to do it.
    shell.trove_text("database-create", "master_1", "mydb")
    assert [row["Name"] for row in table(shell, "database-list", "master_1")] == ["mydb"]
    shell.trove_text("user-create", "master_1", "admin", "admin", "--host", "%", "--databases", "mydb")
    (user,) = table(shell, "user-list", "master_1")
    assert (user["Name"], user["Host"], user["Databases"]) == ("admin", "%", "mydb")
    wait_for("the user to log in", lambda: can_log_in(address, "admin", "admin", "mydb"), APPLY_TIMEOUT_S)
    wanted = [value.replace("utf8", "utf8mb3") for value in CHARSETS.values()]
    wait_for("the engine to have the charsets", lambda: charsets(address) == wanted, APPLY_TIMEOUT_S)

    # And the end of it.
    shell.trove_text("configuration-detach", "master_1")
    wait_for("the engine to be as it was", lambda: charsets(address) != wanted, APPLY_TIMEOUT_S)
    shell.trove_text("delete", "master_1")
    coffer.api.wait_gone(instance)
    shell.trove_text("configuration-delete", "utf8")
    assert table(shell, "list") == []
