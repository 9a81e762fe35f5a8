"""`coffer serve` with a real Keystone in place of users of its own."""

import contextlib
import json
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from harness.api import Api
from harness.certificates import Authority
from harness.clients import OpenStack
from harness.coffer import Coffer
from harness.keystone import Bed
from harness.processes import mentioning
from harness.served import Served
from harness.wait import wait_for

pytestmark = pytest.mark.keystone

# What Coffer takes an answer of Keystone's for true for.
CACHE_S = 5
# How long Coffer waits for an answer: a Keystone on a busy machine takes seconds for one.
TIMEOUT_S = 10
# Coffer lets Keystone rest for a second after it could not be reached.
RECOVERY_TIMEOUT_S = 30


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    bed = Bed(tmp_path_factory.mktemp("keystone") / "bed")
    bed.do("up")
    yield bed
    bed.do("down", "--wipe")


def table(bed: Bed, login: dict[str, str]) -> str:
    lines = {"auth_url": bed.auth_url} | login
    return (
        "\n[identity.keystone]\n"
        + "".join(f'{key} = "{value}"\n' for key, value in lines.items())
        + f"cache_s = {CACHE_S}\ntimeout_s = {TIMEOUT_S}\n"
    )


def by_password(bed: Bed) -> dict[str, str]:
    return {"username": "coffer", "password_file": str(bed.directory / "coffer.password")}


def by_credential(bed: Bed) -> dict[str, str]:
    credential = bed.people["coffer"]["application_credential_id"]
    return {
        "application_credential_id": credential,
        "application_credential_secret_file": str(bed.directory / "coffer.secret"),
    }


class Clouded(Served):
    """`coffer serve` in a cloud, whose catalogue names it."""

    def __init__(self, bin_dir: Path, bed: Bed) -> None:
        super().__init__(bin_dir)
        self.bed = bed
        self.plain = self.config.read_text()
        self.users = self.state_dir / "users.json"
        # Its own users have no say.
        self.users.unlink()
        self.log_in_by(by_password(bed))

    def log_in_by(self, login: dict[str, str]) -> None:
        self.config.write_text(self.plain + table(self.bed, login))

    def start(self, *more: str, **options: object) -> None:
        super().start(*more, **options)
        self.bed.do("endpoint", self.endpoints()["api"])

    @property
    def api(self) -> Api:
        return self.bed.api("alice")


@pytest.fixture(scope="module")
def clouded(bin_dir: Path, bed: Bed) -> Iterator[Clouded]:
    coffer = Clouded(bin_dir, bed)
    coffer.start()
    yield coffer
    coffer.clean()


def status_of(api: Api) -> int:
    return api.request("GET", "/instances").status_code


def test_clients_talk_to_keystone_and_are_let_in(clouded: Clouded, bed: Bed):
    assert clouded.endpoints()["auth_url"] == bed.auth_url
    for client in (bed.client("alice"), bed.client_with_credential("alice")):
        assert client.names("datastore", "list") == {"mysql"}
        assert client.json("database", "instance", "list") == []
    assert bed.client("alice").trove_json("datastore-list")[0]["name"] == "mysql"
    wrong = OpenStack(bed.auth_url, "alice", "wrong", "shop").run("database", "instance", "list")
    assert wrong.returncode != 0 and "HTTP 401" in wrong.stderr


def test_coffer_itself_issues_no_tokens_and_says_who_does(clouded: Clouded, bed: Bed):
    api = clouded.endpoints()["api"]
    for method, path in (("GET", "/v3"), ("GET", "/v3/"), ("POST", "/v3/auth/tokens")):
        assert requests.request(method, api + path, timeout=30).status_code == 404, path
    tenant = bed.people["alice"]["project_id"]
    for token in ({}, {"X-Auth-Token": "none"}):
        refused = requests.get(f"{api}/v1.0/{tenant}/instances", headers=token, timeout=30)
        assert refused.status_code == 401
        assert refused.headers["WWW-Authenticate"] == f'Keystone uri="{bed.auth_url}"'


def test_two_projects_never_see_each_other(clouded: Clouded, bed: Bed):
    alice, bob, carol = (bed.api(name) for name in ("alice", "bob", "carol"))
    instance = alice.create("hers", databases=[{"name": "shop"}], users=[])["id"]
    assert bed.client("alice").names("database", "instance", "list") == {"hers"}
    assert bed.client_with_credential("alice").names("database", "instance", "list") == {"hers"}
    assert bed.client("bob").names("database", "instance", "list") == set()
    assert bob.request("GET", f"/instances/{instance}").status_code == 404
    assert bob.request("DELETE", f"/instances/{instance}").status_code == 404
    for stranger in (bob, carol):
        foreign = stranger.session.get(f"{alice.endpoint}/instances/{instance}", timeout=30)
        assert foreign.status_code == 403, foreign.text
    # The role `admin` opens what is for admins, and nothing else does.
    assert bob.request("GET", "/mgmt/instances").status_code == 401
    assert [row["id"] for row in carol.get("/mgmt/instances")["instances"]] == [instance]
    alice.remove(instance)
    assert clouded.leftovers(instance) == []


def test_a_token_without_a_project_enters_nobodys_path(clouded: Clouded, bed: Bed):
    endpoint = bed.api("alice").endpoint
    domain, system = {"domain": {"id": "default"}}, {"system": {"all": True}}
    tokens = [bed.token("alice")]
    # Only the cloud's own admin has a role in the domain or the system, where this Keystone gives any.
    for scope in (domain, system):
        answer = requests.post(
            f"{bed.auth_url}/auth/tokens",
            json={"auth": {"identity": admin_identity(bed), "scope": scope}},
            timeout=30,
        )
        if answer.ok:
            tokens.append(answer.headers["X-Subject-Token"])
    assert len(tokens) > 1, "there is a role in the system"
    for token in tokens:
        refused = requests.get(f"{endpoint}/instances", headers={"X-Auth-Token": token}, timeout=30)
        assert refused.status_code == 403, refused.text
        assert "User with tenant id None cannot access this resource." in refused.text


def admin_identity(bed: Bed) -> dict[str, object]:
    password = (bed.directory / "admin.password").read_text().strip()
    user = {"name": "admin", "domain": {"id": "default"}, "password": password}
    return {"methods": ["password"], "password": {"user": user}}


def test_a_revoked_token_is_refused_within_the_cache_time(clouded: Clouded, bed: Bed):
    alice, other = bed.api("alice"), bed.api("alice")
    assert (status_of(alice), status_of(other)) == (200, 200)
    bed.revoke(alice.token)
    wait_for("the revoked token to be refused", lambda: status_of(alice) == 401, CACHE_S + 2)
    assert status_of(other) == 200, "only that one is revoked"


@pytest.mark.parametrize(("away", "back"), [("kill", "up"), ("freeze", "thaw")])
def test_without_keystone_known_tokens_go_on_and_others_are_told_to_come_back(
    clouded: Clouded, bed: Bed, away: str, back: str
):
    unknown, known = bed.api("alice"), bed.api("alice")
    assert status_of(known) == 200
    bed.do(away)
    try:
        assert status_of(known) == 200
        refused = unknown.request("GET", "/instances")
        assert refused.status_code == 503, refused.text
        assert int(refused.headers["Retry-After"]) >= 1
        assert "serviceUnavailable" in refused.json()
        # What it is known for ends, and then nobody is let in by guess.
        wait_for("the known token to be asked about", lambda: status_of(known) == 503, CACHE_S + 2 * TIMEOUT_S)
    finally:
        bed.do(back)
    wait_for("a known token to be let in again", lambda: status_of(known) == 200, RECOVERY_TIMEOUT_S)
    wait_for("an unknown one to be let in", lambda: status_of(unknown) == 200, RECOVERY_TIMEOUT_S)


def test_an_application_credential_serves_as_well(clouded: Clouded, bed: Bed):
    clouded.stop()
    clouded.log_in_by(by_credential(bed))
    clouded.start()
    assert status_of(bed.api("alice")) == 200
    clouded.stop()
    clouded.log_in_by(by_password(bed))
    clouded.start()


def test_the_doctor_knows_what_is_wrong_with_it(clouded: Clouded, bed: Bed):
    def found() -> dict[str, str]:
        done = clouded.command("doctor", "--config", str(clouded.config), "--json")
        findings = json.loads(done.stdout)
        return {each["code"]: each["what"] for each in findings if each["code"].startswith("identity.")}

    assert found() == {}
    secret = bed.directory / "coffer.password"
    before = secret.read_text()
    try:
        secret.chmod(0o644)
        assert "0600" in found()["identity.keystone"]
        secret.chmod(0o600)
        secret.write_text("wrong\n")
        assert "refuses Coffer's own user" in found()["identity.keystone"]
    finally:
        secret.write_text(before)
        secret.chmod(0o600)
    alice = bed.directory / "alice.password"
    alice.write_text(bed.people["alice"]["password"])
    alice.chmod(0o600)
    running = clouded.config.read_text()
    try:
        clouded.log_in_by({"username": "alice", "project": "shop", "password_file": str(alice)})
        assert "role" in found()["identity.role"]
    finally:
        clouded.config.write_text(running)
    bed.do("kill")
    assert "cannot be asked" in found()["identity.keystone"]
    bed.do("up")
    assert found() == {}


def test_keystone_over_tls_is_trusted_by_its_authority_alone(clouded: Clouded, bed: Bed, tmp_path: Path):
    authority = Authority(tmp_path)
    with tls_in_front(bed, authority) as port:
        running = clouded.config.read_text()
        login = by_password(bed) | {"auth_url": f"https://127.0.0.1:{port}/v3"}
        try:
            clouded.log_in_by(login)
            done = clouded.command("doctor", "--config", str(clouded.config))
            assert "identity.keystone" in done.stdout and "certificate" in done.stdout
            clouded.log_in_by(login | {"ca_file": str(authority.file)})
            done = clouded.command("doctor", "--config", str(clouded.config))
            assert "identity." not in done.stdout
        finally:
            clouded.config.write_text(running)


@contextlib.contextmanager
def tls_in_front(bed: Bed, authority: Authority) -> Iterator[int]:
    """Ends TLS on a port of its own and passes everything on to Keystone, one connection after the other."""
    pair = authority.sign("keystone")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    keystone = urlsplit(bed.auth_url)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with (
                contextlib.suppress(OSError),
                context.wrap_socket(self.request, server_side=True) as client,
                socket.create_connection((keystone.hostname, keystone.port), timeout=30) as server,
            ):
                back = threading.Thread(target=pass_on, args=(server, client))
                back.start()
                pass_on(client, server)
                back.join()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while part := source.recv(65536):
            target.sendall(part)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def test_no_secret_is_in_a_log_or_a_command_line(clouded: Clouded, bed: Bed):
    token = bed.api("alice").token
    assert requests.get(f"{bed.api('alice').endpoint}/flavors", headers={"X-Auth-Token": token}, timeout=30).ok
    coffer = bed.people["coffer"]
    log = clouded.log_file.read_text()
    for secret in (coffer["password"], coffer["application_credential_secret"], token):
        assert secret not in log
        assert mentioning(secret) == []


def test_the_local_identity_is_as_it_was(new_coffer: Callable[[], Coffer]):
    """Beside it, for `coffer dev` and whoever has no cloud."""
    coffer = new_coffer()
    coffer.start()
    assert coffer.endpoints()["auth_url"] == coffer.endpoints()["api"] + "/v3"
    assert coffer.api.instances() == []
