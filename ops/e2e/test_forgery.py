"""Messages that no agent of ours wrote for this place: refused, counted, logged, and without effect."""

import base64
import json
from dataclasses import dataclass
from typing import Any

import pytest
from confluent_kafka import Message

from harness import broker
from harness.clients import can_log_in
from harness.coffer import Coffer
from harness.wait import hold_for, wait_for

TELEMETRY = "coffer.telemetry"
REFUSED = "coffer_agent_messages_refused_total"
COUNTED_TIMEOUT_S = 20


@dataclass(frozen=True)
class Guests:
    """Two instances of two tenants, and what their agents have said so far."""

    coffer: Coffer
    own: str
    address: str
    foreign: str
    foreign_tenant: str
    said: list[Message]

    @property
    def servers(self) -> str:
        return self.coffer.endpoints()["kafka"]

    def reports(self, tenant: str) -> list[Message]:
        """What a tenant's agents said before any test spoke, oldest first."""
        return [record for record in self.said if record.key() == tenant.encode()]

    def refused(self, **labels: str) -> float:
        return self.coffer.metric(REFUSED, **labels)

    def assert_refused(self, messages: list[tuple[str, bytes, list[tuple[str, bytes]]]]) -> None:
        """Sends these to the control plane, as key, value and headers: each is refused, counted and logged."""
        before = self.refused()
        lines = self.coffer.log_file.read_text().count("refused")
        for key, value, headers in messages:
            broker.send(self.servers, TELEMETRY, key, value, headers)
        wait_for("each to be counted", lambda: self.refused() == before + len(messages), COUNTED_TIMEOUT_S)
        assert self.coffer.log_file.read_text().count("refused") > lines, "nothing was logged"
        hold_for("health", lambda: self.coffer.api.status(self.own) == ("ACTIVE", "HEALTHY"), 2)
        assert self.refused() == before + len(messages), "an honest message was refused, too"


@pytest.fixture(scope="module")
def guests(coffer: Coffer) -> Guests:
    _, _, other = coffer.another_user("rival")
    row = coffer.api.create("own")
    foreign = other.create("foreign")["id"]
    records = broker.all_records(coffer.endpoints()["kafka"])
    said = [record for record in records if record.topic() == TELEMETRY]
    return Guests(coffer, row["id"], row["ip"][0], foreign, other.tenant, said)


def envelope(record: Message) -> dict[str, Any]:
    return json.loads(record.value())


def tampered(record: Message, **changes: Any) -> bytes:
    return json.dumps(envelope(record) | changes).encode()


def test_forged_reports(guests: Guests):
    tenant = guests.coffer.api.tenant
    real = guests.reports(tenant)[-1]
    headers = list(real.headers() or [])
    sealed = bytearray(base64.b64decode(envelope(real)["ciphertext"]))
    sealed[0] ^= 1
    flipped = base64.b64encode(sealed).decode()
    later = envelope(real)["sequence"] + 1_000_000
    guests.assert_refused(
        [
            (tenant, b"not even JSON", headers),
            (tenant, b"{}", headers),
            (tenant, tampered(real, ciphertext=flipped, sequence=later), headers),
            # The header is bound to the content: a later sequence or another epoch breaks the seal.
            (tenant, tampered(real, sequence=later), headers),
            (tenant, tampered(real, sequence=later, epoch=envelope(real)["epoch"] + 1), headers),
            (tenant, tampered(real, key_id="nobody"), headers),
        ]
    )


def test_replayed_reports(guests: Guests):
    """All that the agent ever said, again: the wish for a session that began it, heartbeats, outcomes."""
    tenant = guests.coffer.api.tenant
    said = guests.reports(tenant)
    assert len(said) >= 3
    guests.assert_refused([(tenant, again.value(), list(again.headers() or [])) for again in said])


def test_foreign_reports(guests: Guests):
    """A real report of another tenant's agent, sent again as if it came from ours, and the other way round."""
    tenant = guests.coffer.api.tenant
    foreign = guests.reports(guests.foreign_tenant)[-1]
    own = guests.reports(tenant)[-1]
    guests.assert_refused(
        [
            (tenant, foreign.value(), list(foreign.headers() or [])),
            (guests.foreign_tenant, own.value(), list(own.headers() or [])),
        ]
    )


def test_agents_refuse_forged_and_replayed_orders(guests: Guests):
    """What an agent carried out once it does not carry out again for whoever repeats it."""
    path = f"/instances/{guests.own}/users"
    account = (guests.address, "victim", "pw-of-victim-1")
    body = {"users": [{"name": "victim", "password": account[2]}]}
    already = {(record.topic(), record.offset()) for record in broker.all_records(guests.servers)}
    guests.coffer.api.post(path, body)
    wait_for("the user to log in", lambda: can_log_in(*account), 30)
    orders = [
        record
        for record in broker.all_records(guests.servers)
        if record.topic().startswith("coffer.agents.") and (record.topic(), record.offset()) not in already
    ]
    assert orders, "the order is on the agents' topic"
    guests.coffer.api.delete(f"{path}/victim")
    wait_for("the user to be shut out", lambda: not can_log_in(*account), 30)
    for order in orders:
        sealed = bytearray(base64.b64decode(envelope(order)["ciphertext"]))
        sealed[-1] ^= 1
        flipped = base64.b64encode(sealed).decode()
        key = order.key().decode() if order.key() else None
        later = envelope(order)["sequence"] + 1_000_000
        for value in (order.value(), tampered(order, sequence=later), tampered(order, ciphertext=flipped), b"?"):
            broker.send(guests.servers, order.topic(), key, value, list(order.headers() or []))
    # An order that comes after them is carried out: the agent has read them all by then, and is none the worse.
    guests.coffer.api.post(path, {"users": [{"name": "honest", "password": "pw-of-honest-1"}]})
    wait_for("the honest user to log in", lambda: can_log_in(guests.address, "honest", "pw-of-honest-1"), 30)
    assert not can_log_in(*account), "a replayed order was carried out"
    assert guests.coffer.api.status(guests.own) == ("ACTIVE", "HEALTHY")
