"""Requests that are sent again with their `Idempotency-Key`, over whatever was killed meanwhile."""

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from harness import scan
from harness.api import order
from harness.clients import can_log_in
from harness.coffer import Coffer

CRASH_TIMEOUT_S = 60
SIGKILLED = 137


def send(coffer: Coffer, key: str, method: str, path: str, **arguments) -> requests.Response:
    return coffer.api.request(method, path, headers={"Idempotency-Key": key}, **arguments)


def is_replayed(answer: requests.Response) -> bool:
    return answer.headers.get("Idempotent-Replayed") == "true"


def restarts(coffer: Coffer, instance: str) -> int:
    told = coffer.run("journal", instance, "--state-dir", str(coffer.state_dir))
    return told.count("accepted: restart")


@pytest.mark.timeout(300)
def test_a_create_survives_kills_and_is_done_once(new_coffer: Callable[[], Coffer]):
    coffer = new_coffer()
    ordered = order("once", databases=[{"name": "shop"}])
    # The client gets no answer either time, and cannot tell the two.
    for moment, is_there in (("before_commit", False), ("after_commit", True)):
        key = f"create-{moment}"
        coffer.start(crash_at=f"create/ensure_address/{moment}")
        with pytest.raises(requests.ConnectionError):
            send(coffer, key, "POST", "/instances", json={"instance": ordered})
        assert coffer.wait_killed(CRASH_TIMEOUT_S) == SIGKILLED
        coffer.start()
        assert len(coffer.api.named("once")) == int(is_there)
        first = send(coffer, key, "POST", "/instances", json={"instance": ordered})
        assert (first.status_code, is_replayed(first)) == (200, is_there), first.text
        row = first.json()["instance"]
        coffer.api.wait_healthy(row["id"])
        again = send(coffer, key, "POST", "/instances", json={"instance": ordered})
        assert again.json()["instance"] == row, "it is answered as the first time, in BUILD"
        assert row["status"] == "BUILD"
        assert [found["id"] for found in coffer.api.named("once")] == [row["id"]]
        other = send(coffer, key, "POST", "/instances", json={"instance": order("other")})
        assert other.status_code == 422
        assert "Idempotency-Key" in other.text
        coffer.api.remove(row["id"])
        coffer.stop()


@pytest.mark.timeout(300)
def test_one_request_at_the_same_time_and_over_restarts(coffer: Coffer):
    instance = coffer.api.create("repeated", databases=[{"name": "shop"}])
    path = f"/instances/{instance['id']}"

    # A password that nobody else knows is told again, after a restart too, and stands nowhere in clear.
    first = send(coffer, "root", "POST", f"{path}/root")
    assert first.status_code == 200, first.text
    password = first.json()["user"]["password"]
    coffer.kill()
    coffer.start()
    coffer.api.wait_healthy(instance["id"])
    again = send(coffer, "root", "POST", f"{path}/root")
    assert (again.text, again.status_code, is_replayed(again)) == (first.text, 200, True)
    assert can_log_in(instance["ip"][0], "root", password)
    assert not scan.in_files(password, coffer.state_dir / "store"), "the store holds it in clear"

    # Two restarts with one request id are two, and many with one key are one, also side by side.
    request_id = {"X-Openstack-Request-Id": "req-6f8f9d6c-3f0e-4b0c-9d52-7f8d2f9f3a11"}
    for expected in (1, 2):
        done = coffer.api.request("POST", f"{path}/action", json={"restart": {}}, headers=request_id)
        assert done.status_code == 202, done.text
        coffer.api.wait_healthy(instance["id"])
        assert restarts(coffer, instance["id"]) == expected
    key = secrets.token_hex(16)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: send(coffer, key, "POST", f"{path}/action", json={"restart": {}}), range(8)))
    assert {answer.status_code for answer in answers} == {202}, [answer.text for answer in answers]
    assert sum(not is_replayed(answer) for answer in answers) == 1
    coffer.api.wait_healthy(instance["id"])
    assert restarts(coffer, instance["id"]) == 3
    assert coffer.metric("coffer_rest_repeated_requests_total", result="answered") >= 8
    assert coffer.metric("coffer_bounded_used", thing="kept_answers") >= 1
    assert coffer.findings("admin", "check") == []
