"""openstacksdk, whose lists follow the links of the answers as they are: over plain http too."""

import openstack
import pytest
from openstack.connection import Connection

from harness.coffer import Coffer

# What the library says of its own future.
pytestmark = pytest.mark.filterwarnings("ignore::Warning:openstack.*")

PAGE_SIZE = 20
DATABASES = [f"db{number:02}" for number in range(PAGE_SIZE * 2 + 5)]
# A dot and a wildcard, which are quoted twice in a link.
USERS = [f"u.{number:02}" for number in range(PAGE_SIZE + 3)]


@pytest.fixture(scope="module")
def connection(coffer: Coffer) -> Connection:
    auth_url = coffer.endpoints()["auth_url"]
    assert auth_url.startswith("http://")
    return openstack.connect(
        load_yaml_config=False,
        load_envvars=False,
        region_name="RegionOne",
        auth={
            "auth_url": auth_url,
            "username": "demo",
            "password": coffer.password,
            "project_name": "demo",
            "user_domain_id": "default",
            "project_domain_id": "default",
        },
    )


@pytest.fixture(scope="module")
def instances(coffer: Coffer) -> list[str]:
    users = [{"name": name, "password": "pw-of-user-1", "host": "127.0.0.%"} for name in USERS]
    full = coffer.api.create("full", databases=[{"name": name} for name in DATABASES], users=users)
    return [full["id"], coffer.api.create("other")["id"], coffer.api.create("third")["id"]]


def test_lists_of_several_pages(connection: Connection, instances: list[str]):
    database = connection.database
    assert [row.name for row in database.databases(instances[0])] == DATABASES
    assert [row.name for row in database.users(instances[0])] == USERS
    by_one = [row.id for row in database.instances(limit=1)]
    assert by_one == sorted(instances), "pages go by id"


def test_flavors_and_one_instance(connection: Connection, instances: list[str]):
    flavors = {flavor.name: flavor.ram for flavor in connection.database.flavors()}
    assert flavors["db.tiny"] == 256
    found = connection.database.find_instance("other", ignore_missing=False)
    assert (found.id, found.status) == (instances[1], "ACTIVE")
