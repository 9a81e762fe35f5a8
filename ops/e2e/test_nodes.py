"""Several nodes: partitions are shared, each node answers everything, and a node that dies takes nothing with it."""

import json
import signal

import pytest

from harness import processes
from harness.api import Api
from harness.clients import query
from harness.kafka import TIMEOUT_S
from harness.nodes import TENANTS, Load, Nodes
from harness.wait import wait_for

pytestmark = pytest.mark.kafka

# Orders that a phase of the load waits for.
SOME_ORDERS = 20
# Until all that was ordered is in the engines.
CARRIED_OUT_TIMEOUT_S = 120


@pytest.fixture(scope="module")
def load(nodes: Nodes) -> Load:
    """A healthy instance of each tenant."""
    apis = [[nodes.api(node, tenant) for node in nodes.members] for tenant in range(TENANTS)]
    instances = [apis[tenant][0].order(f"of-{tenant}") for tenant in range(TENANTS)]
    for tenant, instance in enumerate(instances):
        apis[tenant][1].wait_healthy(instance)
    return Load(apis, instances)


def renew(load: Load, nodes: Nodes, node: int) -> None:
    """A node that was started anew listens elsewhere."""
    for tenant in range(TENANTS):
        load.apis[tenant][node] = nodes.api(nodes.members[node], tenant)


def more(load: Load, orders: int = SOME_ORDERS) -> None:
    goal = load.count() + orders
    wait_for(f"{orders} more orders", lambda: load.count() >= goal, CARRIED_OUT_TIMEOUT_S)


def all_is_there(load: Load, nodes: Nodes) -> None:
    """Each acknowledged database is in its engine, and each instance has one engine."""
    for tenant, instance in enumerate(load.instances):
        api = load.apis[tenant][0]
        api.wait_healthy(instance)
        root = api.post(f"/instances/{instance}/root", {}, expected=200).json()["user"]
        address = api.instance(instance)["ip"][0]

        def missing(tenant: int = tenant, address: str = address, root: dict[str, str] = root) -> set[str]:
            there = {row[0] for row in query(address, root["name"], root["password"], None, "SHOW DATABASES")}
            return load.acknowledged[tenant] - there

        wait_for(f"the databases of tenant {tenant}", lambda missing=missing: not missing(), CARRIED_OUT_TIMEOUT_S)
        engines = processes.engines(nodes.members[0].state_dir, instance)
        assert len(engines) == 1, engines


def test_each_node_answers_everything_and_sees_what_the_other_was_told(nodes: Nodes, load: Load):
    first, second = nodes.members
    assert nodes.owned(first) + nodes.owned(second) == 16
    for tenant, instance in enumerate(load.instances):
        for number in range(10):
            writer, reader = load.apis[tenant][number % 2], load.apis[tenant][1 - number % 2]
            renamed = writer.request("PATCH", f"/instances/{instance}", json={"instance": {"name": f"name-{number}"}})
            assert renamed.status_code == 202, renamed.text
            assert reader.instance(instance)["name"] == f"name-{number}", "what was acknowledged is not seen elsewhere"
            assert [row["name"] for row in reader.instances()] == [f"name-{number}"]
    forwarded = [node.metric("coffer_commands_forwarded_total", result="accepted") for node in nodes.members]
    assert sum(forwarded) >= 5 * TENANTS, "each tenant is written by a node that does not own it"
    # A task's end, and a rejection, come from the owner, too.
    for api in load.apis[0]:
        refused = api.request(
            "POST", f"/instances/{load.instances[0]}/databases", json={"databases": [{"name": "mysql"}]}
        )
        assert refused.status_code == 400, refused.text
    owners: set[str] = set()
    for node in nodes.members:
        shown = json.loads(node.run("status", "--json", "--state-dir", str(node.state_dir)))
        assert sum(partition["is_own"] for partition in shown["partitions"]) == nodes.owned(node)
        assert all(partition["behind"] is not None for partition in shown["partitions"])
        owners |= {partition["owner"] for partition in shown["partitions"]}
        listed = {row["id"] for row in nodes.operators_api(node).get("/mgmt/instances")["instances"]}
        assert listed >= set(load.instances)
    assert owners == {"node-0", "node-1"}


def test_rolling_all_nodes_fails_no_request_at_those_that_are_up(nodes: Nodes, load: Load):
    for down in (0, 1):
        up = 1 - down
        with load.running([up], [up]):
            more(load)
            nodes.members[down].stop()
            more(load)
            nodes.members[down].start()
            nodes.wait_shared(*nodes.members)
            more(load)
        renew(load, nodes, down)
        assert load.refused == []
        assert load.failed_reads == []
    all_is_there(load, nodes)


def test_a_killed_node_takes_nothing_with_it(nodes: Nodes, load: Load):
    with load.running([0, 1], []):
        more(load)
        with load.running([1], [1]):
            more(load)
            nodes.members[0].kill()
            nodes.wait_shared(nodes.members[1])
            more(load)
    assert load.failed_reads == []
    nodes.members[0].start()
    renew(load, nodes, 0)
    nodes.wait_shared(*nodes.members)
    all_is_there(load, nodes)


def renamed(api: Api, instance: str) -> bool:
    body = {"instance": {"name": "renamed-meanwhile"}}
    return api.request("PATCH", f"/instances/{instance}", json=body).status_code == 202


def test_a_node_that_stood_still_goes_on_as_one_that_owns_nothing(nodes: Nodes, load: Load):
    frozen = nodes.members[0]
    reads = load.apis[0][0]
    with load.running([1], [1]):
        more(load)
        frozen.process.send_signal(signal.SIGSTOP)
        nodes.wait_shared(nodes.members[1])
        more(load)
        # What it still takes for its own is another's, and is changed.
        for tenant, instance in enumerate(load.instances):
            wait_for("the other node to rename it", lambda t=tenant, i=instance: renamed(load.apis[t][1], i), TIMEOUT_S)
        frozen.process.send_signal(signal.SIGCONT)
        for tenant, instance in enumerate(load.instances):
            # Its connections have ended in its sleep.
            load.apis[tenant][0].session.close()
            seen = load.apis[tenant][0].request("GET", f"/instances/{instance}")
            assert seen.status_code == 503 or seen.json()["instance"]["name"] == "renamed-meanwhile", seen.text
        nodes.wait_shared(*nodes.members)
        more(load)
    assert load.failed_reads == []
    assert not frozen.is_dead()
    wait_for("the node to answer", lambda: reads.instance(load.instances[0]) is not None, TIMEOUT_S)
    all_is_there(load, nodes)
    for tenant, instance in enumerate(load.instances):
        load.apis[tenant][0].remove(instance)
        assert nodes.members[0].leftovers(instance) == []
