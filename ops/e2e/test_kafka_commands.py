"""A program outside orders through the topic `coffer.commands`, as it may in development mode."""

import json
import time
import uuid
from typing import Any

from harness import broker
from harness.coffer import Coffer
from harness.wait import wait_for

COMMANDS = "coffer.commands"
ACCEPTED_TIMEOUT_S = 20


# Namespace of the ids of instances that a program outside creates.
OUTSIDE_CREATES = uuid.UUID("0e5f3a0a-7f0b-5c0e-9a54-8d0c0ff30001")


def instance_of(coffer: Coffer, command_id: str) -> str:
    """The id that a create with this command must name."""
    return str(uuid.uuid5(OUTSIDE_CREATES, f"{coffer.api.tenant}/{command_id}"))


def send(coffer: Coffer, instance: str, command: dict[str, Any], command_id: str | None = None) -> str:
    """Puts a command for the demo project on the topic and returns its id."""
    tenant = coffer.api.tenant
    command_id = command_id or str(uuid.uuid4())
    envelope = {
        "version": 1,
        "command_id": command_id,
        "tenant": tenant,
        "principal": "billing",
        "request_id": f"req-{uuid.uuid4()}",
        "issued_at": time.time_ns() // 1_000_000,
        "instance": instance,
        "command": command,
    }
    broker.send(coffer.endpoints()["kafka"], COMMANDS, tenant, json.dumps(envelope).encode())
    return command_id


def test_a_create_and_a_delete(coffer: Coffer):
    command_id = str(uuid.uuid4())
    instance = instance_of(coffer, command_id)
    create = {"verb": "create", "name": "from-outside", "flavor": "1", "volume_gib": 1, "databases": [{"name": "shop"}]}
    send(coffer, instance, create, command_id)
    wait_for("the instance to be known", lambda: coffer.api.instance(instance), ACCEPTED_TIMEOUT_S)
    # The same command again is the same order, not a second one.
    send(coffer, instance, create, command_id)
    row = coffer.api.wait_healthy(instance)
    assert row["name"] == "from-outside"
    assert coffer.api.databases(instance) == {"shop"}
    assert [row["id"] for row in coffer.api.instances()] == [instance]
    assert coffer.api.quota_in_use()["instances"] == 1

    send(coffer, instance, {"verb": "delete"})
    coffer.api.wait_gone(instance)
    assert coffer.leftovers(instance) == []
    assert set(coffer.api.quota_in_use().values()) == {0}


def test_what_is_no_command_changes_nothing(coffer: Coffer):
    servers, tenant = coffer.endpoints()["kafka"], coffer.api.tenant
    broker.send(servers, COMMANDS, tenant, b"not JSON")
    broker.send(servers, COMMANDS, tenant, b'{"version": 99}')
    send(coffer, str(uuid.uuid4()), {"verb": "explode"})
    send(coffer, str(uuid.uuid4()), {"verb": "create", "name": "bad", "flavor": "none", "volume_gib": 1})
    send(coffer, str(uuid.uuid4()), {"verb": "delete"})
    # An id that does not follow from tenant and command could be another tenant's instance.
    send(coffer, str(uuid.uuid4()), {"verb": "create", "name": "stolen", "flavor": "1", "volume_gib": 1})
    # One that is good shows that all before it were read.
    command_id = str(uuid.uuid4())
    instance = instance_of(coffer, command_id)
    send(coffer, instance, {"verb": "create", "name": "good", "flavor": "1", "volume_gib": 1}, command_id)
    wait_for("the good one to be known", lambda: coffer.api.instance(instance), ACCEPTED_TIMEOUT_S)
    assert [row["id"] for row in coffer.api.instances()] == [instance]
    coffer.api.wait_healthy(instance)
    coffer.api.remove(instance)
