"""Another name, resets of the status and forced deletes, by the clients that tenants and operators have."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from harness import processes
from harness.clients import OpenStack
from harness.coffer import Coffer
from harness.wait import wait_for

FORCED_TIMEOUT_S = 60


@pytest.fixture(scope="module")
def tenant(coffer: Coffer) -> OpenStack:
    return OpenStack(coffer.endpoints()["auth_url"], "demo", coffer.password, "demo")


@pytest.fixture(scope="module")
def operator(coffer: Coffer) -> OpenStack:
    """An admin of the same project."""
    name, password, _ = coffer.another_user("demo", "admin")
    return OpenStack(coffer.endpoints()["auth_url"], name, password, "demo")


@pytest.fixture(scope="module")
def instance(coffer: Coffer) -> str:
    return coffer.api.create("first")["id"]


def change_flag(flag: str, path: Path) -> bool:
    return subprocess.run(["chattr", flag, path], capture_output=True, check=False).returncode == 0


def test_another_name(coffer: Coffer, tenant: OpenStack, instance: str):
    tenant.text("database", "instance", "update", instance, "--name", "renamed")
    assert tenant.json("database", "instance", "show", "renamed")["id"] == instance
    answer = coffer.api.request("PATCH", f"/instances/{instance}", json={"instance": {"name": "first"}})
    assert answer.status_code == 202, answer.text
    assert [row["id"] for row in coffer.api.named("first")] == [instance]
    tenant.text("database", "instance", "update", instance, "--remove-configuration")
    refused = tenant.run("database", "instance", "update", instance, "--is-public")
    assert refused.returncode != 0
    assert "access" in refused.stderr


def test_a_reset_is_not_for_tenants(tenant: OpenStack, instance: str):
    refused = tenant.run("database", "instance", "reset", "status", instance)
    assert refused.returncode != 0
    assert "Policy doesn't allow" in refused.stderr


def test_a_stuck_restart_is_reset(coffer: Coffer, operator: OpenStack, instance: str):
    (agent,) = [found for found in processes.mentioning(instance) if found.program == "coffer-agent"]
    os.kill(agent.pid, signal.SIGSTOP)
    try:
        coffer.api.post(f"/instances/{instance}/action", {"restart": {}})
        assert coffer.api.status(instance)[0] == "REBOOT"
        operator.text("database", "instance", "reset", "status", instance)
        assert coffer.api.status(instance)[0] == "ACTIVE"
        assert "reset" in coffer.api.instance(instance)["fault"]["message"]
    finally:
        os.kill(agent.pid, signal.SIGCONT)
    coffer.api.wait_healthy(instance)


def test_an_operator_deletes_by_force(coffer: Coffer, operator: OpenStack):
    ordered = coffer.api.order("forced")
    operator.text("database", "instance", "force", "delete", ordered)
    coffer.api.wait_gone(ordered)
    wait_for("nothing to be left", lambda: not coffer.leftovers(ordered), 10)


def test_a_forced_delete_ends_and_names_what_it_leaves(coffer: Coffer):
    before = coffer.api.quota_in_use()
    row = coffer.api.create("stubborn")
    (volume,) = [Path(path) for path in coffer.leftovers(row["id"]) if Path(path).is_dir() and "volumes" in path]
    # Not even root removes what is immutable.
    if not change_flag("+i", volume):
        pytest.skip("no directory can be made immutable here")
    try:
        coffer.api.post(f"/instances/{row['id']}/action", {"reset_status": {"force_delete": True}})
        coffer.api.delete(f"/instances/{row['id']}")
        coffer.api.wait_gone(row["id"], FORCED_TIMEOUT_S)
        assert coffer.api.quota_in_use() == before
        assert coffer.metric("coffer_left_behind_total", step="delete_volume") == 1
        told = [line for line in coffer.log_tail().splitlines() if "leaves something outside" in line]
        assert len(told) == 1, told
        assert row["id"] in told[0], told
        assert volume.exists(), "what is told of is there"
    finally:
        change_flag("-i", volume)
