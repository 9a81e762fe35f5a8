"""What is not built yet, as the real clients see it: empty lists, and refusals that say so. And what admins see."""

import importlib.metadata
import re
from pathlib import Path

import pytest

from harness.clients import OpenStack
from harness.coffer import Coffer

PAGE = Path(__file__).parents[1] / "docs" / "trove-parity.md"


@pytest.fixture(scope="module")
def tenant(coffer: Coffer) -> OpenStack:
    return OpenStack(coffer.endpoints()["auth_url"], "demo", coffer.password, "demo")


@pytest.fixture(scope="module")
def operator(coffer: Coffer) -> OpenStack:
    """An admin of another project."""
    name, password, _ = coffer.another_user("operations", "admin")
    return OpenStack(coffer.endpoints()["auth_url"], name, password, "operations")


@pytest.fixture(scope="module")
def instance(coffer: Coffer) -> str:
    return coffer.api.create("first")["id"]


def test_the_page_has_every_command_of_the_plugin():
    section = PAGE.read_text().split("\n## Commands of `openstack`\n")[1].split("\n## ")[0]
    written = set(re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE))
    installed = importlib.metadata.entry_points(group="openstack.database.v1")
    assert written == {entry.name.replace("_", " ") for entry in installed}


@pytest.mark.parametrize(
    "words",
    [
        "database backup list",
        "database backup list instance first",
        "database backup strategy list",
        "database configuration list",
        "database cluster list",
    ],
)
def test_there_are_none(tenant: OpenStack, instance: str, words: str):
    assert tenant.json(*words.split()) == []


def test_there_are_none_in_the_old_shell(tenant: OpenStack, instance: str):
    for words in (
        "backup-list",
        "configuration-list",
        "cluster-list",
        "module-list",
        f"module-list-instance {instance}",
    ):
        assert tenant.trove_json(*words.split()) == [], words


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        ("database backup create b1 --instance first", "Backups are not supported yet. (HTTP 501)"),
        ("database backup show b1", "b1"),
        ("database backup strategy create --swift-container c", "Backup strategies are not supported yet. (HTTP 501)"),
        (
            'database configuration create c1 {"max_connections":5} --datastore mysql --datastore-version 10.11',
            "max_connections is not from 10 to 100000. (HTTP 422)",
        ),
        ('database configuration create c1 {"datadir":"/"} --datastore mysql', "datadir is not supported"),
        (
            "database cluster create k1 mysql 10.11 --instance flavor=1,volume=1",
            "Clusters not supported for mysql-10.11. (HTTP 501)",
        ),
        ("database log list first", "Log actions are not supported. (HTTP 501)"),
        ("database ssl show first", "SSL of an instance is not supported yet. (HTTP 501)"),
        ("database instance promote first", "'promote_to_replica_source' is not supported yet. (HTTP 501)"),
        ("database instance upgrade first 10.11", "'datastore_version' is not supported yet. (HTTP 501)"),
        ("database instance create r1 --replica-of first", "'replica_of'"),
        ("database instance reboot first", "(HTTP 401)"),
        ("datastore delete mysql", "(HTTP 403)"),
    ],
)
def test_refusals_that_say_so(coffer: Coffer, tenant: OpenStack, instance: str, words: str, refusal: str):
    done = tenant.run(*words.replace("first", instance).split())
    assert done.returncode != 0, done.stdout
    assert refusal in done.stderr, done.stderr
    assert coffer.api.status(instance) == ("ACTIVE", "HEALTHY")


def test_quotas(coffer: Coffer, tenant: OpenStack, operator: OpenStack):
    project = coffer.api.tenant
    resources = {"instances", "volumes", "ram", "backups"}
    assert {row["Resource"] for row in tenant.json("database", "quota", "show", project)} == resources
    assert {row["resource"] for row in operator.trove_json("quota-show", project)} == resources
    # More of it is in test_quotas.py.
    operator.text("database", "quota", "update", project, "instances", "5")
    assert coffer.api.get("/limits")["limits"][0]["max_instances"] == 5
    operator.trove_text("quota-update", project, "instances", "10")
    assert coffer.api.get("/limits")["limits"][0]["max_instances"] == 10


def test_an_admin_sees_and_mends_instances_of_all_tenants(
    coffer: Coffer, tenant: OpenStack, operator: OpenStack, instance: str
):
    assert operator.json("database", "instance", "list") == []
    everyones = operator.json("database", "instance", "list", "--all-projects")
    assert [row["ID"] for row in everyones] == [instance]
    assert tenant.run("database", "instance", "list", "--all-projects").returncode != 0
    operator.text("database", "instance", "reboot", instance)
    coffer.api.wait_healthy(instance)
    refused = operator.run("database", "instance", "rebuild", instance, "3fa85f64-5717-4562-b3fc-2c963f66afa6")
    assert refused.returncode != 0
    assert "'rebuild' is not supported yet. (HTTP 501)" in refused.stderr
