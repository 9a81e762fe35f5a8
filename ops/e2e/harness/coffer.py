"""One `coffer dev` with a state directory of its own."""

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import requests

from . import processes
from .api import Api
from .wait import wait_for

START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 30
# Size of the log's end that is shown with a failure, in bytes.
LOG_TAIL = 6000


class Coffer:
    """Starts, stops and kills `coffer dev`; cleans up behind it."""

    def __init__(self, bin_dir: Path, name: str) -> None:
        self.bin_dir = bin_dir
        # Not pytest's tmp_path: guests run under users of their own and must be able to pass through.
        self.directory = Path(tempfile.mkdtemp(prefix=f"coffer-{name}-", dir="/tmp"))
        self.directory.chmod(0o711)
        self.state_dir = self.directory / "state"
        self.log_file = self.directory / "coffer.log"
        self.stdout_file = self.directory / "coffer.out"
        self.process: subprocess.Popen[bytes] | None = None
        self.ca_file: Path | None = None
        self._api: Api | None = None
        self._password = ""

    # Its life

    def start(
        self,
        *more: str,
        crash_at: str = "",
        clock_offset_ms: int = 0,
        fail_effect: str = "",
        log: str = "",
        ready: bool = True,
        ca_file: Path | None = None,
    ) -> None:
        """Starts it with `more` arguments; with `crash_at` it may already be dead when this returns."""
        assert self.process is None, "it runs already"
        self.ca_file = ca_file
        environment = {key: value for key, value in os.environ.items() if not key.startswith("COFFER_")}
        if crash_at:
            environment["COFFER_CRASH_AT"] = crash_at
        if fail_effect:
            environment["COFFER_FAIL_EFFECT"] = fail_effect
        if clock_offset_ms:
            environment["COFFER_CLOCK_OFFSET_MS"] = str(clock_offset_ms)
        if log:
            environment["COFFER_LOG"] = log
        with self.log_file.open("ab") as stderr, self.stdout_file.open("ab") as out:
            self.process = subprocess.Popen(
                [*self.prefix(), self.bin_dir / "coffer", *self.command_line(), *more],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=stderr,
                env=environment,
                start_new_session=True,
            )
        self._api = None
        if ready:
            wait_for("coffer dev to be ready", lambda: self.is_ready() or self.is_dead(), START_TIMEOUT_S, 0.05)
            assert crash_at or self.is_ready(), f"coffer dev ended with {self.process.returncode}"

    def prefix(self) -> list[str]:
        """A program that becomes Coffer."""
        return []

    def command_line(self) -> list[str]:
        """What it is started with."""
        return ["dev", "--state-dir", str(self.state_dir), "--listen", "127.0.0.1:0"]

    def is_dead(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def is_ready(self) -> bool:
        endpoints = self.endpoints()
        if self.process is None or endpoints.get("pid") != self.process.pid:
            return False
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{endpoints['api']}/readyz", timeout=5, verify=self.verify).status_code == 200
        return False

    def stop(self) -> None:
        """The orderly way; the guests go on."""
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(STOP_TIMEOUT_S)
        self.process = None
        assert status == 0, f"coffer dev ended with {status} after SIGTERM"

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait(STOP_TIMEOUT_S)
        self.process = None

    def wait_killed(self, timeout_s: float) -> int:
        """Waits for its own end and returns the status as a shell shows it: 137 for SIGKILL."""
        assert self.process
        status = self.process.wait(timeout_s)
        self.process = None
        return 128 - status if status < 0 else status

    def clean(self) -> None:
        """Ends it with all its guests and checks that nothing is left."""
        try:
            if self.process is not None:
                self.kill()
            if self.state_dir.exists():
                self.run("dev-clean", "--state-dir", str(self.state_dir))
            assert not self.state_dir.exists(), f"dev-clean left {self.state_dir}"
            wait_for(
                "the guests' processes to end", lambda: not processes.mentioning(str(self.state_dir)), STOP_TIMEOUT_S
            )
        finally:
            for process in processes.mentioning(str(self.state_dir)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
            shutil.rmtree(self.directory, ignore_errors=True)

    # Talking to it

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs `coffer` with these arguments, whatever comes of it."""
        return subprocess.run([self.bin_dir / "coffer", *arguments], capture_output=True, text=True, check=False)

    def findings(self, *arguments: str) -> list[dict[str, str]]:
        """What `coffer doctor` or `coffer admin check` finds wrong; its exit status must say the same."""
        done = self.command(*arguments, "--json", "--state-dir", str(self.state_dir))
        assert done.returncode in {0, 1}, done.stdout + done.stderr
        found = [finding for finding in json.loads(done.stdout) if finding["severity"] != "note"]
        assert done.returncode == (1 if found else 0)
        return found

    def run(self, *arguments: str) -> str:
        """Runs `coffer` with these arguments and returns what it prints."""
        done = self.command(*arguments)
        assert done.returncode == 0, f"coffer {' '.join(arguments)}: {done.returncode} {done.stderr}"
        return done.stdout.strip()

    def endpoints(self) -> dict[str, Any]:
        try:
            return json.loads((self.state_dir / "endpoints.json").read_text())
        except FileNotFoundError:
            return {}

    @property
    def verify(self) -> str | bool:
        """How `requests` checks its certificate."""
        return str(self.ca_file) if self.ca_file else True

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid

    @property
    def password(self) -> str:
        """The demo user's, as the first start printed it."""
        if not self._password:
            words = "password for user demo (project demo): "
            lines = self.stdout_file.read_text().splitlines()
            self._password = next(line.removeprefix(words) for line in lines if line.startswith(words))
        return self._password

    @property
    def api(self) -> Api:
        """As the user `demo` of the project `demo`; logs in once per start."""
        if self._api is None:
            self._api = Api(self.endpoints()["auth_url"], "demo", self.password, "demo", self.verify)
        return self._api

    def another_user(self, project: str, *roles: str) -> tuple[str, str, Api]:
        """A new user of a project: name, password and API."""
        name = f"user-{secrets.token_hex(4)}"
        chosen = [word for role in roles for word in ("--role", role)]
        password = self.run("user", "add", name, "--project", project, *chosen, "--state-dir", str(self.state_dir))
        return name, password, Api(self.endpoints()["auth_url"], name, password, project)

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that carry these labels."""
        text = requests.get(f"{self.endpoints()['api']}/metrics", timeout=10).text
        total = 0.0
        for line in text.splitlines():
            sample, _, value = line.rpartition(" ")
            metric, _, rest = sample.partition("{")
            if metric == name and all(f'{key}="{label}"' in rest for key, label in labels.items()):
                total += float(value)
        return total

    # What is left outside

    def leftovers(self, instance: str) -> list[str]:
        """Processes, directories and files that still belong to an instance."""
        found = [f"process {found.pid}: {' '.join(found.command_line)}" for found in processes.mentioning(instance)]
        # Not rglob: what is being deleted may go while it is walked through.
        for directory, inner, files in os.walk(self.state_dir / "local"):
            found += [str(Path(directory) / name) for name in inner + files if instance in name]
        return found

    def log_tail(self) -> str:
        if not self.log_file.exists():
            return "(no log)"
        with self.log_file.open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - LOG_TAIL))
            return log.read().decode(errors="replace")
