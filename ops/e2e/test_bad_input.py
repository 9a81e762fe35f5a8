"""What clients get wrong: the status and the body of Trove, and no trace left."""

from typing import Any

import pytest
import requests

from harness.api import Api, order
from harness.coffer import Coffer

ERROR_NAMES = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    413: "overLimit",
    422: "unprocessableEntity",
    501: "notImplemented",
}
# Larger than any order can be.
OVERSIZED = 3 * 1024 * 1024
ABSENT = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def api(coffer: Coffer) -> Api:
    return coffer.api


@pytest.fixture(scope="module")
def instance(api: Api) -> str:
    """A healthy instance with a database and a user."""
    row = api.create(
        "good",
        databases=[{"name": "shop"}],
        users=[{"name": "writer", "password": "pw-of-writer-1", "databases": [{"name": "shop"}]}],
    )
    return row["id"]


@pytest.fixture(autouse=True)
def no_trace(api: Api, instance: str):
    """Whatever a test does, nothing is different after it."""

    def trace() -> tuple[Any, ...]:
        return (
            [row["id"] for row in api.instances()],
            api.quota_in_use(),
            api.databases(instance),
            api.users(instance),
            api.status(instance),
        )

    before = trace()
    yield
    assert trace() == before


def assert_error(answer: requests.Response, status: int, words: str = "") -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["X-Openstack-Request-Id"].startswith("req-")
    (name, error), *others = answer.json().items()
    assert (name, others) == (ERROR_NAMES[status], [])
    assert error["code"] == status
    assert words in error["message"], error["message"]


USERS = [{"name": "writer", "password": "secret-1"}]
ORDERS: dict[str, tuple[dict[str, Any], int, str]] = {
    "no name": ({"name": None}, 400, "Validation error"),
    "empty name": ({"name": ""}, 400, "Validation error"),
    "name without a letter or digit": ({"name": "---"}, 400, "Validation error"),
    "name of 256 characters": ({"name": "n" * 256}, 400, "Validation error"),
    "unknown flavor": ({"flavorRef": 99}, 400, "99"),
    "flavor of a wrong type": ({"flavorRef": {}}, 400, "Validation error"),
    "unknown datastore": ({"datastore": {"type": "oracle"}}, 404, "oracle"),
    "unknown datastore version": ({"datastore": {"type": "mysql", "version": "4.1"}}, 400, "4.1"),
    "no volume": ({"volume": None}, 400, ""),
    "volume of size 0": ({"volume": {"size": 0}}, 400, ""),
    "volume of a wrong type": ({"volume": {"size": "much"}}, 400, "Validation error"),
    "volume over the limit": ({"volume": {"size": 11}}, 413, "cannot exceed maximum of 10 GB"),
    "unknown volume type": ({"volume": {"size": 1, "type": "fast"}}, 400, "there are: local"),
    "reserved database": ({"databases": [{"name": "mysql"}]}, 400, "reserved"),
    "empty database name": ({"databases": [{"name": ""}]}, 400, "Validation error"),
    "database name of 65 characters": ({"databases": [{"name": "d" * 65}]}, 400, ""),
    "database named twice": ({"databases": [{"name": "dd"}, {"name": "dd"}]}, 400, ""),
    "reserved user": ({"users": [{"name": "root", "password": "secret-1"}]}, 400, "reserved"),
    "user without a password": ({"users": [{"name": "writer"}]}, 400, "password"),
    "user named twice": ({"users": USERS + USERS}, 400, ""),
    "user name of 33 characters": ({"users": [{"name": "u" * 33, "password": "secret-1"}]}, 400, ""),
    "user name with a quote": ({"users": [{"name": "a'b", "password": "secret-1"}]}, 400, ""),
    "user of a database that is not ordered": (
        {"users": [{"name": "writer", "password": "secret-1", "databases": [{"name": "none"}]}]},
        400,
        "",
    ),
    "user of a host that is none": ({"users": [{"name": "writer", "password": "secret-1", "host": "a b"}]}, 400, ""),
    "network with an unknown key": ({"nics": [{"port-id": ABSENT}]}, 400, "Validation error"),
}


@pytest.mark.parametrize("case", ORDERS)
def test_orders(api: Api, case: str):
    more, status, words = ORDERS[case]
    body = {"instance": {key: value for key, value in (order("bad") | more).items() if value is not None}}
    assert_error(api.request("POST", "/instances", json=body), status, words)


def test_orders_that_are_none(api: Api):
    for body in ({}, {"instance": None}, {"instance": []}, []):
        assert_error(api.request("POST", "/instances", json=body), 400)


@pytest.mark.parametrize("body", [b"{", b'{"instance": ', b"name=x", b"[1,", b'{"instance": "\xff"}'])
def test_malformed_json(api: Api, body: bytes):
    answer = api.request("POST", "/instances", data=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json() == {
        "message": "Malformed request body<br /><br />\n\n\n",
        "code": "400 Bad Request",
        "title": "Bad Request",
    }


def test_an_oversized_body(api: Api):
    answer = api.request("POST", "/instances", json={"instance": order("n" * OVERSIZED)})
    assert answer.status_code == 413, answer.text


def test_over_quota(coffer: Coffer):
    _, _, other = coffer.another_user("greedy")
    # 40 GB of volumes: four of 10 GB would fit, and five are ordered at once of something that never comes to be.
    limits = other.get("/limits")["limits"][0]
    assert (limits["max_instances"], limits["max_volumes"]) == (10, 40)
    ordered = [other.order(f"large-{number}", volume={"size": 10}) for number in range(4)]
    try:
        answer = other.request("POST", "/instances", json={"instance": order("one-too-many")})
        assert_error(answer, 413, "Quota exceeded for resources: ['volumes'].")
        assert len(other.instances()) == len(ordered)
        assert other.quota_in_use()["volumes"] == 40
    finally:
        for instance in ordered:
            other.delete(f"/instances/{instance}")
        for instance in ordered:
            other.wait_gone(instance)
    assert set(other.quota_in_use().values()) == {0}


TOKENS = {"no token": None, "an empty token": "", "a made-up token": "gAAAAA-made-up", "a long token": "t" * 4000}


@pytest.mark.parametrize("case", TOKENS)
def test_tokens(api: Api, case: str):
    headers = {"Accept": "application/json"}
    if TOKENS[case] is not None:
        headers["X-Auth-Token"] = TOKENS[case]
    for method, path in (("GET", "/instances"), ("POST", "/instances"), ("GET", "/flavors"), ("GET", "/nowhere")):
        answer = requests.request(method, api.endpoint + path, headers=headers, timeout=10)
        assert answer.status_code == 401, f"{method} {path}: {answer.status_code} {answer.text}"


def test_a_wrong_password_and_a_wrong_project(coffer: Coffer):
    endpoints = coffer.endpoints()
    for user, password, project in (
        ("demo", "wrong", "demo"),
        ("nobody", coffer.password, "demo"),
        ("demo", coffer.password, "rival"),
    ):
        with pytest.raises(AssertionError, match=r"no token for .*: 401"):
            Api(endpoints["auth_url"], user, password, project)


def test_another_tenants_path(api: Api):
    answer = api.session.get(api.endpoint.replace(api.tenant, "f" * 32) + "/instances", timeout=10)
    assert answer.status_code == 403
    assert "cannot access this resource" in answer.text
    assert answer.json()["code"] == "403 Forbidden"


NOWHERE = [
    ("GET", f"/instances/{ABSENT}", None),
    ("DELETE", f"/instances/{ABSENT}", None),
    ("POST", f"/instances/{ABSENT}/action", {"restart": {}}),
    ("GET", f"/instances/{ABSENT}/databases", None),
    ("GET", "/instances/not-an-id", None),
    ("GET", "/flavors/99", None),
    ("GET", "/datastores/oracle", None),
]


@pytest.mark.parametrize(("method", "path", "body"), NOWHERE, ids=[f"{method} {path}" for method, path, _ in NOWHERE])
def test_things_that_are_not_there(api: Api, method: str, path: str, body: dict[str, Any] | None):
    assert_error(api.request(method, path, json=body), 404)


@pytest.mark.parametrize("path", ["/nowhere", "/instances/", "/instances.json"])
def test_routes_that_are_not_there(api: Api, path: str):
    assert api.request("GET", path).status_code == 404


@pytest.mark.parametrize("body", [{}, {"explode": {}}, {"restart": {}, "resize": {}}, [], None])
def test_actions_that_are_none(api: Api, instance: str, body: Any):
    assert_error(api.request("POST", f"/instances/{instance}/action", json=body), 400)


CONTENTS: dict[str, tuple[str, str, dict[str, Any] | None, int]] = {
    "reserved database": ("POST", "/databases", {"databases": [{"name": "mysql"}]}, 400),
    "database that exists": ("POST", "/databases", {"databases": [{"name": "shop"}]}, 400),
    "database with a slash": ("POST", "/databases", {"databases": [{"name": "a/b"}]}, 400),
    "databases of a wrong type": ("POST", "/databases", {"databases": {}}, 400),
    "one database": ("GET", "/databases/shop", None, 501),
    "dropping a database that is not there": ("DELETE", "/databases/none", None, 404),
    "reserved user": ("POST", "/users", {"users": [{"name": "os_admin", "password": "secret-1"}]}, 400),
    "user that exists": ("POST", "/users", {"users": [{"name": "writer", "password": "secret-1"}]}, 400),
    "user without a password": ("POST", "/users", {"users": [{"name": "other"}]}, 400),
    "dropping a user that is not there": ("DELETE", "/users/none", None, 404),
}


@pytest.mark.parametrize("case", CONTENTS)
def test_contents(api: Api, instance: str, case: str):
    method, path, body, status = CONTENTS[case]
    assert_error(api.request(method, f"/instances/{instance}{path}", json=body), status)


@pytest.mark.parametrize("limit", ["abc", "-1"])
def test_limits_of_a_page_that_are_none(api: Api, limit: str):
    assert_error(api.request("GET", f"/instances?limit={limit}"), 400)
