"""`coffer doctor` finds what was broken on purpose, names the command that mends it, and is content afterwards."""

import json
import os
import shlex
import signal
import socket
import subprocess
from collections.abc import Callable

import pytest

from harness import processes
from harness.coffer import Coffer
from harness.wait import wait_for

MEND_TIMEOUT_S = 60


@pytest.fixture(scope="module")
def instance(coffer: Coffer) -> str:
    return coffer.api.create("patient")["id"]


def codes(coffer: Coffer, command: str = "doctor") -> set[str]:
    return {finding["code"] for finding in coffer.findings(*command.split())}


def mend_of(coffer: Coffer, code: str) -> str:
    return next(finding["mend"] for finding in coffer.findings("doctor") if finding["code"] == code)


def test_a_sound_coffer_has_no_findings(coffer: Coffer, instance: str):
    assert coffer.findings("doctor") == []
    assert coffer.findings("admin", "check") == []
    said = coffer.run("doctor", "--state-dir", str(coffer.state_dir))
    assert said.splitlines()[-1] == "all is well"


def test_sizes_that_nobody_enforces_are_told_of_and_are_no_fault(coffer: Coffer):
    words = "the kernel does not hold guests to the memory and vCPUs of their flavor"
    place = ("--state-dir", str(coffer.state_dir))
    for command in (("doctor",), ("admin", "check")):
        notes = {finding["code"]: finding for finding in json.loads(coffer.run(*command, "--json", *place))}
        assert notes["host.sizes"]["severity"] == "note" and words in notes["host.sizes"]["what"]
        assert f"note: host.sizes: {words}" in coffer.run(*command, *place)
    assert coffer.log_file.read_text().count(words) == 1, "the log says it once"


def test_what_is_broken_in_the_state_directory_is_mended_by_what_it_says(coffer: Coffer, instance: str):
    for path, mode, code in (
        (coffer.state_dir / "deployment.key", 0o644, "state.key"),
        (coffer.state_dir, 0o755, "state.mode"),
    ):
        before = path.stat().st_mode
        path.chmod(mode)
        assert code in codes(coffer)
        subprocess.run(shlex.split(mend_of(coffer, code)), check=True)
        assert path.stat().st_mode == before
    assert coffer.findings("doctor") == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only guests of root have users of their own")
def test_a_closed_parent_is_named(coffer: Coffer):
    coffer.directory.chmod(0o700)
    subprocess.run(shlex.split(mend_of(coffer, "state.closed")), check=True)
    assert "state.closed" not in codes(coffer)


def test_a_dead_agent_is_seen_until_it_is_back(coffer: Coffer, instance: str):
    """Its supervisor is stopped, so that it stays dead."""
    supervisor = next(
        process for process in processes.mentioning(str(coffer.state_dir)) if "local-supervisor" in process.command_line
    )
    agent = next(process for process in processes.mentioning(instance) if process.program == "coffer-agent")
    os.kill(supervisor.pid, signal.SIGSTOP)
    try:
        os.kill(agent.pid, signal.SIGKILL)
        wait_for("the agent's absence", lambda: "guest.no_agent" in codes(coffer, "admin check"), MEND_TIMEOUT_S)
    finally:
        os.kill(supervisor.pid, signal.SIGCONT)
    wait_for("all to be well", lambda: coffer.findings("doctor") == [], MEND_TIMEOUT_S)


def test_a_process_of_nobody_is_found(coffer: Coffer):
    other = "11111111-2222-4333-8444-555555555555"
    root = str(coffer.state_dir.resolve() / "local")
    stray = subprocess.Popen(["/bin/sh", "-c", "read line", root], env={"COFFER_SERVER": other}, stdin=subprocess.PIPE)
    try:
        wait_for("the stray to be found", lambda: "outside.stray_process" in codes(coffer), MEND_TIMEOUT_S)
        assert mend_of(coffer, "outside.stray_process") == f"kill {stray.pid}"
    finally:
        stray.kill()
        stray.wait()
    assert coffer.findings("doctor") == []


def test_a_stopped_one_is_looked_at_too(new_coffer: Callable[[], Coffer]):
    coffer = new_coffer()
    assert codes(coffer) == {"state.missing"}, "before the first start"
    coffer.start()
    instance = coffer.api.create("sleeper")["id"]
    coffer.stop()
    with socket.socket() as probe:
        is_free = probe.connect_ex(("127.0.0.1", 8779)) != 0
    expected = set() if is_free else {"host.port"}
    assert codes(coffer) == expected
    coffer.start()
    coffer.kill()
    assert codes(coffer) == expected | {"service.crashed"}
    key = coffer.state_dir / "deployment.key"
    moved = coffer.state_dir / "moved.key"
    key.rename(moved)
    assert {"state.key", "key.unreadable"} <= codes(coffer)
    moved.rename(key)
    coffer.start()
    coffer.api.remove(instance)
    assert coffer.findings("doctor") == []


def test_what_cannot_be_looked_at_is_told_apart(coffer: Coffer):
    (coffer.directory / "precious").mkdir()
    (coffer.directory / "precious" / "file").write_text("")
    done = coffer.command("admin", "check", "--state-dir", str(coffer.directory / "precious"))
    assert done.returncode == 2 and "holds other things" in done.stderr
