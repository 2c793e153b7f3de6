"""What the operating guide tells people to type is typed here, into a real shell."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

import given_postgres
from given_terminal import done, environment
from ledger.metrics import Metrics

GUIDE = Path(__file__).parents[2] / "docs" / "operating.md"
MARK = "--- the next command ---"
ARTIFACT = "print(40 + 2)"
TITLE = "A study that is backed up"

# What an operator has by the time of the first backup: a record with an artifact.
WORK = r"""
KEY=$(ledger keys create --name work --scope submit --scope attach 2>/dev/null | tail -n 1)
post() {
    curl -sf "http://127.0.0.1:8000/v1/records$1" -H "Authorization: Bearer $KEY" \
        -H "Idempotency-Key: $2" "${@:3}"
}
post "" study -H 'Content-Type: application/json' \
    -d '{"handle": "SRCH:5EED0001", "content": {"title": "TITLE", "publisher": "Example"}}'
post "/SRCH:5EED0001/artifacts?role=repro-script" script -H 'If-Match: "1"' \
    -H 'Content-Type: text/x-python' -d 'ARTIFACT'
""".replace("TITLE", TITLE).replace("ARTIFACT", ARTIFACT)

pytestmark = [pytest.mark.repo, pytest.mark.slow]


def blocks() -> list[tuple[str, list[tuple[str, list[str]]]]]:
    """Return each console block: where it is run, and its commands with the answers shown."""
    text = GUIDE.read_text(encoding="utf-8")
    found = re.findall(r"(?ms)^(?:<!-- run: ([\w ]+) -->\n)?^```console\n(.*?)^```", text)
    told = []
    for places, block in found:
        commands: list[tuple[str, list[str]]] = []
        for line in block.splitlines():
            if line.startswith("$ "):
                commands.append((line.removeprefix("$ "), []))
            else:
                commands[-1][1].append(line)
        told.append((places, commands))
    return told


def test_every_command_of_the_guide_is_run_somewhere() -> None:
    assert {place for places, _ in blocks() for place in places.split() or ["nowhere"]} == {
        "sqlite",
        "postgres",
        "restored",
        "archived",
    }


def test_every_metric_in_the_guide_exists() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    known = {
        sample
        for family in Metrics("").registry.collect()
        for sample in (family.name, f"{family.name}_total", f"{family.name}_bucket")
    }
    named = set(re.findall(r"\b((?:ledger|process)_\w+)\b", text))
    named -= {"ledger_owner", "ledger_app", "ledger_api", "ledger_views"}
    assert named
    assert not named - known


class Shell:
    """One bash in a folder of its own, with the guide's places put where the test has them."""

    def __init__(self, folder: Path, backup: Path, **places: str) -> None:
        self.folder = folder
        self.places = {"/backup": str(backup), **places}
        backup.mkdir(exist_ok=True)
        command = folder / "bin" / "ledger"
        command.parent.mkdir(parents=True)
        command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m ledger "$@"\n')
        command.chmod(0o755)
        # The guide imports pages of its reader's.
        pages = folder / "pages"
        pages.mkdir()
        for page in (resources.files("ledger") / "samples").iterdir():
            (pages / page.name).with_suffix(".txt").write_bytes(page.read_bytes())
        # So is the feed of corrections, whose lines it shows.
        (feed,) = re.findall(r'(?ms)^```json\n(\{"paper".*?)^```', GUIDE.read_text("utf-8"))
        (folder / "feed.jsonl").write_text(feed)

    def put(self, text: str) -> str:
        """Return a text with the guide's places replaced by the test's."""
        known = "|".join(map(re.escape, sorted(self.places, key=len, reverse=True)))
        return re.sub(known, lambda found: self.places[found[0]], text)

    def type(self, place: str, work: str = "", path: str = "") -> None:
        """Type every command of a place; each has to succeed and to answer what is shown.

        ``work`` is done after the first block; ``path`` is where further programs are found.
        """
        first, *rest = [commands for places, commands in blocks() if place in places.split()]
        told = [*first, (work, []), *(command for block in rest for command in block)]
        lines = ["PIDS=", "trap 'kill $PIDS 2>/dev/null || :; wait' EXIT"]
        for n, (command, shown) in enumerate(told):
            lines += [*self._typed(n, command, shown), f"echo; echo '{MARK}'"]
        # What was left running has to run still.
        lines += ["for pid in $PIDS; do kill -0 $pid; done"]
        ran = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", self.put("\n".join(lines))],
            cwd=self.folder,
            env=self._environment(path),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=1_800,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert "Traceback" not in ran.stdout + ran.stderr
        answers = ran.stdout.split(f"{MARK}\n")[:-1]
        for (command, shown), answer in zip(told, answers, strict=True):
            if shown:
                said = [line for line in answer.splitlines() if line]
                assert said == [self.put(line) for line in shown], command

    def _typed(self, n: int, command: str, shown: list[str]) -> list[str]:
        command = command.replace("KEY_ID", "$(ledger keys list | grep ^sandbox | cut -f 2)")
        if command.endswith(" &"):
            wait = f"for _ in $(seq 1200); do [ -s said.{n} ] && break; sleep 0.1; done"
            return [
                f"{command.removesuffix(' &')} >said.{n} &",
                'PIDS="$PIDS $!"',
                # The file is made by what runs beside, and may not be there yet.
                *([wait, f"cat said.{n}"] if shown else []),
            ]
        if shown and shown[0].startswith("ledger: "):
            return [f"! {command} 2>&1"]
        return [command]

    def _environment(self, path: str) -> dict[str, str]:
        env = environment(self.folder)
        # As the guide has it: everything lies in the folder at hand.
        del env["LEDGER_DATABASE_URL"], env["LEDGER_DATA_DIR"]
        parts = [str(self.folder / "bin"), *([path] if path else []), env["PATH"]]
        # The ports are the test's own, also where a key is named after the public address.
        own = {"LEDGER_BASE_URL": self.put("http://127.0.0.1:8000")}
        return env | own | {"PATH": ":".join(parts)}


@pytest.fixture
def ports() -> dict[str, str]:
    return {port: str(given_postgres.free_port()) for port in ("8000", "8001")}


@pytest.fixture(autouse=True)
def _curl() -> None:
    if shutil.which("curl") is None:
        pytest.skip("the guide's commands need curl")


def kept(folder: Path) -> None:
    """Look that a restored ledger has the record and the bytes of its artifact."""
    own = {"LEDGER_DATABASE_URL": "sqlite:///ledger.db", "LEDGER_DATA_DIR": "ledger-data"}
    assert TITLE in done(folder, "show", "SRCH:5EED0001", **own)
    assert "artifact.attached" in done(folder, "history", "SRCH:5EED0001", **own)
    stored = [file for file in (folder / "ledger-data" / "artifacts").rglob("*") if file.is_file()]
    assert [file.read_text() for file in stored] == [ARTIFACT]


def test_the_guide_for_one_machine(tmp_path: Path, ports: dict[str, str]) -> None:
    backup = tmp_path / "backup"
    Shell(tmp_path / "one", backup, **ports).type("sqlite", WORK)
    restored = Shell(tmp_path / "other", backup)
    restored.type("restored")
    kept(restored.folder)
    archived = Shell(tmp_path / "third", backup)
    archived.type("archived")
    kept(archived.folder)
    compact = tmp_path / "compact"
    shutil.copytree(restored.folder, compact)
    shutil.copy(backup / "compact.db", compact / "ledger.db")
    kept(compact)


@pytest.fixture
def server() -> Iterator[given_postgres.Server]:
    with given_postgres.running() as server:
        yield server


def events(server: given_postgres.Server, database: str) -> list[tuple[int, str]]:
    return server.execute("SELECT position, topic FROM ledger.events ORDER BY 1", database)


def test_the_guide_for_postgresql(
    tmp_path: Path, ports: dict[str, str], server: given_postgres.Server
) -> None:
    backup = tmp_path / "backup"
    backup.mkdir()
    # The copy of the server has to be readable by the one that is started from it.
    base = server.folder / "base"
    places = ports | {"5432": str(server.port), "/backup/base": str(base)}
    shell = Shell(tmp_path / "many", backup, **places)
    shell.type("postgres", WORK, str(server.bin))
    live, restored = events(server, "ledger"), events(server, "restored")
    topics = [topic for _, topic in restored]
    assert "artifact.attached:1" in topics
    assert restored == live[: len(restored)]
    urls = [server.url(name, "ledger_api") for name in ("ledger", "restored", "moved")]
    for url in (*urls, "sqlite:///moved.db"):
        assert TITLE in done(shell.folder, "show", "SRCH:5EED0001", LEDGER_DATABASE_URL=url)
    assert events(server, "moved") == live[: len(events(server, "moved"))]
    copy = given_postgres.Server(server.folder / "copy")
    copy.folder.mkdir()
    shutil.move(base, copy.folder / "data")
    if (server.folder / "wheel").exists():
        (copy.folder / "wheel").symlink_to(server.folder / "wheel")
    owner = (server.folder / "data").stat()
    for place in (copy.folder, *copy.folder.rglob("*")):
        if not place.is_symlink() and "wheel" not in place.parts[len(copy.folder.parts) :]:
            os.chown(place, owner.st_uid, owner.st_gid)
    copy.start()
    try:
        assert events(copy, "restored") == restored
    finally:
        copy.stop()
