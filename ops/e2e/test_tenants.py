"""No route shows or changes what is another tenant's: each of them, by a stranger, by an admin and by nobody."""

from dataclasses import dataclass, field

import pytest
import requests

from harness.api import TIMEOUT_S, Api
from harness.coffer import Coffer
from harness.document import Operation, operations

BELOW = "/v1.0/{tenant}"
# Whoever asks gets an answer. A new one has to be thought about.
FOR_EVERYONE = {
    *("GET /", "GET /v1.0", "GET /v1.0/", "GET /openapi.json"),
    *("GET /healthcheck", "GET /healthz", "GET /readyz", "GET /metrics"),
    *("GET /v3", "GET /v3/", "POST /v3/auth/tokens"),
}
# Refused before anything is looked for, as by Trove.
NEVER_SHOWN = "GET /v1.0/{tenant}/instances/{instance}/databases/{database}"
OPERATIONS = [operation for operation in operations() if operation.path.startswith(BELOW)]


@dataclass
class People:
    owner: Api
    rival: Api
    # Of a project of its own.
    admin: Api
    # What stands in braces, all of it the owner's.
    names: dict[str, str]
    # What nobody else may see, and no request names.
    marks: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def people(coffer: Coffer) -> People:
    owner = coffer.api
    writer = {"name": "writer", "password": "pw-of-writer-1", "databases": [{"name": "shop"}]}
    group = owner.post(
        "/configurations", {"configuration": {"name": "secret-group", "values": {}}}, expected=200
    ).json()
    group = group["configuration"]["id"]
    instance = owner.create("secret-instance", databases=[{"name": "shop"}], users=[writer], configuration=group)
    names = {
        "instance": instance["id"],
        "group": group,
        "id": owner.tenant,
        "user": "writer",
        "database": "shop",
        "datastore": "mysql",
        "version": instance["datastore"]["version"],
        "flavor": instance["flavor"]["id"],
    }
    _, _, rival = coffer.another_user("rival")
    _, _, admin = coffer.another_user("operations", "admin")
    return People(owner, rival, admin, names, ["secret-instance", "secret-group", instance["ip"][0]])


def send(people: People, operation: Operation, token: str, tenant: str) -> requests.Response:
    path = operation.path.replace("{tenant}", tenant)
    for name, value in people.names.items():
        path = path.replace(f"{{{name}}}", value)
    body = operation.body(
        {"instance": people.names["instance"], "configuration": people.names["group"], "flavorRef": "1"}
    )
    headers = {"Accept": "application/json"} | ({"X-Auth-Token": token} if token else {})
    root = people.owner.endpoint.partition("/v1.0")[0]
    return requests.request(operation.method, root + path, json=body, headers=headers, timeout=TIMEOUT_S)


def test_what_is_for_everyone_is_known():
    assert {str(operation) for operation in operations()} - {str(operation) for operation in OPERATIONS} == FOR_EVERYONE


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_nobody_comes_in_without_a_token(people: People, operation: Operation):
    for token in ("", "nonsense"):
        assert send(people, operation, token, people.owner.tenant).status_code == 401


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_nobody_comes_into_the_path_of_another(people: People, operation: Operation):
    for other in (people.rival, people.admin):
        answer = send(people, operation, other.token, people.owner.tenant)
        words = f"User with tenant id {other.tenant} cannot access this resource."
        assert answer.status_code == 403, answer.text
        assert words in answer.json()["message"]


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_a_stranger_finds_nothing_under_its_own_path(people: People, operation: Operation):
    answer = send(people, operation, people.rival.token, people.rival.tenant)
    expected = status_for_a_stranger(operation)
    assert answer.status_code == expected or (expected == 0 and is_no_fault(answer)), answer.text
    assert not [mark for mark in [*people.marks, people.owner.tenant] if mark in shown(answer, people)], answer.text


def status_for_a_stranger(operation: Operation) -> int:
    """0 where none of the owner's things is named."""
    if operation.path.startswith(f"{BELOW}/mgmt/"):
        return 403 if str(operation) == f"GET {BELOW}/mgmt/quotas/{{id}}" else 401
    if str(operation) == NEVER_SHOWN:
        return 501
    if "{instance}" in operation.path or "{group}" in operation.path:
        return 404
    # Of an instance of the owner's, and one with a group of the owner's.
    if str(operation) in {f"POST {BELOW}/backups", f"POST {BELOW}/instances"}:
        return 404
    return 0


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_an_admin_finds_others_things_below_mgmt_alone(people: People, operation: Operation):
    answer = send(people, operation, people.admin.token, people.admin.tenant)
    if operation.path.startswith(f"{BELOW}/mgmt/"):
        assert is_no_fault(answer) and answer.status_code not in {401, 403}, answer.text
        return
    expected = status_for_a_stranger(operation)
    assert answer.status_code == expected or (expected == 0 and is_no_fault(answer)), answer.text
    assert not [mark for mark in [*people.marks, people.owner.tenant] if mark in shown(answer, people)], answer.text


def test_an_admin_sees_everyones_instances_below_mgmt(people: People):
    assert [row["name"] for row in people.admin.get("/mgmt/instances")["instances"]] == ["secret-instance"]
    quotas = people.admin.get(f"/mgmt/quotas/{people.owner.tenant}")["quotas"]
    assert {quota["in_use"] for quota in quotas if quota["resource"] == "instances"} == {1}


def test_a_group_of_another_cannot_be_attached_to_an_instance_of_ones_own(people: People):
    mine = people.rival.create("mine")["id"]
    body = {"instance": {"configuration": people.names["group"]}}
    for method in ("PUT", "PATCH"):
        assert people.rival.request(method, f"/instances/{mine}", json=body).status_code == 404
    assert "configuration" not in people.rival.instance(mine)
    people.rival.delete(f"/instances/{mine}")
    people.rival.wait_gone(mine)


def test_after_all_that_the_owner_has_what_it_had(people: People):
    instance = people.owner.wait_healthy(people.names["instance"])
    assert (instance["name"], instance["configuration"]["id"]) == ("secret-instance", people.names["group"])
    assert people.owner.users(people.names["instance"]) == {"writer"}
    base = f"/instances/{people.names['instance']}"
    assert people.owner.get(f"{base}/databases") == {"databases": [{"name": "shop"}]}
    assert people.owner.get(f"{base}/root") == {"rootEnabled": False}
    for other in (people.rival, people.admin):
        assert other.instances() == []
        assert other.quota_in_use() == dict.fromkeys(("instances", "volumes", "ram", "backups"), 0)


def is_no_fault(answer: requests.Response) -> bool:
    return answer.status_code < 500 or answer.status_code == 501


def shown(answer: requests.Response, people: People) -> str:
    """What is answered, without what the request named."""
    return answer.text.replace(people.rival.tenant, "").replace(people.admin.tenant, "")
