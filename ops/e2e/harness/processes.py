"""What runs on this machine, read from /proc: the only witness that cannot be fooled by Coffer itself."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process that is not a zombie."""

    pid: int
    command_line: tuple[str, ...]
    environment: bytes
    directory: str

    @property
    def program(self) -> str:
        return Path(self.command_line[0]).name if self.command_line else ""

    def mentions(self, text: str) -> bool:
        return (
            any(text in argument for argument in self.command_line)
            or text.encode() in self.environment
            or text in self.directory
        )


def processes() -> Iterator[Process]:
    """All processes but this one."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            if state in "ZX":
                continue
            line = (entry / "cmdline").read_bytes().rstrip(b"\0").decode(errors="replace")
            yield Process(
                pid=int(entry.name),
                command_line=tuple(line.split("\0")) if line else (),
                environment=_read(entry / "environ"),
                directory=_link(entry / "cwd"),
            )


def mentioning(text: str) -> list[Process]:
    """Processes with this text in their command line, environment or working directory."""
    return [process for process in processes() if process.mentions(text)]


def engines(state_dir: Path, instance: str = "") -> list[Process]:
    """The MariaDB servers whose data lies in this state directory, of one instance or of all."""
    data = f"{state_dir}/local/volumes/{instance}"
    return [
        process
        for process in processes()
        if process.program in {"mariadbd", "mysqld"} and any(data in argument for argument in process.command_line)
    ]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""


def resident_bytes(pid: int) -> int:
    """The memory that a process holds."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024
