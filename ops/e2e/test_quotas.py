"""What a project may have, set by an operator with the client that operators have."""

import pytest

from harness.api import Api, order
from harness.clients import OpenStack
from harness.coffer import Coffer


@pytest.fixture(scope="module")
def operator(coffer: Coffer) -> OpenStack:
    """An admin of another project."""
    name, password, _ = coffer.another_user("operators", "admin")
    return OpenStack(coffer.endpoints()["auth_url"], name, password, "operators")


@pytest.fixture(scope="module")
def tenant(coffer: Coffer) -> Api:
    """A project of its own, with nothing in it."""
    return coffer.another_user("quota-bound")[2]


def limits(operator: OpenStack, project: str) -> dict[str, int]:
    return {row["Resource"]: row["Limit"] for row in operator.json("database", "quota", "show", project)}


def refused(api: Api) -> str:
    answer = api.request("POST", "/instances", json={"instance": order("one-more")})
    assert answer.status_code == 413, f"{answer.status_code} {answer.text}"
    return answer.json()["overLimit"]["message"]


@pytest.mark.timeout(300)
def test_a_quota_counts_at_once_and_after_a_kill(coffer: Coffer, operator: OpenStack, tenant: Api):
    before = limits(operator, tenant.tenant)
    assert before == {"instances": 10, "volumes": 40, "ram": -1, "backups": 50}
    operator.text("database", "quota", "update", tenant.tenant, "instances", "1")
    assert limits(operator, tenant.tenant) == {**before, "instances": 1}
    assert tenant.get("/limits")["limits"][0]["max_instances"] == 1
    first = tenant.order("only")
    assert refused(tenant) == "Quota exceeded for resources: ['instances']."

    # Below what there is: it stays, and is used.
    operator.text("database", "quota", "update", tenant.tenant, "instances", "0")
    tenant.wait_healthy(first)
    coffer.kill()
    coffer.start()
    again = Api(coffer.endpoints()["auth_url"], "demo", coffer.password, "demo")
    assert again.get("/limits")["limits"][0]["max_instances"] == 10, "another project's is as it was"
    assert limits(operator_of(coffer, operator), tenant.tenant)["instances"] == 0


def operator_of(coffer: Coffer, operator: OpenStack) -> OpenStack:
    """The same operator, where Coffer listens now."""
    return OpenStack(coffer.endpoints()["auth_url"], operator.user, operator.password, operator.project)


def test_a_limit_can_be_taken_away_and_needs_an_admin(coffer: Coffer, operator: OpenStack):
    name, password, api = coffer.another_user("quota-free")
    operator = operator_of(coffer, operator)
    operator.text("database", "quota", "update", api.tenant, "volumes", "-1")
    assert limits(operator, api.tenant)["volumes"] == -1
    member = OpenStack(coffer.endpoints()["auth_url"], name, password, "quota-free")
    done = member.run("database", "quota", "update", api.tenant, "volumes", "7")
    assert done.returncode != 0
    assert "admin" in done.stderr
    unknown = operator.run("database", "quota", "update", api.tenant, "cats", "7")
    assert unknown.returncode != 0
    assert "Unknown quota resources" in unknown.stderr
    assert limits(operator, api.tenant)["volumes"] == -1
    assert coffer.findings("admin", "check") == []
