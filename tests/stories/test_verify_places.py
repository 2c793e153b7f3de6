"""``ledger verify`` where it may not write, or not read everything, or is shown files alone."""

from __future__ import annotations

import functools
import http.server
import os
import pwd
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

import given_tampering
from given_tampering import Stand
from given_terminal import done
from ledger.verifier import database
from ledger.verifier.report import Outcome, Unchecked
from ledger.verifier.verify import Options, verify

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Stand:
    return given_tampering.stand(tmp_path_factory.mktemp("verify"), "sqlite")


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Stand:
    return given_tampering.stand(tmp_path_factory.mktemp("postgres"), "postgres")


# ---------------------------------------------------------------- a place that is only read


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to which everybody finds the way, beside one for temporary files."""
    folder = Path(tempfile.mkdtemp())
    for name in ("shelf", "temporary"):
        (folder / name).mkdir()
    folder.chmod(0o755)
    (folder / "temporary").chmod(0o777)
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "temporary"))
    yield folder / "shelf"
    (folder / "shelf").chmod(0o700)
    shutil.rmtree(folder)


@contextmanager
def reading(shelf: Path) -> Iterator[str]:
    """Be somebody who can only read what lies in a folder; gives the address of its ledger."""
    for file in shelf.iterdir():
        file.chmod(0o444)
    shelf.chmod(0o555)
    whoever = os.geteuid(), os.getegid()
    if whoever[0] == 0:
        # Whoever may do everything writes to such a folder, too.
        nobody = pwd.getpwnam("nobody")
        os.setegid(nobody.pw_gid)
        os.seteuid(nobody.pw_uid)
    try:
        yield f"sqlite:///{shelf}/ledger.db"
    finally:
        os.seteuid(whoever[0])
        os.setegid(whoever[1])


def test_a_ledger_on_a_medium_that_is_only_read_is_verified(stand: Stand, shelf: Path) -> None:
    for name in ("ledger.db", "ledger.db.views"):
        shutil.copy(stand.ledger.folder / name, shelf)
    with reading(shelf) as url:
        report = verify(url, Options(stand.vkey))
    assert report.outcome is Outcome.VERIFIED, "\n".join(report.lines())
    assert report.checked["records in catalogue"] > given_tampering.SUBMITTED
    assert {file.name for file in shelf.iterdir()} == {"ledger.db", "ledger.db.views"}


def test_commits_that_lie_in_the_write_ahead_log_alone_are_not_missed(
    stand: Stand, shelf: Path, tmp_path: Path
) -> None:
    ledger = stand.ledger.copy(tmp_path / "copy")
    with ledger.hand() as hand:
        hand.run("DELETE FROM {s}reservations")
        for name in ("ledger.db", "ledger.db-wal", "ledger.db.views", "ledger.db.views-wal"):
            shutil.copy(ledger.folder / name, shelf)
    assert (shelf / "ledger.db-wal").stat().st_size
    with reading(shelf) as url:
        report = verify(url, Options(stand.vkey))
    assert {each.table for each in report.differences} == {"reservations"}
    with reading(shelf) as url, database.opened(url):
        (copy,) = Path(tempfile.gettempdir()).iterdir()
    assert not copy.exists()


def test_a_copy_that_cannot_be_made_is_said_so(
    stand: Stand, shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = stand.ledger.copy(tmp_path / "copy")
    with ledger.hand() as hand:
        hand.run("DELETE FROM {s}reservations")
        for name in ("ledger.db", "ledger.db-wal"):
            shutil.copy(ledger.folder / name, shelf)
    monkeypatch.setattr(tempfile, "tempdir", str(shelf))
    with reading(shelf) as url:
        report = verify(url, Options(stand.vkey))
    assert report.outcome is Outcome.UNCHECKED
    assert report.unchecked == (
        f"The file {shelf}/ledger.db cannot be read where it lies, since part of it is in "
        f"{shelf}/ledger.db-wal, nor copied from there (Permission denied)."
    )


def test_what_is_written_to_beside_whoever_only_reads_is_not_judged(
    stand: Stand, shelf: Path
) -> None:
    shutil.copy(stand.ledger.file, shelf)
    opened = database.opened(f"sqlite:///{shelf}/ledger.db")
    with reading(shelf):
        opened.__enter__()
    os.utime(shelf / "ledger.db", (1, 1))
    with pytest.raises(Unchecked, match=r"ledger\.db was written to meanwhile"):
        opened.__exit__(None, None, None)


# ---------------------------------------------------------------- a role that may not read all


def test_the_role_that_may_not_read_the_views_is_told_which_one_may(postgres: Stand) -> None:
    made = postgres.ledger.database
    assert made is not None
    report = verify(made.owner_url, Options(postgres.vkey))
    assert report.outcome is Outcome.UNCHECKED
    owner, app = (psycopg.conninfo.conninfo_to_dict(url)["user"] for url in (
        made.owner_url, made.app_url,
    ))  # fmt: skip
    assert report.unchecked is not None
    assert report.unchecked.startswith(f"The role {owner} may not read ledger_views.")
    assert report.unchecked.endswith(
        f", which belongs to {app}: verify as {app}, or with --log-only."
    )
    # Whatever it may read is compared all the same.
    assert report.checked["public documents"] > given_tampering.SUBMITTED
    assert verify(made.owner_url, Options(postgres.vkey, log_only=True)).outcome is Outcome.VERIFIED
    whole = verify(made.app_url, Options(postgres.vkey))
    assert whole.outcome is Outcome.VERIFIED
    assert "records in catalogue" in whole.checked


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_the_lists_are_asked_for_many_records_at_once(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: Stand = request.getfixturevalue("stand" if kind == "sqlite" else kind)
    questions: list[str] = []
    which = database.SQLite if kind == "sqlite" else database.PostgreSQL
    read = which.read_views

    def counted(self: Any, sql: str, values: Sequence[Any] = ()) -> database.Found:
        questions.append(sql)
        return read(self, sql, values)

    monkeypatch.setattr(which, "read_views", counted)
    report = verify(given.ledger.url, Options(given.vkey))
    assert report.outcome is Outcome.VERIFIED
    assert report.checked["records in catalogue"] > given_tampering.SUBMITTED
    assert len(questions) < 50


# ---------------------------------------------------------------- files behind a web server


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_told: object) -> None:
        pass


@contextmanager
def shown(folder: Path) -> Iterator[str]:
    """Give the address at which any web server shows a folder."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_whoever_asks_a_server_of_files_is_told_to_download_them(
    stand: Stand, tmp_path: Path
) -> None:
    done(stand.ledger.folder, "export", str(tmp_path / "archive"))
    (tmp_path / "other" / "log").mkdir(parents=True)
    shutil.copy(tmp_path / "archive/log/checkpoint", tmp_path / "other/log")
    for name, says in [
        ("archive", "the files of an archive, and is no running ledger: download the folder"),
        ("other", "The server has no v1/events."),
    ]:
        with shown(tmp_path / name) as address:
            report = verify(address, Options(stand.vkey))
        assert report.outcome is Outcome.UNCHECKED
        assert report.unchecked is not None
        assert says in report.unchecked
