"""The restore drill: an older copy of the database is put in place of the one that was published.

    just drill-restore

On SQLite a file copy, on PostgreSQL a dump.  The ledger has to notice by itself, answer reads,
refuse appends, publish nothing, and go on only as another log that names the old one.  Prints what
an operator would type and see; exits 1 if anything is otherwise.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import processes
from machine import DrillFailed, Program, free_ports, until

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import given_postgres  # noqa: E402 - the tests' server, found by the line above

NEW = "ledger.example.org/log/2"
WHY = "The disk and its standby were lost."


def say(line: str) -> None:
    """Print a line of the transcript."""
    print(line, flush=True)


def expect(what: str, found: object, wanted: object) -> None:
    """Fail the drill unless something is as it has to be."""
    if found != wanted:
        raise DrillFailed(f"{what}: {found!r} and not {wanted!r}")


@dataclass
class Ledger:
    """One ledger on this machine, its settings, and the port that it is served on."""

    folder: Path
    env: dict[str, str]
    key: str = ""
    port: int = field(default_factory=lambda: free_ports(1)[0])

    def type(self, *words: str, code: int = 0, shown: bool = True) -> str:
        """Type a command, show what it says, and return that."""
        done = subprocess.run(
            [*processes.LEDGER, *words],
            env={**os.environ, **self.env},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if shown:
            say(f"$ ledger {shlex.join(words)}")
            say((done.stdout + done.stderr).rstrip() + (f"\n(exit {code})" if code else ""))
        expect(f"exit code of ledger {words}", done.returncode, code)
        return done.stdout + done.stderr if shown else done.stdout

    def ask(self, path: str, body: Any = None, **headers: str) -> tuple[int, str]:
        """Return status and body of a request to the server."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data,
            {"Content-Type": "application/json"} | headers,
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - ours
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read().decode()

    def submit(self, name: str) -> tuple[int, str]:
        """Submit a record and wait until a checkpoint covers it."""
        body = {"content": {"title": f"A study of {name}", "publisher": "Example Research"}}
        sent = {
            "Authorization": f"Bearer {self.key}",
            "Idempotency-Key": name,
            "Prefer": "wait=10",
        }
        return self.ask("/v1/records", body, **sent)

    @contextlib.contextmanager
    def served(self) -> Iterator[None]:
        """Serve the ledger meanwhile."""
        words = [*processes.LEDGER, "serve", "--port", str(self.port)]
        server = Program("server", words, self.folder / "server.log", self.env)
        say("$ ledger serve &")
        server.start()
        try:
            url = f"http://127.0.0.1:{self.port}"
            until("the server answers", 30, lambda: processes.ready(url))
            yield
        finally:
            server.stop()
            say("(the server is stopped)")


def sqlite(folder: Path) -> tuple[Ledger, Any, Any]:
    """Return a new ledger in a file, what copies it, and what restores the copy."""
    ledger = Ledger(folder, processes.environment(folder, f"sqlite:///{folder}/ledger.db"))
    ledger.env["LEDGER_PROJECTOR"] = "inside"
    ledger.type("init")

    def copied() -> None:
        code = "import sqlite3; sqlite3.connect('ledger.db').backup(sqlite3.connect('old.db'))"
        say(f'$ python3 -c "{code}"')
        subprocess.run([sys.executable, "-c", code], cwd=folder, check=True)

    def restored() -> None:
        say("$ rm -f ledger.db-wal ledger.db-shm ledger.db.views* && cp old.db ledger.db")
        for file in [*folder.glob("ledger.db-*"), *folder.glob("ledger.db.views*")]:
            file.unlink()
        shutil.copy(folder / "old.db", folder / "ledger.db")

    return ledger, copied, restored


def postgres(folder: Path) -> tuple[Ledger, Any, Any]:
    """Return a new ledger in PostgreSQL, what dumps it, and what restores the dump."""
    database = given_postgres.fresh_database()
    server, name = database.server, database.name
    owner = Ledger(folder, processes.environment(folder, database.owner_url))
    owner.type("init")
    ledger = Ledger(folder, processes.environment(folder, database.app_url))
    ledger.env["LEDGER_PROJECTOR"] = "inside"
    ledger.type("log", "init")
    programs = given_postgres._wheel()  # noqa: SLF001 - where the server's own programs are

    def run(program: str, *words: str) -> None:
        place = next(programs.rglob(f"bin/{program}"))
        say(f"$ {program} {' '.join(words)}")
        subprocess.run([place, *words], cwd=folder, check=True)

    def dumped() -> None:
        run("pg_dump", "--format=custom", "--exclude-table=ledger_views.*", "--file=old.dump",
            server.url(name))  # fmt: skip

    def restored() -> None:
        server.drop_database(name)
        server.create_database(name)
        run("pg_restore", "--exit-on-error", f"--dbname={server.url(name)}", "old.dump")
        owner.type("init")

    return ledger, dumped, restored


def drill(kind: str, folder: Path) -> None:
    """Publish, restore an older copy, see that the ledger stands still, and take the way out."""
    say(f"\n=== {kind}\n")
    ledger, copied, restored = {"sqlite": sqlite, "postgres": postgres}[kind](folder)
    words = ("keys", "create", "--name", "drill", "--scope", "submit")
    ledger.key = ledger.type(*words, shown=False).split()[-1]
    with ledger.served():
        expect("an append before the copy", ledger.submit("one")[0], 201)
        copied()
        expect(
            "appends after the copy", [ledger.submit(f"lost-{n}")[0] for n in range(3)], [201] * 3
        )
        _, before = ledger.ask("/log/checkpoint")
        say(f"$ curl /log/checkpoint\n{before.rstrip()}")
    restored()
    with ledger.served():
        status, ready = ledger.ask("/readyz")
        say(f"$ curl /readyz\n{status} {json.dumps(json.loads(ready)['checks']['log'])}")
        expect("readiness", json.loads(ready)["status"], "degraded")
        expect("a read", ledger.ask("/v1/records")[0], 200)
        status, refused = ledger.submit("two")
        say(f"$ curl -X POST /v1/records\n{status} {refused}")
        expect("an append", (status, json.loads(refused)["code"]), (503, "log-rolled-back"))
        said = ledger.type("log", "step", code=1)
        if "log-rolled-back" not in said:
            raise DrillFailed(f"ledger log step said {said}")
        _, now = ledger.ask("/log/checkpoint")
        if int(now.split("\n")[1]) >= int(before.split("\n")[1]):
            raise DrillFailed("a checkpoint was published on the older copy")
    ledger.type("log", "init", "--origin", NEW, "--reason", WHY)
    with ledger.served():
        expect("an append to the new log", ledger.submit("three")[0], 201)
        _, after = ledger.ask("/log/checkpoint")
        say(f"$ curl /log/checkpoint\n{after.rstrip()}")
        expect("the new origin", after.split("\n")[0], NEW)
        expect(
            "readiness", json.loads(ledger.ask("/readyz")[1])["checks"]["log"]["status"], "ready"
        )
    ledger.type("log", "audit")
    say(f"{kind}: read-only until the new log began, and nothing was signed twice.")


def main() -> None:
    """Run the drill on both databases."""
    processes.without_ledger_settings()
    for kind in sys.argv[1:] or ["sqlite", "postgres"]:
        folder = Path(tempfile.mkdtemp(prefix=f"drill-restore-{kind}-"))
        try:
            drill(kind, folder)
        finally:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
