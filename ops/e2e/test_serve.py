"""`coffer serve` as the systemd unit runs it, and the scripts that install the unit."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from harness import processes
from harness.served import Served, unit
from harness.wait import wait_for

ADOPT_TIMEOUT_S = 60


@pytest.fixture(scope="module")
def served(bin_dir: Path) -> Iterator[Served]:
    coffer = Served(bin_dir)
    yield coffer
    coffer.clean()


def test_databases_outlive_the_service_and_are_adopted(served: Served, monkeypatch: pytest.MonkeyPatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        name = f"\0coffer-test-{os.getpid()}"
        systemd.bind(name)
        systemd.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name[1:])
        served.start()
        assert systemd.recv(100) == b"READY=1"
        instance = served.api.create("lasting")["id"]
        engines = {process.pid for process in processes.engines(served.state_dir, instance)}
        assert len(engines) == 1
        # As `systemctl stop` does with KillMode=process: SIGTERM to the main process alone.
        assert unit()["Service"]["KillMode"] == "process"
        served.stop()
        assert systemd.recv(100) == b"STOPPING=1"
    assert {process.pid for process in processes.engines(served.state_dir, instance)} == engines
    assert served.findings("doctor") == [] or [found["code"] for found in served.findings("doctor")] == ["host.port"]
    monkeypatch.delenv("NOTIFY_SOCKET")
    served.start()
    served.api.wait_healthy(instance, ADOPT_TIMEOUT_S)
    assert {process.pid for process in processes.engines(served.state_dir, instance)} == engines, "it was adopted"
    found = served.command("doctor", "--config", str(served.config))
    assert (found.returncode, found.stdout.splitlines()[-1]) == (0, "all is well"), found.stdout + found.stderr


def test_other_hosts_get_what_the_configuration_says(served: Served):
    """As another host: from an address of this one that is not loopback."""
    own = own_address()
    if not own:
        pytest.skip("this host has no address but loopback")
    if not served.is_dead():
        served.stop()
    before = served.config.read_text()
    try:
        served.config.write_text(before.replace("127.0.0.1:0", "0.0.0.0:0"))
        refused = served.command(*served.command_line())
        assert refused.returncode == 1 and "rest.listen" in refused.stderr
        served.config.write_text(before.replace("127.0.0.1:0", '0.0.0.0:0"\nbehind_tls_proxy = true #'))
        served.start()
        port = served.endpoints()["api"].rpartition(":")[2]
        assert requests.get(f"http://{own}:{port}/healthz", timeout=10).status_code == 200
        assert requests.get(f"http://{own}:{port}/metrics", timeout=10).status_code == 404
        assert requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10).status_code == 200
        served.stop()
    finally:
        served.config.write_text(before)
    served.start()


def own_address() -> str:
    """The address that packets to other hosts would have; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect(("192.0.2.1", 9))
        return probe.getsockname()[0]
    return ""


def test_a_second_install_keeps_the_configuration_and_what_runs(served: Served):
    before = served.config.read_text()
    pid = served.pid
    served.script("install")
    assert served.config.read_text() == before
    assert not served.is_dead() and served.pid == pid


def test_the_unit_is_sound():
    """What would end the databases with the service, or take their files away, is not in it."""
    service = unit()["Service"]
    assert service["KillMode"] == "process" and service["OOMPolicy"] == "continue"
    assert service["StateDirectory"] == "coffer" and service["StateDirectoryMode"] == "0711"
    for option in ("PrivateTmp", "RuntimeDirectory", "PrivateUsers", "MemoryDenyWriteExecute", "DynamicUser"):
        assert option not in service


def test_uninstalling_leaves_databases_and_purging_does_not(bin_dir: Path):
    coffer = Served(bin_dir)
    try:
        coffer.start()
        instance = coffer.api.create("doomed")["id"]
        coffer.stop()
        coffer.script("uninstall")
        assert not (coffer.bin_dir / "coffer").exists() and coffer.config.exists()
        assert processes.engines(coffer.state_dir, instance), "the database goes on"
        coffer.bin_dir = bin_dir
        coffer.script("install")
        coffer.bin_dir = coffer.destdir / "usr/local/bin"
        said = coffer.script("uninstall", "--purge", "--yes")
        assert str(coffer.state_dir) in said and instance in said, "what goes is said"
        assert not coffer.state_dir.exists() and not coffer.config.exists()
        wait_for("the engine's end", lambda: not processes.engines(coffer.state_dir, instance), 30)
    finally:
        coffer.bin_dir = bin_dir
        coffer.clean()
