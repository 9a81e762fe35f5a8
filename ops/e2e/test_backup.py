"""The control plane's state is lost, and comes back from a backup: databases go on, and what differs is named."""

import json
import os
import shutil
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import processes, scan
from harness.clients import can_log_in, query
from harness.coffer import Coffer
from harness.wait import wait_for

PASSPHRASE = "a passphrase of a test"
ADOPT_TIMEOUT_S = 60


@pytest.fixture
def passphrase_file(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase"
    path.write_text(PASSPHRASE + "\n")
    return path


def lose_the_control_plane(coffer: Coffer) -> None:
    """All that is not the databases' own."""
    for path in coffer.state_dir.iterdir():
        if path.name not in {"local", "coffer-state"}:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def backup(coffer: Coffer, file: Path, *words: str) -> None:
    coffer.run("admin", "backup", str(file), "--state-dir", str(coffer.state_dir), *words)


def restore(coffer: Coffer, file: Path, *words: str) -> str:
    """What it says when it is refused."""
    done = coffer.command("admin", "restore", str(file), "--state-dir", str(coffer.state_dir), *words)
    assert done.returncode in {0, 2}
    assert (done.returncode == 0) == ("restored into" in done.stderr), done.stderr
    return done.stderr if done.returncode else ""


def test_a_lost_control_plane_comes_back(new_coffer: Callable[[], Coffer], passphrase_file: Path, tmp_path: Path):
    coffer = new_coffer()
    coffer.start()
    password = "pw-of-keeper-1"
    account = {"name": "keeper", "password": password, "databases": [{"name": "vault"}]}
    kept = coffer.api.create("kept", databases=[{"name": "vault"}], users=[account])
    deleted = coffer.api.create("deleted later")["id"]
    login = (kept["ip"][0], "keeper", password, "vault")
    query(*login, "CREATE TABLE kept (n INT)", "INSERT INTO kept VALUES (42)")

    archive = tmp_path / "coffer.backup"
    backup(coffer, archive, "--passphrase-file", str(passphrase_file))
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    assert scan.find("keeper", "archive", archive.read_bytes()) == []
    assert not list((coffer.state_dir / "checkpoints").iterdir()), "the copy is gone with the command"

    orphan = coffer.api.create("made after")["id"]
    coffer.api.remove(deleted)
    # The epoch and the numbers of messages go on after the backup; the agents remember.
    for _ in range(3):
        coffer.stop()
        coffer.start()
    coffer.api.wait_healthy(kept["id"])
    engine = {process.pid for process in processes.engines(coffer.state_dir, kept["id"])}
    coffer.stop()
    lose_the_control_plane(coffer)
    assert "encrypted" in restore(coffer, archive)
    (tmp_path / "wrong").write_text("another passphrase")
    assert "passphrase is wrong" in restore(coffer, archive, "--passphrase-file", str(tmp_path / "wrong"))
    assert not (coffer.state_dir / "store").exists() and not (coffer.state_dir / "deployment.key").exists()
    assert restore(coffer, archive, "--passphrase-file", str(passphrase_file)) == ""
    assert "overwrites no state" in restore(coffer, archive, "--passphrase-file", str(passphrase_file))

    coffer.start()
    coffer.api.wait_healthy(kept["id"], ADOPT_TIMEOUT_S)
    assert query(*login, "SELECT n FROM kept") == [(42,)]
    assert {process.pid for process in processes.engines(coffer.state_dir, kept["id"])} == engine, "it was adopted"
    # Its agent obeys: only the engine itself says so.
    later = {"name": "later", "password": "pw-of-later-2", "databases": [{"name": "vault"}]}
    coffer.api.post(f"/instances/{kept['id']}/users", {"users": [later]})
    new_login = (login[0], "later", later["password"], "vault")
    wait_for("the new user to log in", lambda: can_log_in(*new_login), ADOPT_TIMEOUT_S)

    found = {finding["code"]: finding for finding in coffer.findings("admin", "check")}
    assert found.keys() == {"outside.orphan", "outside.missing"}, found
    assert orphan in found["outside.orphan"]["what"] and deleted in found["outside.missing"]["what"]
    mend = found["outside.orphan"]["mend"].split()
    assert mend[:3] == ["coffer", "admin", "remove-orphan"]
    shown = coffer.command(*mend[1:])
    assert shown.returncode == 1 and "--yes" in shown.stdout and processes.engines(coffer.state_dir, orphan)
    refused = coffer.command("admin", "remove-orphan", kept["id"], "--yes", "--state-dir", str(coffer.state_dir))
    assert refused.returncode == 2 and "is no orphan" in refused.stderr
    coffer.run(*mend[1:], "--yes")
    assert coffer.leftovers(orphan) == []
    coffer.api.remove(deleted)
    assert coffer.findings("admin", "check") == []


def test_a_stopped_one_is_backed_up_without_its_key(new_coffer: Callable[[], Coffer], tmp_path: Path):
    coffer = new_coffer()
    coffer.start()
    instance = coffer.api.create("kept")["id"]
    coffer.stop()
    archive = tmp_path / "coffer.tar"
    chosen = coffer.command("admin", "backup", str(archive), "--state-dir", str(coffer.state_dir))
    assert chosen.returncode == 2 and "--include-key-in-clear" in chosen.stderr and not archive.exists()
    backup(coffer, archive, "--without-key")
    with tarfile.open(archive) as tar:
        names = tar.getnames()
        manifest = json.load(tar.extractfile("manifest.json"))
    assert "deployment.key" not in names and "users.json" in names and "store/CURRENT" in names
    assert [member["name"] for member in manifest["members"]] == names[1:]

    key = (coffer.state_dir / "deployment.key").read_bytes()
    lose_the_control_plane(coffer)
    assert "without the deployment key" in restore(coffer, archive)
    place = coffer.state_dir / "deployment.key"
    other = json.loads(key) | {"key": json.loads(key)["token_key"]}
    place.write_text(json.dumps(other))
    place.chmod(0o600)
    assert "cannot be opened" in restore(coffer, archive), "another key is noticed before anything is in place"
    place.write_bytes(key)
    damaged = bytearray(archive.read_bytes())
    damaged[-20000] ^= 1
    (tmp_path / "damaged").write_bytes(damaged)
    assert "damaged" in restore(coffer, tmp_path / "damaged")
    assert not (coffer.state_dir / "store").exists() and not (coffer.state_dir / "restore.partial").exists()
    assert restore(coffer, archive) == ""
    coffer.start()
    coffer.api.wait_healthy(instance, ADOPT_TIMEOUT_S)
    assert coffer.findings("admin", "check") == []


def test_an_interrupted_restore_is_noticed(new_coffer: Callable[[], Coffer]):
    coffer = new_coffer()
    coffer.start()
    coffer.stop()
    shutil.rmtree(coffer.state_dir / "store")
    (coffer.state_dir / "restore.partial").mkdir()
    started = coffer.command(*coffer.command_line())
    assert started.returncode == 1 and "restore" in started.stderr and "interrupted" in started.stderr
    assert [finding["code"] for finding in coffer.findings("doctor")] == ["state.restoring"]
    os.rmdir(coffer.state_dir / "restore.partial")  # noqa: PTH106
    coffer.command("dev-clean", "--state-dir", str(coffer.state_dir))
