"""What operators do to instances and ask of their agents: stop, reboot, diagnostics, hardware, ping."""

import os
import signal

import pytest
import requests

from harness import processes
from harness.api import Api
from harness.clients import OpenStack, can_log_in
from harness.coffer import Coffer
from harness.wait import wait_for

STOP_TIMEOUT_S = 60


@pytest.fixture(scope="module")
def operator(coffer: Coffer) -> Api:
    """An admin of another project."""
    return coffer.another_user("operators", "admin")[2]


@pytest.fixture(scope="module")
def instance(coffer: Coffer) -> dict:
    return coffer.api.create(
        "looked-after",
        databases=[{"name": "shop"}],
        users=[{"name": "app", "password": "pw-of-app-1", "databases": [{"name": "shop"}]}],
    )


def ask(operator: Api, instance: dict, question: str) -> requests.Response:
    return operator.request("GET", f"/mgmt/instances/{instance['id']}/{question}")


def act(operator: Api, instance: dict, action: str) -> None:
    operator.post(f"/mgmt/instances/{instance['id']}/action", {action: {}})


def agent(instance: dict) -> processes.Process:
    (found,) = [found for found in processes.mentioning(instance["id"]) if found.program == "coffer-agent"]
    return found


def test_agents_are_asked(coffer: Coffer, operator: Api, instance: dict):
    ping = ask(operator, instance, "rpc_ping")
    assert (ping.status_code, ping.text) == (204, "")
    hardware = ask(operator, instance, "hwinfo").json()["hwinfo"]
    assert hardware["num_cpus"] == len(os.sched_getaffinity(0))
    assert hardware["mem_total"] > 100_000
    diagnostics = ask(operator, instance, "diagnostics").json()["diagnostics"]
    assert diagnostics["threads"] > 1
    assert 10_000 < diagnostics["vmRss"] <= diagnostics["vmHwm"] <= diagnostics["vmPeak"]
    assert diagnostics["version"]
    member = coffer.api.request("GET", f"/mgmt/instances/{instance['id']}/rpc_ping")
    assert member.status_code == 401


def test_an_agent_that_does_not_answer_is_told_in_time(operator: Api, instance: dict):
    process = agent(instance)
    os.kill(process.pid, signal.SIGSTOP)
    try:
        late = ask(operator, instance, "rpc_ping")
        assert late.status_code == 503, late.text
        assert "did not answer within 5 s" in late.text
        assert "Retry-After" in late.headers
    finally:
        os.kill(process.pid, signal.SIGCONT)
    wait_for("it to answer again", lambda: ask(operator, instance, "rpc_ping").status_code == 204, 30)


@pytest.mark.timeout(300)
def test_a_stopped_engine_stays_stopped_whatever_is_killed(coffer: Coffer, operator: Api, instance: dict):
    address, account = instance["ip"][0], ("app", "pw-of-app-1", "shop")
    assert can_log_in(address, *account)
    act(operator, instance, "stop")
    stopped = ("SHUTDOWN", "SHUTDOWN")
    wait_for("it to be stopped", lambda: coffer.api.status(instance["id"]) == stopped, STOP_TIMEOUT_S)
    assert not can_log_in(address, *account)
    assert not processes.engines(coffer.state_dir)
    refused = coffer.api.request("POST", f"/instances/{instance['id']}/databases", json={"databases": [{"name": "x"}]})
    assert refused.status_code == 422, refused.text
    assert ask(operator, instance, "diagnostics").status_code == 422, "there is no engine to tell of"

    # The agent is brought back by its supervisor, the control plane by us.
    before = agent(instance)
    os.kill(before.pid, signal.SIGKILL)
    wait_for("another agent", lambda: agent_or_none(instance) not in {None, before.pid}, STOP_TIMEOUT_S)
    coffer.kill()
    coffer.start()
    operator = coffer.another_user("operators", "admin")[2]
    wait_for("the agent to be heard", lambda: ask(operator, instance, "rpc_ping").status_code == 204, STOP_TIMEOUT_S)
    assert coffer.api.status(instance["id"]) == stopped
    assert not processes.engines(coffer.state_dir)
    assert coffer.findings("admin", "check") == []

    tenant = OpenStack(coffer.endpoints()["auth_url"], "demo", coffer.password, "demo")
    tenant.text("database", "instance", "restart", instance["id"])
    coffer.api.wait_healthy(instance["id"])
    assert can_log_in(address, *account)


def agent_or_none(instance: dict) -> int | None:
    found = [found for found in processes.mentioning(instance["id"]) if found.program == "coffer-agent"]
    return found[0].pid if len(found) == 1 else None


def test_an_operator_reboots_and_moves_nothing(coffer: Coffer, instance: dict):
    name, password, operator = coffer.another_user("operators", "admin")
    (before,) = processes.engines(coffer.state_dir)
    client = OpenStack(coffer.endpoints()["auth_url"], name, password, "operators")
    client.text("database", "instance", "reboot", instance["id"])
    coffer.api.wait_healthy(instance["id"])
    (after,) = processes.engines(coffer.state_dir)
    assert before.pid != after.pid
    refused = operator.request("POST", f"/mgmt/instances/{instance['id']}/action", json={"migrate": {"host": "h2"}})
    assert refused.status_code == 501
    assert "there is one host" in refused.text
