"""A real Keystone of its own for a test: `ops/testbed/keystone/run`, and people who log in there."""

import json
import subprocess
from pathlib import Path
from typing import Any

import requests

from .api import Api
from .clients import OpenStack

RUN = Path(__file__).parents[2] / "testbed" / "keystone" / "run"
# Longer than the test bed itself waits.
RUN_TIMEOUT_S = 240
TIMEOUT_S = 30


class Bed:
    """One test bed in a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def do(self, verb: str, *words: str) -> None:
        done = subprocess.run(
            [RUN, verb, "--dir", self.directory, *words],
            capture_output=True,
            text=True,
            timeout=RUN_TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, f"{verb} {' '.join(words)}: {done.stdout} {done.stderr}"

    @property
    def auth_url(self) -> str:
        return json.loads((self.directory / "endpoints.json").read_text())["auth_url"]

    @property
    def people(self) -> dict[str, dict[str, Any]]:
        return json.loads((self.directory / "people.json").read_text())

    def api(self, name: str) -> Api:
        """Coffer's API with a new token of this person."""
        person = self.people[name]
        return Api(self.auth_url, name, person["password"], person["project"])

    def client(self, name: str) -> OpenStack:
        """`openstack` with this person's password."""
        person = self.people[name]
        return OpenStack(self.auth_url, name, person["password"], person["project"])

    def client_with_credential(self, name: str) -> OpenStack:
        """`openstack` with this person's application credential."""
        person = self.people[name]
        more = {
            "OS_AUTH_TYPE": "v3applicationcredential",
            "OS_APPLICATION_CREDENTIAL_ID": person["application_credential_id"],
            "OS_APPLICATION_CREDENTIAL_SECRET": person["application_credential_secret"],
        }
        return OpenStack(self.auth_url, "", "", "", instead=more)

    def token(self, name: str, scope: Any = None) -> str:
        """A token with another scope than the person's project."""
        user = {"name": name, "domain": {"id": "default"}, "password": self.people[name]["password"]}
        auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": user}}}
        auth["scope"] = scope or "unscoped"
        answer = self._ask("POST", "", json={"auth": auth})
        return answer.headers["X-Subject-Token"]

    def revoke(self, token: str) -> None:
        self._ask("DELETE", token)

    def _ask(self, method: str, token: str, **more: Any) -> requests.Response:
        headers = {"X-Auth-Token": token, "X-Subject-Token": token} if token else {}
        url = f"{self.auth_url}/auth/tokens"
        answer = requests.request(method, url, headers=headers, timeout=TIMEOUT_S, **more)
        assert answer.ok, f"{method} {url}: {answer.status_code} {answer.text}"
        return answer
