"""Fixtures: the programs under test, and a running Coffer per test module."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.coffer import Coffer
from harness.kafka import Bed
from harness.nodes import TENANTS, Nodes

# Every Coffer of the test that runs now, so that a failure can show their logs.
RUNNING: list[Coffer] = []


def pytest_configure() -> None:
    """A test run that is told to stop cleans up like one that is interrupted by hand."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def bin_dir() -> Path:
    """Where `coffer` and `coffer-agent` are: COFFER_BIN_DIR, or cargo's target directory."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    target = Path(os.environ.get("CARGO_TARGET_DIR") or cache / "coffer" / "target")
    directory = Path(os.environ.get("COFFER_BIN_DIR") or target / "debug")
    assert shutil.which("coffer", path=directory), f"no coffer in {directory}: run ops/test e2e, which builds it"
    return directory


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    """A Kafka of one broker; a module that needs another test bed has a fixture of its own."""
    bed = Bed(tmp_path_factory.mktemp("kafka"), 1)
    bed.up()
    yield bed
    bed.do("down", "--wipe")


@pytest.fixture(scope="module")
def nodes(bin_dir: Path, bed: Bed) -> Iterator[Nodes]:
    """Two nodes that share their partitions."""
    nodes = Nodes(bin_dir, bed, 2, TENANTS)
    yield nodes
    nodes.clean()


@pytest.fixture(scope="module")
def new_coffer(bin_dir: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[], Coffer]]:
    """Makes Coffers, not yet started, that are cleaned up after the module."""
    name = request.module.__name__.removeprefix("test_")
    made: list[Coffer] = []

    def make() -> Coffer:
        coffer = Coffer(bin_dir, name)
        made.append(coffer)
        RUNNING.append(coffer)
        return coffer

    yield make
    errors = []
    for coffer in made:
        RUNNING.remove(coffer)
        try:
            coffer.clean()
        except Exception as error:
            errors.append(error)
    if errors:
        raise errors[0]


@pytest.fixture(scope="module")
def coffer(new_coffer: Callable[[], Coffer]) -> Coffer:
    """A running Coffer that the tests of a module share."""
    coffer = new_coffer()
    coffer.start()
    return coffer


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    report = yield
    if report.failed:
        report.sections.extend((f"log of {coffer.directory}", coffer.log_tail()) for coffer in RUNNING)
    return report
