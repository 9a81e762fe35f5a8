"""`ops/quickstart` from start to end, with the programs that the other tests use."""

import contextlib
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import processes
from harness.clients import OpenStack, can_log_in
from harness.wait import wait_for

REPOSITORY = Path(__file__).resolve().parents[2]
TIMEOUT_S = 240
# Longer than a Unix socket's path may be.
DEEP = "/".join(["a-directory-with-a-long-name"] * 6)
OTHER_USER = "coffer-e2e"


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that other users may pass through; whatever still runs from it is ended with it."""
    directory = Path(tempfile.mkdtemp(prefix="coffer-quickstart-", dir="/tmp"))
    directory.chmod(0o711)
    yield directory
    for process in processes.mentioning(str(directory)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    shutil.rmtree(directory, ignore_errors=True)


def quickstart(
    home: Path,
    bin_dir: Path,
    *arguments: str,
    script: Path = REPOSITORY / "ops/quickstart",
    user: str | None = None,
) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "COFFER_BIN_DIR": str(bin_dir)}
    return subprocess.run(
        [script, *arguments],
        env=environment,
        user=user,
        group=user,
        extra_groups=[] if user else None,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        cwd="/",
    )


def assert_played(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("Ada", "Grace", "MariaDB"):
        assert name in done.stdout, done.stdout


def stop(bin_dir: Path, state_dir: Path, output: str) -> None:
    """As the quickstart's last lines say."""
    pid = int(re.search(r"kill (\d+)", output)[1])
    os.kill(pid, signal.SIGTERM)
    wait_for("coffer to stop", lambda: not (state_dir / "endpoints.json").exists(), 30)
    subprocess.run([bin_dir / "coffer", "dev-clean", "--state-dir", state_dir], check=True, capture_output=True)
    assert not state_dir.exists()
    wait_for("everything to end", lambda: not processes.mentioning(str(state_dir)), 30)


def test_once_from_a_deep_path(bin_dir: Path, place: Path):
    clone = place / DEEP / "coffer"
    shutil.copytree(REPOSITORY / "ops", clone / "ops")
    shutil.copy(REPOSITORY / "Cargo.toml", clone)
    state_dir = place / DEEP / "state"
    for parent in state_dir.parents:
        if place in parent.parents:
            parent.chmod(0o711)
    done = quickstart(place, bin_dir, "--once", "--state-dir", str(state_dir), script=clone / "ops/quickstart")
    assert_played(done)
    assert not state_dir.exists()
    assert not processes.mentioning(str(state_dir))


def test_twice_in_a_row(bin_dir: Path, place: Path):
    state_dir = place / "state"
    arguments = ("--state-dir", str(state_dir), "--listen", "127.0.0.1:0")
    first = quickstart(place, bin_dir, *arguments)
    assert_played(first)
    second = quickstart(place, bin_dir, *arguments)
    assert_played(second)
    assert len(processes.engines(state_dir)) == 1
    # What it tells people to paste works.
    address = re.search(r"--host=(\S+)", second.stdout)[1]
    password = re.search(r"^ +password +(\S+)", second.stdout, re.MULTILINE)[1]
    assert can_log_in(address, "app", password, "shop")
    exported = dict(re.findall(r"export (OS_\w+)=(\S+)", second.stdout))
    client = OpenStack(
        exported["OS_AUTH_URL"], exported["OS_USERNAME"], exported["OS_PASSWORD"], exported["OS_PROJECT_NAME"]
    )
    assert client.names("database", "instance", "list") == {"quickstart"}
    # It is stopped and started again, too.
    os.kill(int(re.search(r"kill (\d+)", second.stdout)[1]), signal.SIGTERM)
    wait_for("coffer to stop", lambda: not (state_dir / "endpoints.json").exists(), 30)
    third = quickstart(place, bin_dir, *arguments)
    assert_played(third)
    stop(bin_dir, state_dir, third.stdout)


def test_two_users_side_by_side(bin_dir: Path, place: Path):
    """Each has a Coffer of his own; neither touches the other's."""
    if os.geteuid() != 0:
        pytest.skip("only root can act as another user")
    mine, programs = place / "mine", place / "bin"
    programs.mkdir(mode=0o755)
    for name in ("coffer", "coffer-agent"):
        shutil.copy(bin_dir / name, programs)
    clone = place / "clone"
    shutil.copytree(REPOSITORY / "ops", clone / "ops")
    shutil.copy(REPOSITORY / "Cargo.toml", clone)
    clone.chmod(0o755)
    first = quickstart(place, programs, "--state-dir", str(mine), "--listen", "127.0.0.1:0")
    assert_played(first)
    with another_user(place) as home:
        again = {"script": clone / "ops/quickstart", "user": OTHER_USER}
        refused = quickstart(home, programs, "--state-dir", str(mine), **again)
        assert refused.returncode != 0
        assert f"{mine} is not yours" in refused.stderr
        # The first one's port, asked for by name, is taken: the second says so and ends.
        port = re.search(r"OS_AUTH_URL=http://127.0.0.1:(\d+)", first.stdout)[1]
        clash = quickstart(home, programs, "--once", "--listen", f"127.0.0.1:{port}", **again)
        assert clash.returncode != 0
        assert "failed in the step: start coffer dev" in clash.stderr
        assert_played(quickstart(home, programs, "--once", **again))
        assert not [process for process in processes.processes() if owner(process.pid) == OTHER_USER]
    assert len(processes.engines(mine)) == 1
    stop(programs, mine, first.stdout)


@contextlib.contextmanager
def another_user(place: Path) -> Iterator[Path]:
    """An ordinary account, for a while; its home directory."""
    home = place / "home"
    subprocess.run(["useradd", "--create-home", "--home-dir", home, OTHER_USER], check=True, capture_output=True)
    try:
        yield home
    finally:
        for process in processes.processes():
            if owner(process.pid) == OTHER_USER:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
        subprocess.run(["userdel", "--force", "--remove", OTHER_USER], check=False, capture_output=True)


def owner(pid: int) -> str:
    try:
        return pwd.getpwuid(Path(f"/proc/{pid}").stat().st_uid).pw_name
    except (OSError, KeyError):
        return ""
