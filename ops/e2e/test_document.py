"""The API's own document: valid, and true of what a running Coffer answers to thousands of made-up requests."""

import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from harness.configured import Configured
from harness.processes import resident_bytes

CHECKS = Path(__file__).parent / "harness" / "schemathesis_checks.py"
# Requests of each operation at most, besides those that the borders of the schemas give.
EXAMPLES = os.environ.get("COFFER_SCHEMATHESIS_EXAMPLES", "10")
SEED = os.environ.get("COFFER_SEED", "1")
# A change of a guest is waited for 10 s.
REQUEST_TIMEOUT_S = 30
# How often the server's memory is looked at.
SAMPLE_S = 0.5
# What the most of it may grow by from the first half of the run to the second: some MiB come and go with the work.
GROWTH_BYTES = 32 * 1024 * 1024
MIN_REQUESTS = 4000
ABSENT = "00000000-0000-4000-8000-000000000000"

QUOTA = """
[quota]
instances = 2
volume_gib = 4
"""

# Requests find something: the tenant is the caller's, and what they name is mostly there. Tokens and tenants that are
# wrong have tests of their own.
CONFIG = """
headers = {{ X-Auth-Token = "{token}" }}
request-timeout = {timeout}
continue-on-failure = true
hooks = "{checks}"
seed = {seed}

[parameters]
"path.tenant" = "{tenant}"
"path.instance" = {{ dictionary = "instances", probability = 0.8 }}
"path.datastore" = {{ dictionary = "datastores", probability = 0.7 }}
"path.version" = {{ dictionary = "versions", probability = 0.7 }}
"path.user" = {{ dictionary = "users", probability = 0.5 }}
"path.database" = {{ dictionary = "databases", probability = 0.5 }}
"path.group" = {{ dictionary = "groups", probability = 0.6 }}

[dictionaries]
instances = {{ values = ["{instance}"] }}
datastores = {{ values = ["mysql"] }}
versions = {{ values = ["10.11"] }}
users = {{ values = ["writer", "writer%40%25"] }}
databases = {{ values = ["shop"] }}
groups = {{ values = ["{group}"] }}

# The instance that the others ask about stays.
[[operations]]
include-name = "DELETE /v1.0/{{tenant}}/instances/{{instance}}"
parameters = {{ "path.instance" = "{absent}" }}

# 501 says what is not built, 503 that something is away for a while.
[checks]
not_a_server_error.expected-statuses = ["2xx", "4xx", 501, 503]
# What is well-formed may still name what is not there.
positive_data_acceptance.enabled = false
# Trove has 404 for the method that a path has not.
unsupported_method.enabled = false

[generation]
database = "none"

[phases.fuzzing]
generation.max-examples = {examples}
[phases.stateful]
enabled = false
"""


@pytest.fixture(scope="module")
def served(bin_dir: Path) -> Iterator[Configured]:
    coffer = Configured(bin_dir, "document", QUOTA)
    try:
        coffer.start()
        yield coffer
    finally:
        coffer.clean()


def test_the_document_is_valid(served: Configured):
    answer = requests.get(f"{served.endpoints()['api']}/openapi.json", timeout=10)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    validate(answer.json(), cls=OpenAPIV31SpecValidator)


# Each request has a time of its own; how many there are is for whoever asks for more to say.
@pytest.mark.timeout(3600)
def test_thousands_of_requests_are_answered_as_the_document_says(served: Configured):
    api = served.api
    writer = {"name": "writer", "password": "pw-of-writer-1", "databases": [{"name": "shop"}]}
    instance = api.create("stays", databases=[{"name": "shop"}], users=[writer])["id"]
    group = api.post("/configurations", {"configuration": {"name": "group", "values": {}}}, expected=200).json()
    config = served.directory / "schemathesis.toml"
    config.write_text(
        CONFIG.format(
            token=api.token,
            tenant=api.tenant,
            timeout=REQUEST_TIMEOUT_S,
            checks=CHECKS,
            seed=SEED,
            instance=instance,
            group=group["configuration"]["id"],
            absent=ABSENT,
            examples=EXAMPLES,
        )
    )
    before = served.metric("coffer_rest_request_duration_seconds_count")
    with Memory(served.pid) as memory:
        done = subprocess.run(
            ["schemathesis", "--config-file", config, "run", f"{served.endpoints()['api']}/openapi.json"],
            cwd=served.directory,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    answered = served.metric("coffer_rest_request_duration_seconds_count") - before
    assert answered >= MIN_REQUESTS, f"only {answered} requests were made:\n{done.stdout}"
    first, second = memory.halves()
    assert max(second) < max(first) + GROWTH_BYTES, f"the server grows: {memory.seen}"
    # It goes on as if nothing had been.
    assert api.quota_in_use()["instances"] <= 2
    api.wait_healthy(instance)


class Memory:
    """What a process holds, looked at again and again."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.seen: list[int] = []
        self.is_over = threading.Event()
        self.watching = threading.Thread(target=self.watch)

    def watch(self) -> None:
        while True:
            self.seen.append(resident_bytes(self.pid))
            if self.is_over.wait(SAMPLE_S):
                return

    def __enter__(self) -> "Memory":
        self.watching.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        self.watching.join()

    def halves(self) -> tuple[list[int], list[int]]:
        middle = len(self.seen) // 2
        return self.seen[:middle], self.seen[middle:]
