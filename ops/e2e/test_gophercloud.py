"""The program of `ops/examples/gophercloud`: what Terraform's provider is made of."""

import os
import subprocess
from pathlib import Path

import pytest

from harness.coffer import Coffer

EXAMPLE = Path(__file__).parents[1] / "examples" / "gophercloud"
# The first build fetches the library and compiles Go's own.
BUILD_TIMEOUT_S = 300
WALK_TIMEOUT_S = 240


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("go") / "gophercloud"
    words = ("go", "build", "-mod=readonly", "-buildvcs=false", "-o", program, ".")
    done = subprocess.run(
        words, cwd=EXAMPLE, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    return program


def test_an_instance_from_its_order_to_its_end(coffer: Coffer, program: Path):
    environment = {
        "OS_AUTH_URL": coffer.endpoints()["auth_url"],
        "OS_USERNAME": "demo",
        "OS_PASSWORD": coffer.password,
        "OS_PROJECT_NAME": "demo",
        "OS_DOMAIN_ID": "default",
        "OS_REGION_NAME": "RegionOne",
    }
    done = subprocess.run(
        [program], env=environment, capture_output=True, text=True, timeout=WALK_TIMEOUT_S, check=False
    )
    steps = "datastores flavors configurations order attach databases users root resize restart delete"
    assert (done.returncode, done.stdout.split()) == (0, steps.split()), done.stderr
    # It has seen itself what it asked for; nothing of it is left.
    assert coffer.api.instances() == []
    assert coffer.api.get("/configurations") == {"configurations": []}
    assert not any(coffer.api.quota_in_use().values())
