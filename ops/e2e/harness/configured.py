"""`coffer serve` with a configuration of the test's own."""

from pathlib import Path

from .api import Api
from .coffer import Coffer


class Configured(Coffer):
    """Its users are the test's to make, with `another_user`; `api` is an admin's."""

    def __init__(self, bin_dir: Path, name: str, tables: str) -> None:
        super().__init__(bin_dir, name)
        self.config = self.directory / "coffer.toml"
        self.config.write_text(f'state_dir = "{self.state_dir}"\n[rest]\nlisten = "127.0.0.1:0"\n{tables}')
        words = ("user", "add", "admin", "--project", "admin", "--role", "admin", "--state-dir", str(self.state_dir))
        self.admin_password = self.run(*words)

    def command_line(self) -> list[str]:
        return ["serve", "--config", str(self.config)]

    @property
    def api(self) -> Api:
        if self._api is None:
            self._api = Api(self.endpoints()["auth_url"], "admin", self.admin_password, "admin")
        return self._api
