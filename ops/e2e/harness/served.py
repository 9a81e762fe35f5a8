"""`coffer serve` as the systemd unit runs it, installed below a directory of its own."""

import configparser
import os
import shlex
import subprocess
from pathlib import Path

from .api import Api
from .coffer import Coffer

OPS = Path(__file__).parents[2]
UNIT = OPS / "systemd" / "coffer.service"


class Served(Coffer):
    """Installed below a directory of its own, and started with the unit's command line."""

    def __init__(self, bin_dir: Path) -> None:
        super().__init__(bin_dir, "serve")
        self.destdir = self.directory / "installed"
        self.script("install")
        self.bin_dir = self.destdir / "usr/local/bin"
        self.config = self.destdir / "etc/coffer/coffer.toml"
        text = self.config.read_text().replace("/var/lib/coffer", str(self.state_dir)).replace("8779", "0")
        self.config.write_text(text)
        self.user_password = self.run("user", "add", "admin", "--project", "admin", "--state-dir", str(self.state_dir))

    def script(self, name: str, *words: str) -> str:
        environment = os.environ | {"COFFER_BIN_DIR": str(self.bin_dir)}
        done = subprocess.run(
            [OPS / name, "--destdir", self.destdir, *words],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def prefix(self) -> list[str]:
        """No more than the unit leaves root."""
        if os.geteuid() != 0:
            return []
        kept = unit()["Service"]["CapabilityBoundingSet"].split()
        capabilities = ["-all", *(f"+{name.removeprefix('CAP_').lower()}" for name in kept)]
        return ["setpriv", "--no-new-privs", f"--bounding-set={','.join(capabilities)}"]

    def command_line(self) -> list[str]:
        words = shlex.split(unit()["Service"]["ExecStart"])
        assert words[0] == "/usr/local/bin/coffer"
        return [str(self.config) if word == "/etc/coffer/coffer.toml" else word for word in words[1:]]

    @property
    def api(self) -> Api:
        return Api(self.endpoints()["auth_url"], "admin", self.user_password, "admin")


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read(UNIT)
    return parser
