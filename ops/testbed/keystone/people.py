"""Fills a Keystone that was just made, or tells it where Coffer is: `people.py DIRECTORY make|endpoint URL`.

Who there is, with passwords and an application credential each, is written to `people.json` in that directory.
"""

import json
import secrets
import sys
from pathlib import Path
from typing import Any

import requests

TIMEOUT_S = 30
REGION = "RegionOne"
# Name, project, role there. The first is Coffer's own; the role `service` lets it ask whose a token is.
PEOPLE = [
    ("coffer", "service", "service"),
    ("alice", "shop", "member"),
    ("bob", "bank", "member"),
    ("carol", "operations", "admin"),
]


class Keystone:
    """The API, as one user of one project."""

    def __init__(self, auth_url: str, user: str, password: str, project: str) -> None:
        self.auth_url = auth_url
        self.session = requests.Session()
        self.session.trust_env = False
        domain = {"id": "default"}
        identity = {
            "methods": ["password"],
            "password": {"user": {"name": user, "domain": domain, "password": password}},
        }
        scope = {"project": {"name": project, "domain": domain}}
        answer = self.request("POST", "/auth/tokens", {"auth": {"identity": identity, "scope": scope}})
        self.session.headers["X-Auth-Token"] = answer.headers["X-Subject-Token"]

    def request(self, method: str, path: str, body: Any = None) -> requests.Response:
        answer = self.session.request(method, self.auth_url + path, json=body, timeout=TIMEOUT_S)
        if not answer.ok:
            raise SystemExit(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer

    def make(self, kind: str, **what: Any) -> dict[str, Any]:
        return self.request("POST", f"/{kind}s", {kind: what}).json()[kind]

    def ids(self, kind: str) -> dict[str, str]:
        return {row["name"]: row["id"] for row in self.request("GET", f"/{kind}s").json()[f"{kind}s"]}


def make(bed: Path, admin: Keystone) -> dict[str, Any]:
    roles = admin.ids("role")
    people = {}
    for name, project_name, role in PEOPLE:
        project = admin.make("project", name=project_name, domain_id="default")["id"]
        password = secrets.token_urlsafe(18)
        user = admin.make(
            "user", name=name, domain_id="default", password=password, default_project_id=project, enabled=True
        )["id"]
        admin.request("PUT", f"/projects/{project}/users/{user}/roles/{roles[role]}")
        own = Keystone(admin.auth_url, name, password, project_name)
        credential = own.request(
            "POST", f"/users/{user}/application_credentials", {"application_credential": {"name": "of the test bed"}}
        ).json()["application_credential"]
        people[name] = {
            "user_id": user,
            "password": password,
            "project": project_name,
            "project_id": project,
            "roles": [role],
            "application_credential_id": credential["id"],
            "application_credential_secret": credential["secret"],
        }
    # A service reads its secrets from files of their own.
    (bed / "coffer.password").write_text(people["coffer"]["password"] + "\n")
    (bed / "coffer.secret").write_text(people["coffer"]["application_credential_secret"] + "\n")
    (bed / "people.json").write_text(json.dumps(people, indent=2) + "\n")
    return people


def set_endpoint(admin: Keystone, api: str) -> None:
    """Has the catalogue name this Coffer, and no other, for the type `database`."""
    services = admin.request("GET", "/services?type=database").json()["services"]
    service = services[0] if services else admin.make("service", type="database", name="trove")
    for endpoint in admin.request("GET", f"/endpoints?service_id={service['id']}").json()["endpoints"]:
        admin.request("DELETE", f"/endpoints/{endpoint['id']}")
    for interface in ("public", "internal", "admin"):
        url = f"{api}/v1.0/%(project_id)s"
        admin.make("endpoint", service_id=service["id"], interface=interface, region_id=REGION, url=url)


def main() -> None:
    bed, verb, *words = sys.argv[1:]
    settings = dict(line.split("=", 1) for line in Path(bed, "address").read_text().split())
    password = Path(bed, "admin.password").read_text().strip()
    admin = Keystone(f"http://127.0.0.1:{settings['PORT']}/v3", "admin", password, "admin")
    if verb == "make":
        make(Path(bed), admin)
    else:
        set_endpoint(admin, *words)


main()
