"""An export or import that is struck down at any moment leaves nothing half, and is done again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from given_archive import (
    Place,
    equal,
    exported,
    files,
    grow_on,
    grown,
    imported,
    somewhere,
    views,
    written,
)
from given_patience import PATIENCE_S
from ledger import errors
from ledger.archive import form
from ledger.archive.reading import Archive

pytestmark = [pytest.mark.slow, pytest.mark.drill]

SEGMENT = 250

# The command line, with small segments; it says when it begins, and what it needed in the end.
PROGRAM = f"""
from ledger.archive import form
from ledger.worker import folding
from ledger import cli
form.SEGMENT_EVENTS = {SEGMENT}
folding.ALONE_MAX = 10**9
print("begun", flush=True)
try:
    cli.main()
except SystemExit as ended:
    if ended.code:
        raise
(peak,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM:")]
print(peak.split()[1])
"""


def begun(place: Place, *arguments: str) -> subprocess.Popen[str]:
    """Start a command in a process of its own, and return when it begins with its work."""
    environment = os.environ | {
        "LEDGER_DATABASE_URL": place.url,
        "LEDGER_DATA_DIR": str(place.app.data_dir),
        "LEDGER_TIMEOUT_S": str(PATIENCE_S),
    }
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


def finished(process: subprocess.Popen[str]) -> list[str]:
    """Return the lines that a command said; it has to end well."""
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return said.splitlines()


def struck(place: Place, *arguments: str, sound: Callable[[], None]) -> int:
    """Kill a command again and again, a little later each time, until it gets to its end.

    After each, and in the end, ``sound`` looks whether all is sound.  Returns how often it struck.
    """
    limit_s, times = 0.03, 0
    while True:
        process = begun(place, *arguments)
        try:
            process.wait(limit_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            sound()
            limit_s *= 1.7
            times += 1
        else:
            finished(process)
            sound()
            return times


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form, "SEGMENT_EVENTS", SEGMENT)


def whole(archive: Path) -> bool:
    """Whether there is an archive; what says that it is one has to be one, in every byte."""
    if not (archive / form.MANIFEST).exists():
        with pytest.raises(errors.BrokenArchive, match=r"not finished|no archive"):
            Archive.open(archive)
        return False
    Archive.open(archive).check()
    return True


@pytest.mark.usefixtures("small")
def test_an_export_that_is_killed_is_continued(tmp_path: Path) -> None:
    place = somewhere("sqlite", tmp_path)
    grown(place, 6_100)
    exported(place.app, tmp_path / "fresh")
    archive = tmp_path / "archive"
    seen = set[bool]()
    times = struck(place, "export", str(archive), sound=lambda: seen.add(whole(archive)))
    assert times >= 3
    assert seen == {False, True}
    assert equal(archive, tmp_path / "fresh")


@pytest.mark.usefixtures("small")
def test_a_killed_export_leaves_the_archive_that_there_was(tmp_path: Path) -> None:
    place = somewhere("postgres", tmp_path)
    grown(place, 1_100)
    archive = tmp_path / "archive"
    exported(place.app, archive)
    grow_on(place, 1_500)
    sizes = list[int]()

    def sound() -> None:
        if whole(archive):
            sizes.append(Archive.open(archive).manifest.size)

    assert struck(place, "export", str(archive), sound=sound) >= 2
    assert set(sizes) == {1_100, 2_600}
    exported(place.app, tmp_path / "fresh")
    fresh = files(tmp_path / "fresh")
    assert {n: data for n, data in files(archive).items() if n in fresh} == fresh


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
@pytest.mark.usefixtures("small")
def test_an_import_that_is_killed_is_done_again(kind: Any, tmp_path: Path) -> None:
    home, archive = somewhere("sqlite", tmp_path), tmp_path / "archive"
    grown(home, 3_100)
    exported(home.app, archive)
    place = somewhere(kind, tmp_path)

    def sound() -> None:
        if kind == "sqlite" and not place.app.database_path.exists():
            return
        try:
            rows = len(written(Place(place.owner, place.owner))["lines"])
        except (errors.NotInitialised, errors.WrongSchema):
            # It was struck while the tables were made, which the next one goes on with.
            assert kind == "postgres"
            return
        # A file is whole when it takes its place; tables are filled in one transaction.
        assert rows in ({3_100} if kind == "sqlite" else {0, 3_100})

    assert struck(place, "import", "archive", str(archive), sound=sound) >= 3
    exported(place.app, tmp_path / "again")
    assert equal(archive, tmp_path / "again")
    other = somewhere("sqlite", tmp_path)
    assert imported(archive, other)
    assert written(place) == written(other)
    assert views(place) == views(other)
    left = {path.name for path in place.app.data_dir.glob("ledger.db*")}
    assert left <= {"ledger.db", "ledger.db.views"} | {
        f"{name}{ending}"
        for name in ("ledger.db", "ledger.db.views")
        for ending in ("-wal", "-shm")
    }


def test_memory_does_not_grow_with_the_log(tmp_path: Path) -> None:
    needed: dict[str, list[int]] = {}
    for count in (3_000, 30_000):
        home, archive = somewhere("sqlite", tmp_path), tmp_path / str(count)
        grown(home, count)
        again = somewhere("sqlite", tmp_path)
        server = somewhere("postgres", tmp_path)
        for name, place, words in (
            ("out of SQLite", home, ("export", str(archive))),
            ("into SQLite", again, ("import", "archive", str(archive))),
            ("into PostgreSQL", server, ("import", "archive", str(archive))),
            ("out of PostgreSQL", server, ("export", str(tmp_path / f"{count}-again"))),
        ):
            kilobytes = int(finished(begun(place, *words))[-1])
            needed.setdefault(name, []).append(kilobytes)
    weight = sum(map(len, files(tmp_path / "30000").values())) // 1_024
    for name, (little, much) in needed.items():
        # Ten times the events; all of them at once would take more than their files do.
        assert much - little < weight / 3, (name, needed, weight)


# ------------------------------------------------------------ at every single call


class Struck(BaseException):
    """The process ends here."""


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Let the process end before the n-th call that changes what is on the disk."""
    left = [10**9]

    def counted(real: Any) -> Any:
        def call(*given: Any, **more: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                # What is dead does no more: neither this call nor any that would clean up.
                raise Struck
            return real(*given, **more)

        return call

    for place, name in ((Path, "rename"), (Path, "unlink"), (Path, "rmdir"), (os, "fsync")):
        monkeypatch.setattr(place, name, counted(getattr(place, name)))

    def strike_at(number: int) -> None:
        left[0] = number

    yield strike_at
    left[0] = 10**9


def test_an_export_may_end_before_any_call(
    tmp_path: Path, calls: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(form, "SEGMENT_EVENTS", 150)
    place = somewhere("sqlite", tmp_path)
    grown(place, 200)
    exported(place.app, tmp_path / "before")
    # Enough to fill the second segment, begin a third, and fill the first tile.
    grow_on(place, 120)
    exported(place.app, tmp_path / "after")
    old, new = (files(tmp_path / name) for name in ("before", "after"))
    for start in (None, tmp_path / "before"):
        seen = list[str]()
        for number in range(1_000):
            archive = tmp_path / "archive"
            shutil.rmtree(archive, ignore_errors=True)
            if start is not None:
                shutil.copytree(start, archive)
            calls(number)
            try:
                exported(place.app, archive)
            except Struck:
                calls(10**9)
                if whole(archive):
                    held = Archive.open(archive).manifest.size
                    seen.append("old" if held == 200 else "new")
                else:
                    seen.append("none")
                exported(place.app, archive)
            calls(10**9)
            final = files(archive)
            assert {name: final[name] for name in new} == new, number
            assert final.keys() <= new.keys() | old.keys()
            if number >= len(seen):
                break
        assert len(seen) > 20
        order = ["none", "new"] if start is None else ["old", "none", "new"]
        assert sorted(set(seen), key=order.index) == order
        assert seen == sorted(seen, key=order.index)
