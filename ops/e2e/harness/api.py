"""A small client of the REST API, for what the tests do around the thing that they test."""

from typing import Any

import requests

from .wait import wait_for

TIMEOUT_S = 30
# From an order to a healthy instance, on a machine that is busy with other tests.
CREATE_TIMEOUT_S = 120
DELETE_TIMEOUT_S = 60


class Api:
    """The API as one user of one project sees it."""

    def __init__(self, auth_url: str, user: str, password: str, project: str, verify: str | bool = True) -> None:
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = verify
        answer = self.session.post(
            f"{auth_url}/auth/tokens",
            json={
                "auth": {
                    "identity": {
                        "methods": ["password"],
                        "password": {"user": {"name": user, "domain": {"id": "default"}, "password": password}},
                    },
                    "scope": {"project": {"name": project, "domain": {"id": "default"}}},
                }
            },
            timeout=TIMEOUT_S,
        )
        assert answer.status_code == 201, f"no token for {user}: {answer.status_code} {answer.text}"
        token = answer.json()["token"]
        self.token = answer.headers["X-Subject-Token"]
        self.tenant = token["project"]["id"]
        self.session.headers["X-Auth-Token"] = self.token
        self.session.headers["Accept"] = "application/json"
        self.endpoint = next(
            endpoint["url"]
            for service in token["catalog"]
            if service["type"] == "database"
            for endpoint in service["endpoints"]
            if endpoint["interface"] == "public"
        )

    def request(self, method: str, path: str, **arguments: Any) -> requests.Response:
        arguments.setdefault("timeout", TIMEOUT_S)
        return self.session.request(method, self.endpoint + path, **arguments)

    def get(self, path: str) -> dict[str, Any]:
        answer = self.request("GET", path)
        assert answer.status_code == 200, f"GET {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def post(self, path: str, body: dict[str, Any], expected: int = 202) -> requests.Response:
        answer = self.request("POST", path, json=body)
        assert answer.status_code == expected, f"POST {path}: {answer.status_code} {answer.text}"
        return answer

    def delete(self, path: str) -> None:
        answer = self.request("DELETE", path)
        assert answer.status_code == 202, f"DELETE {path}: {answer.status_code} {answer.text}"

    # Instances

    def order(self, name: str, **more: Any) -> str:
        """Orders an instance and returns its id at once."""
        return self.post("/instances", {"instance": order(name, **more)}, expected=200).json()["instance"]["id"]

    def create(self, name: str, **more: Any) -> dict[str, Any]:
        """Orders an instance and returns it when it is healthy."""
        return self.wait_healthy(self.order(name, **more))

    def instances(self) -> list[dict[str, Any]]:
        return self.get("/instances")["instances"]

    def named(self, name: str) -> list[dict[str, Any]]:
        return [instance for instance in self.instances() if instance["name"] == name]

    def instance(self, instance: str) -> dict[str, Any] | None:
        answer = self.request("GET", f"/instances/{instance}")
        if answer.status_code == 404:
            return None
        assert answer.status_code == 200, f"GET instance {instance}: {answer.status_code} {answer.text}"
        return answer.json()["instance"]

    def status(self, instance: str) -> tuple[str, str]:
        """`status` and `operating_status`."""
        row = self.instance(instance)
        return (row["status"], row["operating_status"]) if row else ("GONE", "")

    def wait_healthy(self, instance: str, timeout_s: float = CREATE_TIMEOUT_S) -> dict[str, Any]:
        def probe() -> dict[str, Any] | None:
            row = self.instance(instance)
            assert row, f"instance {instance} vanished"
            assert row["status"] != "ERROR", f"instance {instance} is in ERROR: {row.get('fault')}"
            seen.append((row["status"], row["operating_status"]))
            return row if seen[-1] == ("ACTIVE", "HEALTHY") else None

        seen: list[tuple[str, str]] = []
        try:
            return wait_for(f"instance {instance} to be healthy", probe, timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error} after {list(dict.fromkeys(seen))}") from None

    def wait_gone(self, instance: str, timeout_s: float = DELETE_TIMEOUT_S) -> None:
        wait_for(f"instance {instance} to be gone", lambda: self.instance(instance) is None, timeout_s)

    def remove(self, instance: str) -> None:
        self.delete(f"/instances/{instance}")
        self.wait_gone(instance)

    # Contents

    def databases(self, instance: str) -> set[str]:
        return {database["name"] for database in self.get(f"/instances/{instance}/databases")["databases"]}

    def users(self, instance: str) -> set[str]:
        return {user["name"] for user in self.get(f"/instances/{instance}/users")["users"]}

    def quota_in_use(self) -> dict[str, int]:
        quotas = self.get(f"/mgmt/quotas/{self.tenant}")["quotas"]
        return {quota["resource"]: quota["in_use"] + quota["reserved"] for quota in quotas}


def order(name: str, **more: Any) -> dict[str, Any]:
    """The smallest order, with `more` of it."""
    return {"name": name, "flavorRef": 1, "volume": {"size": 1}, **more}
