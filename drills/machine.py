"""What a drill does to this machine: programs started and stopped by pid, free ports, a user.

Everything that a drill starts is entered here, and nothing else is ever signalled.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STOP_S_MAX = 20.0


class DrillFailed(SystemExit):
    """The drill cannot go on; the sentence says why."""


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback interface that nobody listens on now."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def until(what: str, seconds: float, holds: Callable[[], Any], pause_s: float = 0.2) -> Any:
    """Return the first true answer of ``holds``; raises DrillFailed after ``seconds``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := holds():
            return answer
        time.sleep(pause_s)
    raise DrillFailed(f"{what}: not within {seconds:.0f} s")


def descendants(pid: int) -> list[int]:
    """Return a process and everything that it has started, itself first."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found


def kill_tree(pid: int) -> None:
    """SIGKILL a process and everything that it has started, the oldest first."""
    for one in descendants(pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)


@dataclass
class Program:
    """A program of the drill: how it is started, and its process while it runs."""

    name: str
    command: Sequence[str | Path]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the program; what it says is added to its log."""
        as_user: dict[str, Any] = (
            {"user": self.user, "group": pwd.getpwnam(self.user).pw_gid, "extra_groups": []}
            if self.user
            else {}
        )
        with self.log.open("ab") as said:
            self.process = subprocess.Popen(
                self.command,
                env=os.environ | self.env,
                cwd=self.log.parent,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
                **as_user,
            )

    @property
    def pid(self) -> int:
        """The process that runs; raises DrillFailed when none does."""
        if self.process is None or self.process.poll() is not None:
            raise DrillFailed(f"{self.name} has ended:\n{self.last_words()}")
        return self.process.pid

    def kill(self) -> None:
        """SIGKILL the program and everything that it has started."""
        if self.process is not None:
            kill_tree(self.process.pid)
            self.process.wait(STOP_S_MAX)

    def stop(self) -> int | None:
        """SIGTERM, and SIGKILL if that does not end it; returns the exit code."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_S_MAX)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.process.returncode

    def last_words(self, lines: int = 15) -> str:
        """Return the end of the log."""
        said = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(said.splitlines()[-lines:])


def ran(command: Sequence[str | Path], **env: str) -> str:
    """Run a program to its end and return what it printed; raises DrillFailed if it failed."""
    done = subprocess.run(
        command, env=os.environ | env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise DrillFailed(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def unprivileged() -> str | None:
    """Return the user that servers run as: none is needed unless the drill itself runs as root."""
    return "nobody" if os.geteuid() == 0 else None


def reachable(program: Path) -> None:
    """Fail unless every user may run a program."""
    for part in (program, *program.resolve().parents, *program.parents):
        if not part.stat().st_mode & 0o001:
            raise DrillFailed(f"{program} is for root alone: nobody else may enter {part}")


def given_to(user: str | None, folder: Path) -> Path:
    """Make a folder that belongs to a user alone."""
    folder.mkdir(mode=0o700)
    if user:
        shutil.chown(folder, user, pwd.getpwnam(user).pw_gid)
    return folder


@contextlib.contextmanager
def workplace(name: str, *, keep: bool) -> Iterator[Path]:
    """Give a temporary folder that every user may enter; it goes at the end unless kept."""
    folder = Path(tempfile.mkdtemp(prefix=f"ledger-{name}-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        if keep:
            print(f"Kept {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
