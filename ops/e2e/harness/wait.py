"""Waiting for something to become true, with a deadline and a word about what was waited for."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(what: str, probe: Callable[[], T], timeout_s: float, every_s: float = 0.2) -> T:
    """Calls `probe` until it returns something true, and returns that."""
    deadline = time.monotonic() + timeout_s
    while True:
        seen = probe()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s:g} s for {what}; the last look gave {seen!r}")
        time.sleep(every_s)


def hold_for(what: str, probe: Callable[[], bool], duration_s: float, every_s: float = 0.5) -> None:
    """Fails as soon as `probe` is false within the next `duration_s`."""
    deadline = time.monotonic() + duration_s
    while time.monotonic() < deadline:
        assert probe(), f"{what} did not hold for {duration_s:g} s"
        time.sleep(every_s)
