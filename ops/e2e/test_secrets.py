"""A user's password occurs nowhere but in the client's hands and, hashed, in the engine."""

import base64
import secrets
import subprocess
from pathlib import Path

from harness import broker, scan
from harness.clients import can_log_in
from harness.coffer import Coffer
from harness.wait import wait_for


def random_word() -> str:
    return secrets.token_hex(16)


def test_the_scanner_finds_what_is_planted(tmp_path: Path):
    secret = random_word()
    for number, form in enumerate(scan.forms(secret).values()):
        (tmp_path / str(number)).write_bytes(b"before" + form + b"after")
    found = {line.split(": ")[1] for line in scan.in_files(secret, tmp_path)}
    assert found == set(scan.forms(secret))
    for shift in range(3):
        text = base64.b64encode(b"x" * shift + secret.encode() + b"yy")
        assert scan.find(secret, "a longer base64 text", text), shift
    with scan.ProcessWatch(secret) as watch:
        planted = subprocess.Popen(["sleep", "60"], env={"PLANTED": secret})
        wait_for("the watch to see it", lambda: watch.found, 30)
        planted.kill()
        planted.wait()


def test_passwords_are_nowhere(coffer: Coffer):
    with_instance, later, root = random_word(), random_word(), random_word()
    passwords = (with_instance, later, root)
    # The name must be found wherever the passwords must not: proof that the scan reads what was written.
    name = random_word()
    with scan.ProcessWatch(*passwords) as watch:
        row = coffer.api.create(
            name,
            databases=[{"name": "vault"}],
            users=[{"name": "one", "password": with_instance, "databases": [{"name": "vault"}]}],
        )
        instance, address = row["id"], row["ip"][0]
        coffer.api.post(f"/instances/{instance}/users", {"users": [{"name": "two", "password": later}]})
        coffer.api.post(f"/instances/{instance}/root", {"password": root}, expected=200)
        for user, password in (("one", with_instance), ("two", later), ("root", root)):
            wait_for(f"{user} to log in", lambda u=user, p=password: can_log_in(address, u, p), 30)
    assert watch.rounds > 10
    assert not watch.found

    records = broker.all_records(coffer.endpoints()["kafka"])
    agents = [record for record in records if record.topic().startswith("coffer.agents.")]
    assert agents, "the orders that carried the passwords are on the topic"
    for record in records:
        content = b"\0".join([record.key() or b"", record.value() or b"", repr(record.headers()).encode()])
        for password in passwords:
            assert not scan.find(password, record.topic(), content)

    # As a crash leaves the store: nothing was moved into compressed files yet, so that every write of this life stands
    # in the write-ahead log as it was made, also those that were overwritten since.
    coffer.kill()
    store = coffer.state_dir / "store"
    assert not list(store.rglob("*.sst"))
    assert any(line.startswith("0") for line in scan.in_files(name, store)), "the scan must find the instance's name"
    for password in passwords:
        assert not scan.in_files(password, coffer.directory)

    # And as a start and an orderly stop leave it.
    coffer.start()
    coffer.api.wait_healthy(instance)
    coffer.stop()
    for password in passwords:
        assert not scan.in_files(password, coffer.directory)
