"""Several nodes: requests sent again to another one, quotas that count everywhere, agents asked through any of them."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from harness.api import Api, order
from harness.kafka import TIMEOUT_S
from harness.nodes import TENANTS, Nodes
from harness.wait import wait_for

pytestmark = pytest.mark.kafka


def create(api: Api, tenant: int) -> requests.Response:
    """The same request each time."""
    body = {"instance": order(f"once-{tenant}")}
    return api.request("POST", "/instances", json=body, headers={"Idempotency-Key": "k"})


@pytest.mark.timeout(400)
def test_a_repeat_at_another_node_is_answered_as_the_first_time(nodes: Nodes):
    apis = [[nodes.api(node, tenant) for node in nodes.members] for tenant in range(TENANTS)]
    answers = []
    for tenant, (first, second) in enumerate(apis):
        # Both at the same time, then one after the other.
        with ThreadPoolExecutor(2) as pool:
            sent = list(pool.map(create, apis[tenant], [tenant] * 2))
        assert [answer.status_code for answer in sent] == [200, 200], [answer.text for answer in sent]
        ids = {answer.json()["instance"]["id"] for answer in sent}
        assert len(ids) == 1, "each node has made one"
        again = create(second, tenant)
        assert again.headers["Idempotent-Replayed"] == "true"
        (instance,) = ids
        assert [row["id"] for row in first.instances()] == [instance]
        answers.append((instance, again.json()["instance"]["created"]))

    for tenant, (instance, _) in enumerate(answers):
        apis[tenant][0].wait_healthy(instance)
        operators = [nodes.operators_api(node) for node in nodes.members]
        for operator in operators:
            ping = operator.request("GET", f"/mgmt/instances/{instance}/rpc_ping")
            assert ping.status_code == 204, ping.text
            told = operator.get(f"/mgmt/instances/{instance}/diagnostics")["diagnostics"]
            assert told["threads"] > 1

        quota = f"/mgmt/quotas/{apis[tenant][0].tenant}"
        set_to = operators[tenant % 2].request("PUT", quota, json={"quotas": {"instances": 1}})
        assert set_to.status_code == 200, set_to.text
        for api in apis[tenant]:
            assert api.get("/limits")["limits"][0]["max_instances"] == 1
            refused = api.request("POST", "/instances", json={"instance": order("one-more")})
            assert refused.status_code == 413, refused.text

    # What a node that is gone has answered, the other one answers.
    nodes.members[0].kill()
    nodes.wait_shared(nodes.members[1])
    for tenant, (instance, created) in enumerate(answers):
        api = apis[tenant][1]
        again = wait_for(
            "the other node to answer", lambda api=api, tenant=tenant: answered(create(api, tenant)), TIMEOUT_S
        )
        row = again.json()["instance"]
        assert (row["id"], row["created"], row["status"]) == (instance, created, "BUILD")
        api.remove(instance)


def answered(answer: requests.Response) -> requests.Response | None:
    return answer if answer.status_code != 503 else None
