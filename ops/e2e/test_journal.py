"""The journal of an instance: what was done and why, for its tenant and for the operator, whatever died meanwhile."""

import json
import secrets
import subprocess

from harness.api import Api
from harness.coffer import Coffer
from harness.wait import wait_for


def told(coffer: Coffer, instance: str) -> list[str]:
    """The lines that `coffer journal` prints, without their times."""
    lines = coffer.run("journal", instance, "--state-dir", str(coffer.state_dir)).splitlines()
    return [line.split("  ", 1)[1] for line in lines]


def pages(api: Api, instance: str) -> list[dict]:
    entries: list[dict] = []
    while True:
        marker = f"&marker={entries[-1]['number']}" if entries else ""
        page = api.get(f"/instances/{instance}/journal?limit=7{marker}")
        entries += page["journal"]
        if "links" not in page:
            return entries


def in_order(lines: list[str], *starts: str) -> None:
    """Each of these is the start of a line, after the line of the one before."""
    rest = iter(lines)
    for start in starts:
        assert any(line.startswith(start) for line in rest), f"no {start!r} in its place: {lines}"


def test_a_life_is_told_in_order_and_survives_a_kill(new_coffer):
    coffer = new_coffer()
    coffer.start()
    password = secrets.token_hex(16)
    row = coffer.api.create("told", users=[{"name": "app", "password": password}])
    instance = row["id"]
    created = (
        'accepted: create "told", flavor 1, 1 GiB',
        "quota charged: 1 instance, 1 GiB of volume, 256 MiB of memory",
        "create begins",
        "status: BUILD",
        "done: ensure_address, 127.",
        "done: ensure_volume",
        "done: ensure_server",
        "the agent says",
        "started: prepare_database",
        "done: prepare_database",
        "status: BUILD -> ACTIVE HEALTHY",
    )
    # The service runs and writes on.
    in_order(told(coffer, instance), *created)
    entries = pages(coffer.api, instance)
    assert [entry["number"] for entry in entries] == list(range(len(entries)))
    in_order([entry["text"] for entry in entries], *created)
    request = next(entry["request_id"] for entry in entries if entry["entry"] == "accepted")
    assert request.startswith("req-")

    coffer.api.post(f"/instances/{instance}/action", {"resize": {"flavorRef": 2}})
    coffer.kill()
    resized = ("accepted: resize_flavor flavor 2", "started: resize_server [resize_server, flavor 2]")
    # It is dead.
    in_order(told(coffer, instance), *created, *resized)
    coffer.start()
    coffer.api.wait_healthy(instance)
    in_order(told(coffer, instance), *created, *resized, "done: resize_engine", "status: RESIZE -> ACTIVE HEALTHY")
    printed = coffer.run("journal", instance, "--json", "--state-dir", str(coffer.state_dir))
    assert all(json.loads(line)["entry"] for line in printed.splitlines())
    assert password not in printed

    # Nobody else's business.
    _, _, stranger = coffer.another_user("elsewhere")
    assert stranger.request("GET", f"/instances/{instance}/journal").status_code == 404

    # After it is gone.
    coffer.api.remove(instance)
    in_order(
        [entry["text"] for entry in pages(coffer.api, instance)], *created, *resized, "accepted: delete", "removed"
    )
    assert told(coffer, instance)[-1].startswith("removed")


def test_a_create_that_failed_tells_why(coffer: Coffer):
    volumes = coffer.state_dir / "local" / "volumes"
    volumes.rename(volumes.with_name("volumes.away"))
    volumes.write_text("in the way")
    try:
        instance = coffer.api.order("failed")
        wait_for("the create to fail", lambda: coffer.api.status(instance)[0] == "ERROR", 60)
    finally:
        volumes.unlink()
        volumes.with_name("volumes.away").rename(volumes)
    lines = told(coffer, instance)
    fault = coffer.api.instance(instance)["fault"]["message"]
    in_order(lines, "started: ensure_address", "failed for good: ensure_address", f"fault: {fault}", "clean_up begins")
    coffer.api.remove(instance)


def test_an_unknown_instance_has_none(coffer: Coffer):
    unknown = "00000000-0000-4000-8000-000000000000"
    done = subprocess.run(
        [coffer.bin_dir / "coffer", "journal", unknown, "--state-dir", coffer.state_dir],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and "there is no journal" in done.stderr
