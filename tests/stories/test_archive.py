"""A ledger goes out as files and comes back the same, on either database, as often as you like."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from typer.testing import CliRunner

from given_archive import (
    Place,
    bring_key,
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
from given_histories import histories
from given_patience import PATIENCE_S
from given_projector import opened
from given_records import stock, told_of
from given_service import Api, api
from ledger import errors
from ledger.archive.reading import Archive
from ledger.cli import app
from ledger.events import Event
from ledger.service import Service
from ledger.settings import Settings
from ledger.store import adapters
from ledger.store.sealing import COMMITMENT_PREFIX
from ledger.vocabulary import PolicyVersion, Scope

SEEDS = Path(os.environ.get("LEDGER_SEEDS") or Path(__file__).parents[2] / "../shared/seeds")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, Api]]:
    """A served ledger with a little of everything, some of it changed under another policy."""
    with api(tmp_path_factory.mktemp("source")) as client:
        stock(client)
        told_of(client)
        key = client.issue("leaver", Scope.SUBMIT)
        ledger = client.service.ledger
        adopt = ledger.adopt_policy(
            PolicyVersion.V2, "stated", "To see what it changes.", "operator"
        )
        revoke = ledger.revoke_key("leaver", key.split("_")[1], "operator", "They left.")
        last = [asyncio.run(each) for each in (adopt, revoke)][-1]
        assert asyncio.run(client.service.caught_up(last.position))
        yield Place(client.service.settings, client.service.settings), client


def test_there_and_back_again_nothing_is_lost(source: tuple[Place, Api], tmp_path: Path) -> None:
    live, _ = source
    exported(live.app, tmp_path / "first")  # and so published, as it stands now
    before, shown = written(live), views(live)
    assert before["reservations"]
    assert before["artifacts"]
    place, count = live, len(before["lines"])
    for number, kind in enumerate(("postgres", "sqlite", "postgres")):
        archive = tmp_path / str(number)
        report = exported(place.app, archive)
        assert report.manifest.size == count
        assert report.manifest.root == before["root"].hex()
        place = somewhere(kind, tmp_path)  # type: ignore[arg-type]
        assert imported(archive, place)
        assert written(place) == before
        assert views(place) == shown
        bring_key(live, place)
    assert equal(tmp_path / "0", tmp_path / "1")
    assert equal(tmp_path / "0", tmp_path / "2")


def test_the_bytes_of_artifacts_come_along(source: tuple[Place, Api], tmp_path: Path) -> None:
    live, _ = source
    exported(live.app, tmp_path / "archive")
    place = somewhere("sqlite", tmp_path)
    imported(tmp_path / "archive", place)
    kept = files(live.app.data_dir / "artifacts")
    assert len(kept) == 2
    assert files(place.app.data_dir / "artifacts") == kept


def test_an_imported_ledger_is_in_use_at_once(source: tuple[Place, Api], tmp_path: Path) -> None:
    live, client = source
    exported(live.app, tmp_path / "archive")
    place = somewhere("postgres", tmp_path)
    imported(tmp_path / "archive", place)

    async def used() -> tuple[str, int]:
        with Service(place.app) as service:
            holder = await service.ledger.keys.holder(client.key)
            with pytest.raises(errors.NotAuthenticated):
                await service.ledger.keys.holder("lk_0_none")
            (issued, _revoked) = await service.store.stream("actor:leaver")
            key_id = json.loads(issued.state)["key_id"]
            with pytest.raises(errors.KeyAlreadyRevoked):
                await service.ledger.revoke_key("leaver", key_id, "operator", "Again.")
            _key, receipt = await service.ledger.issue_key("newcomer", (Scope.SUBMIT,), "operator")
            return holder.actor, receipt.position

    actor, position = asyncio.run(used())
    assert actor == "pipeline"
    assert position == len(written(live)["lines"]) + 1


@pytest.mark.repo
def test_the_real_pages_go_there_and_back(tmp_path: Path) -> None:
    pages = sorted(SEEDS.glob("*.txt"))
    if not pages:
        if os.environ.get("CI") == "true":
            pytest.fail(f"no real pages in {SEEDS}")
        pytest.skip(f"no real pages in {SEEDS}")
    first = somewhere("postgres", tmp_path)
    typed(first.owner, "init")
    typed(first.app, "import", "pages", *map(str, pages))
    typed(first.app, "export", str(tmp_path / "archive"))
    second = somewhere("sqlite", tmp_path)
    typed(second.app, "import", "archive", str(tmp_path / "archive"))
    assert written(second) == written(first)
    assert views(second) == views(first)
    again = typed(second.app, "import", "archive", str(tmp_path / "archive"))
    assert "held these" in again


def typed(place: Settings, *arguments: str, code: int = 0) -> str:
    """Type a command for the ledger at a place; return what it says."""
    environment = {
        "LEDGER_DATABASE_URL": place.database_url,
        "LEDGER_DATA_DIR": str(place.data_dir),
        "LEDGER_TIMEOUT_S": str(PATIENCE_S),
    }
    done = CliRunner().invoke(app, arguments, env=environment)
    if isinstance(done.exception, errors.Refusal):
        raise done.exception
    assert done.exit_code == code, (done.output, done.exception)
    return done.output


@pytest.mark.slow
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(histories())
def test_any_history_goes_there_and_back(tmp_path: Path, events: tuple[Event, ...]) -> None:
    place = somewhere("sqlite", tmp_path)
    home = place.app.data_dir
    home.mkdir()
    with opened(home) as scene:
        for event in events:
            scene.append(event.originator_id, lambda _id, _version, event=event: event)  # type: ignore[misc]
    (home / "ledger").rename(place.app.database_path)
    before = written(place)
    exported(place.app, home / "archive")
    other = somewhere("postgres", tmp_path)
    imported(home / "archive", other)
    back = somewhere("sqlite", tmp_path)
    exported(other.app, home / "second")
    imported(home / "second", back)
    taken = {"reservations", "artifacts"}  # this scene writes none
    for found in (written(other), written(back)):
        assert found | {name: [] for name in taken} == before
        assert found["reservations"]
    assert views(other) == views(back) == views(place)
    assert equal(home / "archive", home / "second")


def test_an_archive_without_its_key_needs_to_be_told_one(
    source: tuple[Place, Api], tmp_path: Path
) -> None:
    live, client = source
    exported(live.app, tmp_path / "archive")
    vkey = (tmp_path / "archive" / "log" / "vkey").read_text().strip()
    key = client.service.log.publisher.key()
    assert key is not None
    assert vkey == str(key.verifier)
    (tmp_path / "archive" / "log" / "vkey").unlink()
    place = somewhere("sqlite", tmp_path)
    with pytest.raises(errors.BrokenArchive, match="give --vkey"):
        imported(tmp_path / "archive", place)
    assert imported(tmp_path / "archive", place, vkey)
    # Nor has the new ledger the key, so that it can sign nothing; what was published it has.
    again = exported(place.app, tmp_path / "again")
    assert again.manifest.signed
    assert not (tmp_path / "again" / "log" / "vkey").exists()
    bring_key(live, place)
    exported(place.app, tmp_path / "again")
    assert (tmp_path / "again" / "log" / "vkey").read_text().strip() == vkey


def test_only_what_is_new_is_written(tmp_path: Path) -> None:
    with api(tmp_path / "live") as client:
        stock(client)
        settings = client.service.settings
        first = exported(settings, tmp_path / "archive")
        assert (first.kept, first.copied) == (0, 2)
        untouched = {p: p.stat().st_mtime_ns for p in (tmp_path / "archive").rglob("*")}
        again = exported(settings, tmp_path / "archive")
        assert (again.kept, again.copied) == (again.manifest.size, 0)
        changed = {p for p, at in untouched.items() if p.stat().st_mtime_ns != at and p.is_file()}
        assert {p.name for p in changed} <= {"manifest.json"}
        client.submit()
        third = exported(settings, tmp_path / "archive")
        exported(settings, tmp_path / "fresh")
    assert third.manifest.size == first.manifest.size + 1
    fresh, grown = files(tmp_path / "fresh"), files(tmp_path / "archive")
    # What was a part of a tile stays until there is all of it.
    left = {f"log/tile/{kind}/000.p/{first.manifest.size}" for kind in ("0", "entries")}
    assert grown == fresh | {name: grown[name] for name in left}
    place = somewhere("sqlite", tmp_path)
    assert imported(tmp_path / "archive", place)


def test_a_folder_of_something_else_is_left_alone(
    source: tuple[Place, Api], tmp_path: Path
) -> None:
    live, _ = source
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("The only copy.")
    with pytest.raises(errors.AnotherArchive, match="not empty"):
        exported(live.app, tmp_path / "mine")
    assert files(tmp_path / "mine") == {"thesis.txt": b"The only copy."}
    with api(tmp_path / "other") as client:
        stock(client)
        for n in range(40):
            client.submit(content={"title": f"Study {n}", "publisher": "Example Research"})
        exported(client.service.settings, tmp_path / "archive")
    before = files(tmp_path / "archive")
    with pytest.raises(errors.AnotherArchive, match=r"holds \d+ events, and there are"):
        exported(live.app, tmp_path / "archive")
    assert files(tmp_path / "archive") == before


def test_an_archive_is_not_overwritten_by_a_fork_of_its_ledger(tmp_path: Path) -> None:
    one, other = somewhere("sqlite", tmp_path), somewhere("postgres", tmp_path)
    for place in (one, other):
        grown(place, 300)
    archive = tmp_path / "archive"
    exported(one.app, archive)
    before = files(archive)
    exported(other.app, archive)
    assert files(archive) == before  # so far they are the same
    grow_on(one, 20)
    exported(one.app, archive)
    before = files(archive)
    grow_on(other, 50)
    with pytest.raises(errors.AnotherArchive, match="has other events than the ledger"):
        exported(other.app, archive)
    assert files(archive) == before
    grow_on(one, 1)
    assert exported(one.app, archive).manifest.size == 321


def test_a_ledger_with_other_events_is_left_alone(
    source: tuple[Place, Api], tmp_path: Path
) -> None:
    live, _ = source
    exported(live.app, tmp_path / "archive")
    for kind in ("sqlite", "postgres"):
        place = somewhere(kind, tmp_path)
        typed(place.owner, "init")
        before = written(place)
        with pytest.raises(errors.LedgerNotEmpty, match="holds 4 events"):
            imported(tmp_path / "archive", place)
        assert written(place) == before


def test_an_artifact_that_is_gone_or_damaged_is_named(tmp_path: Path) -> None:
    with api(tmp_path / "live") as client:
        stock(client)
        settings = client.service.settings
        gone, damaged = sorted(
            p for p in (settings.data_dir / "artifacts").rglob("*") if p.is_file()
        )
        gone.unlink()
        damaged.write_bytes(b"X" * damaged.stat().st_size)
        said = typed(settings, "export", str(tmp_path / "archive"))
    assert f"missing or damaged: sha256:{gone.name}" in said
    assert f"missing or damaged: sha256:{damaged.name}" in said
    place = somewhere("sqlite", tmp_path)
    said = typed(place.app, "import", "archive", str(tmp_path / "archive"))
    assert f"missing from the archive: sha256:{gone.name}" in said


def test_a_damaged_log_is_not_exported(tmp_path: Path) -> None:
    with api(tmp_path / "live") as client:
        stock(client)
        settings = client.service.settings
        exported(settings, tmp_path / "archive")
    connection = sqlite3.connect(settings.database_path)
    connection.execute("DROP TRIGGER events_are_never_updated")
    connection.execute(
        "UPDATE events SET state = cast(replace(state, 'a', 'b') AS BLOB) WHERE position = 9"
    )
    connection.commit()
    connection.close()
    with pytest.raises(errors.LogAltered, match="position 9"):
        exported(settings, tmp_path / "fresh")
    assert not (tmp_path / "fresh" / "manifest.json").exists()


def test_a_log_that_is_not_the_published_one_is_not_exported(tmp_path: Path) -> None:
    """Whoever rewrites a row and all that is bound to it meets the checkpoint."""
    with api(tmp_path / "live") as client:
        stock(client)
        settings = client.service.settings
        exported(settings, tmp_path / "archive")
    for each in settings.log_key.parent.glob("log.key*"):
        each.rename(each.with_name(f"away-{each.name}"))
    find = "SELECT salt, payload_commitment FROM events WHERE position = 9"
    put = "UPDATE events SET salt = ?, payload_commitment = ? WHERE position = 9"
    with closing(sqlite3.connect(settings.database_path)) as connection:
        connection.execute("DROP TRIGGER events_are_never_updated")
        (good,) = connection.execute(find).fetchall()
        (state,) = connection.execute("SELECT state FROM events WHERE position = 9").fetchone()
        other = hashlib.sha256(COMMITMENT_PREFIX + b"x" * 32 + state).digest()
        connection.execute(put, (b"x" * 32, other))
        connection.commit()
        with pytest.raises(errors.LogAltered, match="are not those of the checkpoint"):
            exported(settings, tmp_path / "fresh")
        # Nothing of it is left for the next.
        connection.execute(put, good)
        connection.commit()
    assert exported(settings, tmp_path / "fresh").kept == 0
    fresh = files(tmp_path / "fresh")
    assert fresh == {name: files(tmp_path / "archive")[name] for name in fresh}


def test_views_of_a_ledger_that_is_no_more_are_not_taken_over(
    source: tuple[Place, Api], tmp_path: Path
) -> None:
    live, _ = source
    place = somewhere("sqlite", tmp_path)
    grown(place, 3_000)
    assert views(place)
    for file in place.app.data_dir.glob("ledger.db"):
        file.unlink()
    assert place.app.data_dir.joinpath("ledger.db.views").exists()
    exported(live.app, tmp_path / "archive")
    assert imported(tmp_path / "archive", place)
    assert views(place) == views(live)


def test_an_empty_ledger_goes_there_and_back(tmp_path: Path) -> None:
    place = somewhere("postgres", tmp_path)
    adapters.create(place.url)
    assert exported(place.app, tmp_path / "archive").manifest.size == 0
    other = somewhere("sqlite", tmp_path)
    assert imported(tmp_path / "archive", other)
    typed(other.app, "init")
    assert len(written(other)["lines"]) == 4


def test_an_erasure_that_no_checkpoint_covers_is_waited_for(tmp_path: Path) -> None:
    with api(tmp_path / "live") as client:
        settings = client.service.settings
        answer = client.submit().json()
        exported(settings, tmp_path / "archive")
        key = settings.log_key.read_bytes()
        settings.log_key.unlink()
        client.submit(content={"title": "Another", "publisher": "Example Research"})
        body = {"members": ["/content/title"], "reason": "Asked to.", "asked_by": "data-subject"}
        where = f"/v1/events/{answer['position']}/erase"
        headers = client.headers(client.etag(answer["handle"]))
        assert client.client.post(where, json=body, headers=headers).status_code == 201
        # What is there stays; one that would begin now could not show why the text is gone.
        said = typed(settings, "export", str(tmp_path / "archive"), code=0)
        assert "No checkpoint covers the last 2 events" in said
        with pytest.raises(errors.ErasureNotCovered, match=f"position {answer['position']} was"):
            exported(settings, tmp_path / "fresh")
        settings.log_key.write_bytes(key)
        for name in ("archive", "fresh"):
            exported(settings, tmp_path / name)
            assert b"A small study" not in b"".join(files(tmp_path / name).values())
            place = somewhere("sqlite", tmp_path)
            assert imported(tmp_path / name, place)


def test_an_archive_is_whole_while_others_append(tmp_path: Path) -> None:
    place, archive = somewhere("postgres", tmp_path), tmp_path / "archive"
    grown(place, 500)
    sizes = list[int]()

    def append() -> int:
        appended = 0
        while appended < 3_000 or (len(set(sizes)) < 3 and appended < 100_000):
            grow_on(place, 100)
            appended += 100
        return appended

    with ThreadPoolExecutor(1) as others:
        appending = others.submit(append)
        while not appending.done():
            sizes.append(exported(place.app, archive).manifest.size)
            Archive.open(archive).check()
    assert exported(place.app, archive).manifest.size == 500 + appending.result()
    assert sizes == sorted(sizes)
    assert len(set(sizes)) > 2
    assert imported(archive, somewhere("sqlite", tmp_path))


def test_a_full_disk_is_told_in_a_sentence_and_gone_on_from(tmp_path: Path) -> None:
    """No file may grow beyond a bound, as on a disk that is full."""
    place, archive = somewhere("sqlite", tmp_path), tmp_path / "archive"
    grown(place, 700)
    full = limited(place, 64 * 1_024, "export", str(archive))
    assert full.returncode == 1
    assert full.stderr.startswith("ledger: ")
    assert "Traceback" not in full.stderr
    exported(place.app, archive)
    other = somewhere("sqlite", tmp_path)
    full = limited(other, 512 * 1_024, "import", "archive", str(archive))
    assert full.returncode == 1, full
    assert full.stderr.startswith("ledger: ")
    assert full.stderr.rstrip().endswith("[store-unavailable]")
    assert not [file for file in other.app.data_dir.rglob("*") if file.is_file()]
    assert imported(archive, other)


def limited(place: Place, bytes_max: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command whose files may have at most so many bytes."""
    environment = os.environ | {
        "LEDGER_DATABASE_URL": place.url,
        "LEDGER_DATA_DIR": str(place.app.data_dir),
    }
    program = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({bytes_max}, {bytes_max})); "
        "from ledger.cli import main; main()"
    )
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
