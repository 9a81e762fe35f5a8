"""The programs that tenants use: `openstack`, `trove`, and a MySQL client."""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pymysql

COMMAND_TIMEOUT_S = 120
ENGINE_PORT = 3306


@dataclass(frozen=True)
class OpenStack:
    """`openstack` (and `trove`) for one user of one project."""

    auth_url: str
    user: str
    password: str
    project: str
    ca_file: str = ""
    # Another way to log in, as variables, in place of user, password and project.
    instead: dict[str, str] | None = None

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self._run("openstack", *words)

    def text(self, *words: str) -> str:
        done = self.run(*words)
        assert done.returncode == 0, f"openstack {' '.join(words)}: {done.stdout} {done.stderr}"
        return done.stdout

    def json(self, *words: str) -> Any:
        return json.loads(self.text(*words, "--format", "json"))

    def names(self, *words: str) -> set[str]:
        """The `Name` column of a list."""
        return {row["Name"] for row in self.json(*words)}

    def trove_json(self, *words: str) -> Any:
        """The legacy shell."""
        done = self._run("trove", "--json", *words)
        assert done.returncode == 0, f"trove {' '.join(words)}: {done.stdout} {done.stderr}"
        return json.loads(done.stdout)

    def trove_text(self, *words: str) -> str:
        """The legacy shell, for commands that print nothing that could be read."""
        done = self._run("trove", *words)
        assert done.returncode == 0, f"trove {' '.join(words)}: {done.stdout} {done.stderr}"
        return done.stdout

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": "/nonexistent",
            "LANG": "C.UTF-8",
            "OS_AUTH_URL": self.auth_url,
            "OS_IDENTITY_API_VERSION": "3",
        }
        environment |= self.instead or {
            "OS_USERNAME": self.user,
            "OS_PASSWORD": self.password,
            "OS_PROJECT_NAME": self.project,
            "OS_USER_DOMAIN_ID": "default",
            "OS_PROJECT_DOMAIN_ID": "default",
        }
        if self.ca_file:
            environment["OS_CACERT"] = self.ca_file
        return subprocess.run(
            words, env=environment, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False
        )


@contextlib.contextmanager
def connection(address: str, user: str, password: str, database: str | None = None) -> Iterator[pymysql.Connection]:
    """A connection over TCP, in autocommit mode."""
    session = pymysql.connect(
        host=address,
        port=ENGINE_PORT,
        user=user,
        password=password,
        database=database,
        autocommit=True,
        connect_timeout=10,
        read_timeout=30,
    )
    try:
        yield session
    finally:
        session.close()


def query(address: str, user: str, password: str, database: str | None, *statements: str) -> list[tuple[Any, ...]]:
    """Runs the statements over TCP and returns the rows of the last one."""
    with connection(address, user, password, database) as session, session.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return list(cursor.fetchall())


def can_log_in(address: str, user: str, password: str, database: str | None = None) -> bool:
    try:
        query(address, user, password, database, "SELECT 1")
    except pymysql.MySQLError:
        return False
    return True
