"""The signed log at the command line: its key, its checkpoints, its audit, and the way out."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest

import given_postgres
from given_service import ANSWER_S
from given_terminal import done, ledger, refused, serving
from ledger.transparency.notes import Checkpoint, VerifierKey, parse_note

pytestmark = pytest.mark.slow

KEY = "data/log.key"


@dataclass(frozen=True)
class Place:
    """A new ledger by its settings; ``back`` makes it the copy that ``copied`` took."""

    settings: dict[str, str]
    copied: Callable[[], None]
    back: Callable[[], None]


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "sqlite":
        done(tmp_path, "init")
        database, copy = tmp_path / "ledger.db", tmp_path / "copy.db"

        def copied() -> None:
            with closing(sqlite3.connect(database)) as one, closing(sqlite3.connect(copy)) as other:
                one.backup(other)

        def back() -> None:
            for file in tmp_path.glob("ledger.db-*"):
                file.unlink()
            database.write_bytes(copy.read_bytes())

        return Place({}, copied, back)
    made = given_postgres.fresh_database()
    done(tmp_path, "init", LEDGER_DATABASE_URL=made.owner_url)
    done(tmp_path, "log", "keygen")
    settings = {"LEDGER_DATABASE_URL": made.app_url}
    old = f"{made.name}_old"

    def pg_copied() -> None:
        made.server.create_database(old, made.name)

    def pg_back() -> None:
        # In place of the database that was lost stands the older copy.
        settings["LEDGER_DATABASE_URL"] = made.app_url.replace(made.name, old)

    return Place(settings, pg_copied, pg_back)


def facts(folder: Path, place: Place, name: str) -> None:
    """Append a fact to the log."""
    done(folder, "keys", "create", "--name", name, "--scope", "submit", **place.settings)


def published(told: str) -> Checkpoint:
    note = told.split("\n", 1)[1]
    return Checkpoint.parse(parse_note(note.encode()).text)


def test_a_key_is_made_once_and_tells_its_public_half(tmp_path: Path) -> None:
    vkey = VerifierKey.parse(done(tmp_path, "log", "keygen", "--origin", "a.example/log").strip())
    assert vkey.name == "a.example/log"
    assert (tmp_path / KEY).stat().st_mode & 0o777 == 0o600
    again = refused(tmp_path, "log", "keygen", "--origin", "a.example/log")
    assert again.endswith("it is kept. [log-key-exists]")
    elsewhere = {"LEDGER_LOG_KEY_FILE": str(tmp_path / "other.key")}
    assert "cannot be named" in refused(tmp_path, "log", "keygen", "--origin", "a b", **elsewhere)
    assert not (tmp_path / "other.key").exists()


@pytest.mark.parametrize("mode", [0o644, 0o440, 0o444, 0o602])
def test_a_key_that_others_may_use_is_warned_of_and_used(tmp_path: Path, mode: int) -> None:
    done(tmp_path, "init")
    assert ledger(tmp_path, "log", "step").stderr == ""
    (tmp_path / KEY).chmod(mode)
    warning = f"The key in {tmp_path / KEY} is not its owner's alone (mode {mode:04o}): "
    for words in (("log", "init"), ("log", "step"), ("log", "audit"), ("export", "archive")):
        ended = ledger(tmp_path, *words)
        assert (ended.returncode, ended.stderr.count("\n")) == (0, 1)
        assert ended.stderr.startswith(f"ledger: warning: {warning}")
    with serving(tmp_path) as server:
        assert httpx.get(f"{server.address}/log/checkpoint", timeout=ANSWER_S).status_code == 200
        code, err = server.stop()
    assert (code, err.count(warning)) == (0, 1)
    # What signs nothing says nothing of it.
    assert ledger(tmp_path, "keys", "list").stderr == ""


def test_what_was_appended_is_published_when_it_is_asked_for(tmp_path: Path, place: Place) -> None:
    first = published(done(tmp_path, "log", "init", **place.settings))
    assert (first.origin, first.size) == ("127.0.0.1:8000/log", 4)
    facts(tmp_path, place, "one")
    told = done(tmp_path, "log", "step", **place.settings)
    assert told.startswith("The tree holds 5 events; 5 are published.\n")
    assert published(told).size == 5
    assert published(done(tmp_path, "log", "step", **place.settings)) == published(told)
    audit = done(tmp_path, "log", "audit", **place.settings)
    assert "rows: 5\nin the tree: 5\n" in audit
    assert "checkpoints: 2" in audit


def test_without_a_key_only_the_tree_grows(tmp_path: Path, place: Place) -> None:
    (tmp_path / KEY).unlink()
    told = done(tmp_path, "log", "step", **place.settings)
    assert told == "The tree holds 4 events; nothing is signed: there is no key.\n"
    assert "in the tree: 4" in done(tmp_path, "log", "audit", **place.settings)


def test_a_key_that_has_published_is_not_made_again(tmp_path: Path, place: Place) -> None:
    done(tmp_path, "log", "step", **place.settings)
    (tmp_path / KEY).unlink()
    for words in (["step"], ["init"], ["keygen"]):
        said = refused(tmp_path, "log", *words, **place.settings)
        assert "4 events were published with it: put it back, or begin anew" in said
        assert said.endswith("[log-key-unusable]")
    assert not (tmp_path / KEY).exists()
    way_out = ("--origin", "b.example/log", "--reason", "The key was lost.")
    assert "\nb.example/log\n5\n" in done(tmp_path, "log", "init", *way_out, **place.settings)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [(b"", "holds no key of a log"), (b"PRIVATE+KEY+a+00000000+AAAA", "holds no key of a log")],
)
def test_a_file_that_is_no_key_is_named(tmp_path: Path, text: bytes, sentence: str) -> None:
    done(tmp_path, "init")
    (tmp_path / KEY).write_bytes(text)
    said = refused(tmp_path, "log", "step")
    assert sentence in said
    assert said.endswith("[log-key-unusable]")


def test_a_key_of_another_name_than_was_set_is_refused(tmp_path: Path) -> None:
    done(tmp_path, "init")
    said = refused(tmp_path, "log", "step", LEDGER_LOG_ORIGIN="b.example/log")
    assert "is that of 127.0.0.1:8000/log, and not of b.example/log" in said


@pytest.mark.parametrize(
    ("policy", "file", "sentence"),
    [
        ("required", None, "LEDGER_WITNESS_FILE is empty"),
        ("best-effort", "missing", "cannot be read: No such file"),
        ("required", "broken", "is no policy: Line 1"),
    ],
)
def test_witnesses_that_are_not_said_as_they_must_be_are_refused(
    tmp_path: Path, policy: str, file: str | None, sentence: str
) -> None:
    done(tmp_path, "init")
    (tmp_path / "broken").write_text("wittness w\n")
    settings = {"LEDGER_WITNESS_POLICY": policy}
    if file is not None:
        settings["LEDGER_WITNESS_FILE"] = str(tmp_path / file)
    said = refused(tmp_path, "log", "step", **settings)
    assert sentence in said
    assert said.endswith("[witnesses-unusable]")


def test_an_audit_names_the_row_and_is_remembered(tmp_path: Path) -> None:
    done(tmp_path, "init")
    done(tmp_path, "log", "step")
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as outsider:
        outsider.execute("DROP TRIGGER events_are_never_updated")
        outsider.execute("UPDATE events SET recorded_at = recorded_at + 1 WHERE position = 4")
        outsider.commit()
    said = refused(tmp_path, "log", "audit")
    assert "position 4 is not the one that the tree holds" in said
    assert said.endswith("[log-altered]")
    assert "position 4" in (tmp_path / f"{KEY}.audit").read_text()


def test_after_a_restore_the_ledger_is_read_only_until_a_new_log_begins(
    tmp_path: Path, place: Place
) -> None:
    done(tmp_path, "log", "step", **place.settings)
    place.copied()
    facts(tmp_path, place, "lost")
    done(tmp_path, "log", "step", **place.settings)
    place.back()
    said = refused(tmp_path, "log", "step", **place.settings)
    assert "holds 4 events in its tree" in said
    assert "published a checkpoint of 5: an older copy of it was restored" in said
    assert said.endswith("[log-rolled-back]")
    words = ("keys", "create", "--name", "x", "--scope", "submit")
    assert refused(tmp_path, *words, **place.settings).endswith("[log-rolled-back]")
    assert "policy" in done(tmp_path, "--help", **place.settings)
    altered = refused(tmp_path, "log", "audit", **place.settings)
    assert "holds 4 events, and a checkpoint of 5 was published" in altered

    usage = ledger(tmp_path, "log", "init", "--origin", "c.example/log", **place.settings)
    assert usage.returncode == 2
    reason = ("--reason", "The disk was lost.")
    same = refused(
        tmp_path, "log", "init", "--origin", "127.0.0.1:8000/log", *reason, **place.settings
    )
    assert "is named 127.0.0.1:8000/log already" in same
    words = ("log", "init", "--origin", "c.example/log/2", *reason)
    begun = published(done(tmp_path, *words, **place.settings))
    assert (begun.origin, begun.size) == ("c.example/log/2", 5)
    event = last_event(place, tmp_path)
    assert '"follows":"127.0.0.1:8000/log","follows_size":5' in event
    assert '"origin":"c.example/log/2"' in event

    facts(tmp_path, place, "after")
    assert published(done(tmp_path, "log", "step", **place.settings)).size == 6
    assert "in the tree: 6" in done(tmp_path, "log", "audit", **place.settings)
    kept = {file.name for file in (tmp_path / "data").iterdir()}
    assert "log.key.published.5" in kept
    url = place.settings.get("LEDGER_DATABASE_URL", f"sqlite:///{tmp_path / 'ledger.db'}")
    assert "result: verified" in done(tmp_path, "verify", url)


def test_the_key_of_another_log_signs_nothing_here(tmp_path: Path, place: Place) -> None:
    first = published(done(tmp_path, "log", "step", **place.settings))
    facts(tmp_path, place, "one")
    wrong = {"LEDGER_LOG_KEY_FILE": str(tmp_path / "other.key")}
    done(tmp_path, "log", "keygen", "--origin", "other.example/log", **wrong)
    said = refused(tmp_path, "log", "step", **place.settings, **wrong)
    assert "is that of other.example/log, and another log has signed the last" in said
    assert said.endswith("[log-key-unusable]")
    again = published(done(tmp_path, "log", "step", **place.settings))
    assert (again.origin, again.size) == (first.origin, first.size + 1)


def last_event(place: Place, folder: Path) -> str:
    url = place.settings.get("LEDGER_DATABASE_URL")
    if url is None:
        with closing(sqlite3.connect(folder / "ledger.db")) as reader:
            row = reader.execute("SELECT state FROM events ORDER BY position DESC LIMIT 1")
            return bytes(row.fetchone()[0]).decode()
    with psycopg.connect(url) as asked:
        found = asked.execute("SELECT state FROM ledger.events ORDER BY position DESC LIMIT 1")
        return bytes((found.fetchone() or (b"",))[0]).decode()
