"""The API over TLS: with the real client, without old versions, and with a certificate that is exchanged."""

import contextlib
import json
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from harness.certificates import Authority, Pair
from harness.clients import OpenStack
from harness.coffer import Coffer
from harness.wait import hold_for, wait_for

RELOAD_TIMEOUT_S = 30
# Longer than a client may take for its handshake.
SLOW_HANDSHAKE_S = 30


class Served:
    """A running Coffer with TLS, and the files that it reads."""

    def __init__(self, coffer: Coffer, authority: Authority) -> None:
        self.coffer = coffer
        self.authority = authority
        self.files = Pair(authority.directory / "served.pem", authority.directory / "served.key")
        self.put(authority.sign("first"))
        words = ("--tls-cert", str(self.files.certificate), "--tls-key", str(self.files.key))
        coffer.start(*words, ca_file=authority.file)

    def put(self, pair: Pair) -> None:
        for new, place in ((pair.key, self.files.key), (pair.certificate, self.files.certificate)):
            shutil.copy(new, place.with_suffix(".new"))
            place.with_suffix(".new").rename(place)

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.coffer.endpoints()["api"].removeprefix("https://").rpartition(":")
        return host, int(port)

    def connect(self, **bounds: ssl.TLSVersion) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(self.authority.file))
        # The very old ones are refused by Python's own defaults otherwise.
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            for bound, version in bounds.items():
                setattr(context, bound, version)
        return context.wrap_socket(socket.create_connection(self.address, timeout=10), server_hostname=self.address[0])

    def shows_its_file(self) -> bool:
        """Whether the certificate is the file's, however good."""
        in_file = ssl.PEM_cert_to_DER_cert(self.files.certificate.read_text())
        return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(self.address)) == in_file

    def shown_name(self) -> str:
        with self.connect() as connection:
            subject = dict(pair[0] for pair in connection.getpeercert()["subject"])
        return subject["commonName"]


@pytest.fixture(scope="module")
def served(new_coffer: Callable[[], Coffer], tmp_path_factory: pytest.TempPathFactory) -> Served:
    return Served(new_coffer(), Authority(tmp_path_factory.mktemp("authority")))


def test_openstack_works_with_the_authoritys_certificate_and_not_without(served: Served):
    coffer = served.coffer
    auth_url = coffer.endpoints()["auth_url"]
    assert auth_url.startswith("https://")
    trusting = OpenStack(auth_url, "demo", coffer.password, "demo", str(served.authority.file))
    assert trusting.names("datastore", "list") == {"mysql"}
    assert trusting.json("database", "instance", "list") == []
    distrusting = OpenStack(auth_url, "demo", coffer.password, "demo").run("datastore", "list")
    assert distrusting.returncode != 0 and "certificate verify failed" in distrusting.stdout + distrusting.stderr
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(auth_url.replace("https://", "http://"), timeout=10)
    assert coffer.findings("doctor") == []


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
def test_old_versions_are_refused(served: Served, version: str):
    old = getattr(ssl.TLSVersion, version)
    # The server's word, not our own library's.
    with pytest.raises(ssl.SSLError, match=r"_ALERT_(HANDSHAKE_FAILURE|PROTOCOL_VERSION)"):
        served.connect(minimum_version=old, maximum_version=old)


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_current_versions_are_spoken(served: Served, version: str):
    current = getattr(ssl.TLSVersion, version)
    with served.connect(minimum_version=current, maximum_version=current) as connection:
        assert connection.version() == version.replace("_", ".")


def test_whoever_never_ends_the_handshake_is_dropped(served: Served):
    with socket.create_connection(served.address, timeout=SLOW_HANDSHAKE_S) as silent:
        # The beginning of a record, and no more.
        silent.sendall(b"\x16\x03\x01")
        with contextlib.suppress(ConnectionError):
            assert silent.recv(1) == b"", "the connection is closed, not answered"


def test_a_new_certificate_is_shown_and_connections_stay(served: Served):
    assert served.shown_name() == "first"
    with served.connect() as connection:
        served.put(served.authority.sign("second"))
        wait_for("the new certificate", lambda: served.shown_name() == "second", RELOAD_TIMEOUT_S)
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: coffer\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200"), "a connection from before goes on"
    assert served.coffer.is_ready(), "and so do new ones"


def test_doctor_tells_when_the_certificate_that_is_shown_ends(served: Served):
    for days, codes in ((5, ["tls.ends_soon"]), (0, ["tls.ended"]), (90, [])):
        served.put(served.authority.sign(f"for-{days}-days", days))
        wait_for("the new certificate", served.shows_its_file, RELOAD_TIMEOUT_S)
        assert [finding["code"] for finding in served.coffer.findings("doctor")] == codes


def test_doctor_looks_at_the_files_that_the_configuration_names(served: Served, tmp_path: Path):
    sound, other = served.authority.sign("sound"), served.authority.sign("another")
    config = tmp_path / "coffer.toml"

    def found(pair: Pair) -> dict[str, dict[str, str]]:
        config.write_text(
            f'state_dir = "{tmp_path}/absent"\n[rest]\n'
            f'tls_certificate_file = "{pair.certificate}"\ntls_key_file = "{pair.key}"\n'
        )
        done = served.coffer.command("doctor", "--config", str(config), "--json")
        return {finding["code"]: finding for finding in json.loads(done.stdout) if finding["code"].startswith("tls.")}

    assert found(sound) == {}
    for days, code, severity in ((29, "tls.ends_soon", "warning"), (0, "tls.ended", "fault")):
        findings = found(served.authority.sign(f"of-{days}-days", days))
        assert {code: finding["severity"] for code, finding in findings.items()} == {code: severity}
        assert "have another one signed" in findings[code]["mend"]
    findings = found(Pair(sound.certificate, other.key))
    assert list(findings) == ["tls.pair"] and "do not belong together" in findings["tls.pair"]["what"]
    assert "openssl x509 -noout -pubkey" in findings["tls.pair"]["mend"]
    sound.key.chmod(0o644)
    subprocess.run(shlex.split(found(sound)["tls.pair"]["mend"]), check=True)
    assert found(sound) == {}
    sound.certificate.unlink()
    assert "No such file" in found(sound)["tls.pair"]["what"]


def test_a_pair_that_does_not_fit_is_refused_and_the_old_one_stays(served: Served):
    before = served.shown_name()
    good, other = served.authority.sign("third"), served.authority.sign("fourth")
    served.put(Pair(good.certificate, other.key))
    served.coffer.process.send_signal(signal.SIGHUP)
    wait_for("the refusal", lambda: "do not belong together" in served.coffer.log_tail(), RELOAD_TIMEOUT_S)
    hold_for("the old certificate", lambda: served.shown_name() == before, 2)
    served.put(good)
    served.coffer.process.send_signal(signal.SIGHUP)
    wait_for("the good one", lambda: served.shown_name() == "third", RELOAD_TIMEOUT_S)


def test_a_bad_pair_is_refused_at_the_start(served: Served, new_coffer: Callable[[], Coffer], tmp_path: Path):
    coffer = new_coffer()
    one, two = served.authority.sign("one"), served.authority.sign("two")
    open_key = tmp_path / "open.key"
    shutil.copy(one.key, open_key)
    open_key.chmod(0o644)
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for certificate, key, words in (
        (one.certificate, two.key, "do not belong together"),
        (empty, one.key, "no certificate in it"),
        (one.certificate, tmp_path / "absent", "No such file"),
        (one.certificate, open_key, "everybody may read this key"),
    ):
        done = coffer.command(*coffer.command_line(), "--tls-cert", str(certificate), "--tls-key", str(key))
        assert done.returncode == 1 and words in done.stderr, done.stderr
