"""Looking for a secret in whatever form it may have been written."""

import base64
import threading
import time
from pathlib import Path


def forms(secret: str) -> dict[str, bytes]:
    """The secret in clear, UTF-16, hex, and base64 at each of the three alignments within a longer text."""
    clear = secret.encode()
    found = {
        "clear": clear,
        "utf-16": secret.encode("utf-16-le"),
        "hex": clear.hex().encode(),
        "HEX": clear.hex().upper().encode(),
    }
    for shift in range(3):
        # What the neighbours at both ends have no part in.
        encoded = base64.b64encode(b"\0" * shift + clear)
        first = 0 if shift == 0 else 4
        whole = encoded[first : len(encoded) - 4]
        found[f"base64+{shift}"] = whole
        found[f"base64url+{shift}"] = whole.translate(bytes.maketrans(b"+/", b"-_"))
    return found


def find(secret: str, where: str, content: bytes) -> list[str]:
    """In which forms the content holds the secret."""
    return [f"{where}: {form}" for form, needle in forms(secret).items() if needle in content]


def in_files(secret: str, directory: Path) -> list[str]:
    """Files below the directory, read as they are."""
    found = []
    for path in sorted(directory.rglob("*")):
        if path.is_file() and not path.is_symlink():
            found += find(secret, str(path.relative_to(directory)), path.read_bytes())
    return found


class ProcessWatch:
    """Reads every process's command line and environment again and again until it is left."""

    def __init__(self, *secrets: str) -> None:
        self.secrets = secrets
        self.found: set[str] = set()
        self.rounds = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "ProcessWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.is_set():
            for entry in Path("/proc").iterdir():
                if not entry.name.isdigit():
                    continue
                for name in ("cmdline", "environ"):
                    try:
                        content = (entry / name).read_bytes()
                    except OSError:
                        continue
                    for secret in self.secrets:
                        self.found.update(find(secret, f"{secret} in {name}", content))
            self.rounds += 1
            time.sleep(0.02)
