"""Whatever is done to an archive, it is refused where the damage begins, and nothing is written."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from given_archive import Place, exported, files, imported, somewhere, written
from given_service import SCRIPT, Api, api
from ledger import errors
from ledger.archive import form
from ledger.archive.reading import Archive, row_of
from ledger.archive.trees import Leaves
from ledger.cli import app
from ledger.settings import Settings
from ledger.store import LogRow
from ledger.store.sealing import COMMITMENT_PREFIX
from ledger.transparency.key_file import KeyFile
from ledger.transparency.lines import event_line
from ledger.transparency.notes import Checkpoint, SigningKey

EVENTS = "events/000000000001.ndjson"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Api, Path]]:
    """A ledger with few events and one artifact, and its signed archive."""
    folder = tmp_path_factory.mktemp("home")
    with api(folder / "live") as client:
        record = client.submit(content={"title": "Żółć — a study", "publisher": "Example"}).json()
        assert client.upload(record["handle"], "repro-script", SCRIPT).status_code == 201
        exported(client.service.settings, folder / "archive")
        yield client, folder / "archive"


@pytest.fixture
def archive(home: tuple[Api, Path], tmp_path: Path) -> Path:
    """A copy of the archive, to be damaged."""
    shutil.copytree(home[1], tmp_path / "archive")
    return tmp_path / "archive"


def refused(archive: Path, vkey: str | None = None) -> str:
    """Return how the archive is refused; it has to be, and wholly."""
    with pytest.raises(errors.BrokenArchive) as why:
        Archive.open(archive, vkey).check()
    return why.value.detail


def test_the_archive_is_good_as_it_is(archive: Path, home: tuple[Api, Path]) -> None:
    key = home[0].service.log.publisher.key()
    assert key is not None
    Archive.open(archive, str(key.verifier)).check()
    Archive.open(archive).check()


@pytest.mark.slow
def test_every_byte_matters(archive: Path, tmp_path: Path) -> None:
    place = somewhere("sqlite", tmp_path)
    for name, good in files(archive).items():
        for at in range(len(good)):
            bad = bytearray(good)
            bad[at] ^= 1 << at % 8
            (archive / name).write_bytes(bad)
            why = refused(archive)
            if name == EVENTS:
                line = good.count(b"\n", 0, at) + 1
                assert f"position {line}" in why, (at, why)
            elif name.startswith("log/tile/0/"):
                assert f"position {at // 32 + 1}:" in why, (at, why)
            else:
                assert name in why or "differ" in why or "artifacts/" in why, (name, at, why)
            if at % 401 == 0:
                with pytest.raises(errors.BrokenArchive):
                    imported(archive, place)
        (archive / name).write_bytes(good)
    assert not place.app.data_dir.exists()
    assert imported(archive, place)


def test_a_file_that_is_cut_longer_or_gone_is_named(archive: Path) -> None:
    for name, good in files(archive).items():
        # White space at the end of a JSON document says nothing.
        last = -3 if name == form.MANIFEST else -1
        for end in {0, 1, len(good) // 3, len(good) // 2, len(good) - 2, len(good) + last}:
            (archive / name).write_bytes(good[:end])
            assert_named(refused(archive), name)
        (archive / name).write_bytes(good + (b"}" if name == form.MANIFEST else b"\n"))
        assert_named(refused(archive), name)
        (archive / name).unlink()
        assert_named(refused(archive), name, gone=True)
        (archive / name).write_bytes(good)
    Archive.open(archive).check()


def assert_named(why: str, name: str, *, gone: bool = False) -> None:
    if gone and name == form.MANIFEST:
        assert "There is no archive in" in why
        return
    assert name in why or (name == form.VKEY and "checkpoint" in why), (name, why)


def test_a_cut_segment_names_the_first_event_that_is_not_there(archive: Path) -> None:
    good = (archive / EVENTS).read_bytes()
    lines = good.splitlines(keepends=True)
    for count in range(len(lines)):
        (archive / EVENTS).write_bytes(b"".join(lines[:count]))
        assert f"line {count + 1} (position {count + 1}): the line is missing" in refused(archive)


Lines = list[bytes]
SHUFFLED: dict[str, tuple[int, Callable[[Lines], object]]] = {
    "two lines are swapped": (3, lambda lines: lines.insert(2, lines.pop(4))),
    "a line is gone": (2, lambda lines: lines.pop(1)),
    "a line comes twice": (3, lambda lines: lines.insert(2, lines[1])),
    "the first is gone": (1, lambda lines: lines.pop(0)),
    "the last two are swapped": (6, lambda lines: lines.insert(5, lines.pop(6))),
    "a line is blank": (4, lambda lines: lines.insert(3, b"\n")),
    "a line ends as on another system": (
        2,
        lambda lines: lines.__setitem__(1, lines[1].replace(b"\n", b"\r\n")),
    ),
    "members stand in another order": (5, lambda lines: lines.__setitem__(4, sorted_(lines[4]))),
    "members are written otherwise": (
        5,
        lambda lines: lines.__setitem__(4, lines[4].replace(b'{"position":', b'{"position": ', 1)),
    ),
    "a letter of a stream is escaped": (
        1,
        lambda lines: lines.__setitem__(0, lines[0].replace(b'"ledger"', b'"\\u006cedger"', 1)),
    ),
}


def sorted_(line: bytes) -> bytes:
    return json.dumps(json.loads(line), sort_keys=True, separators=(",", ":")).encode() + b"\n"


@pytest.mark.parametrize("shuffle", SHUFFLED)
def test_lines_that_were_moved_or_written_otherwise_are_named(archive: Path, shuffle: str) -> None:
    lines = (archive / EVENTS).read_bytes().splitlines(keepends=True)
    position, change = SHUFFLED[shuffle]
    change(lines)
    (archive / EVENTS).write_bytes(b"".join(lines))
    vouch(archive)
    assert f"line {position} (position {position})" in refused(archive)


def vouch(archive: Path) -> None:
    """Let the manifest say that the segments are as they are now."""
    said = json.loads((archive / form.MANIFEST).read_text())
    for segment in said["segments"]:
        data = (archive / segment["file"]).read_bytes()
        segment["sha256"] = hashlib.sha256(data).hexdigest()
    (archive / form.MANIFEST).write_text(json.dumps(said))


# ------------------------------------------------------------ whoever rewrites it knowingly


def sealed(row: LogRow, state: bytes) -> LogRow:
    """Return a row with another body, sealed anew."""
    commitment = hashlib.sha256(COMMITMENT_PREFIX + row.salt + state).digest()
    return replace(row, state=state, payload_commitment=commitment)


def rewrite(archive: Path, change: Callable[[LogRow], LogRow]) -> None:
    """Change rows and write every line as it must be, with its own leaf hash."""
    lines = (archive / EVENTS).read_bytes().splitlines()
    rows = [change(row_of(line)) for line in lines]
    (archive / EVENTS).write_bytes(b"".join(event_line(row) + b"\n" for row in rows))
    vouch(archive)


def forge(archive: Path) -> str:
    """Write tiles, bundles and root of the lines as they are now; return the root."""

    def put(name: str, data: bytes, _first: int) -> None:
        (archive / name).write_bytes(data)

    tree = Leaves(put)
    for line in (archive / EVENTS).read_bytes().splitlines():
        tree.add(row_of(line))
    root = tree.end().hex()
    said = json.loads((archive / form.MANIFEST).read_text())
    (archive / form.MANIFEST).write_text(json.dumps(said | {"root": root}))
    return root


def praised(row: LogRow) -> LogRow:
    if row.position != 6:
        return row
    return sealed(row, row.state.replace(b"a study", b"a triumph"))


def test_another_body_with_its_own_commitment_is_named_by_the_tile(archive: Path) -> None:
    rewrite(archive, praised)
    assert "000.p/7 is not that of the events from position 6" in refused(archive)


def test_another_time_is_named_by_the_tile(archive: Path) -> None:
    later = timedelta(microseconds=1)
    rewrite(archive, lambda r: replace(r, recorded_at=r.recorded_at + later * (r.position == 4)))
    assert "from position 4" in refused(archive)


def test_a_whole_rewritten_log_has_no_checkpoint(archive: Path) -> None:
    rewrite(archive, praised)
    forge(archive)
    assert "manifest.json and log/checkpoint differ" in refused(archive)


def test_a_rewritten_log_under_another_key_is_refused_by_who_knows_the_key(
    archive: Path, home: tuple[Api, Path], tmp_path: Path
) -> None:
    rewrite(archive, praised)
    root = bytes.fromhex(forge(archive))
    real = KeyFile(home[0].service.settings.log_key).read()
    assert real is not None
    forger = SigningKey.generate(real.name)
    note = Checkpoint(real.name, 7, root).signed(forger)
    (archive / form.CHECKPOINT).write_bytes(bytes(note))
    (archive / form.VKEY).write_text(f"{forger.verifier}\n")
    place = somewhere("sqlite", tmp_path)
    assert "has not signed" in refused(archive, str(real.verifier))
    with pytest.raises(errors.BrokenArchive):
        imported(archive, place, str(real.verifier))
    assert not place.app.data_dir.exists()
    # Who asks for no key gets what the archive says of itself.
    Archive.open(archive).check()


def test_an_archive_that_says_it_is_unsigned_is_refused_by_who_knows_the_key(
    archive: Path, home: tuple[Api, Path]
) -> None:
    key = (archive / form.VKEY).read_text().strip()
    said = json.loads((archive / form.MANIFEST).read_text())
    (archive / form.MANIFEST).write_text(json.dumps(said | {"signed": False}))
    assert "not signed" in refused(archive, key)
    assert home[1] != archive


def test_a_key_that_is_none_is_refused(archive: Path) -> None:
    assert "a key is written" in refused(archive, "nonsense")


# ------------------------------------------------------------ manifests


@pytest.mark.parametrize(
    "change",
    [
        {"format": "research-ledger-archive/2"},
        {"segments": []},
        {"size": 6},
        {"size": "7"},
        {"more": 1},
        {"segments": [{"file": "/etc/passwd", "first": 1, "last": 7, "sha256": "0" * 64}]},
        {"segments": [{"file": EVENTS, "first": 1, "last": 6, "sha256": "0" * 64}]},
        {"artifacts": {"missing": ["../../secret"]}},
        {"root": "0" * 64},
        {"origin": "elsewhere.example.org/log"},
    ],
    ids=repr,
)
def test_a_manifest_that_does_not_fit_is_refused(archive: Path, change: dict[str, object]) -> None:
    said = json.loads((archive / form.MANIFEST).read_text())
    (archive / form.MANIFEST).write_text(json.dumps(said | change))
    assert "manifest.json" in refused(archive)


def test_an_export_that_was_not_finished_is_no_archive(archive: Path) -> None:
    (archive / form.MANIFEST).rename(archive / form.UNFINISHED)
    assert "was not finished: run ledger export again" in refused(archive)


def test_what_an_archive_lacks_openly_may_be_lacking(archive: Path, tmp_path: Path) -> None:
    digest = f"sha256:{hashlib.sha256(SCRIPT).hexdigest()}"
    (archive / form.place_of(digest)).unlink()
    assert f"line 7 (position 7): its bytes are missing: {form.place_of(digest)}" in refused(
        archive
    )
    said = json.loads((archive / form.MANIFEST).read_text())
    said["artifacts"]["missing"] = [digest]
    (archive / form.MANIFEST).write_text(json.dumps(said))
    assert imported(archive, somewhere("sqlite", tmp_path))


# ------------------------------------------------------------ many segments, and erasure


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let segments hold four events."""
    monkeypatch.setattr(form, "SEGMENT_EVENTS", 4)


@pytest.mark.usefixtures("small")
def test_segments_that_are_gone_swapped_or_mixed_are_named(
    home: tuple[Api, Path], tmp_path: Path
) -> None:
    client, _ = home
    for n in range(6):
        client.submit(content={"title": f"Study {n}", "publisher": "Example"})
    archive = tmp_path / "archive"
    exported(client.service.settings, archive)
    names = sorted(name for name in files(archive) if name.startswith("events/"))
    assert [Path(name).name for name in names][:2] == ["000000000001.ndjson", "000000000005.ndjson"]
    for number, name in enumerate(names):
        data = (archive / name).read_bytes()
        first = 4 * number + 1
        (archive / name).unlink()
        assert f"{name}, line 1 (position {first}): the file is missing" in refused(archive)
        (archive / name).write_bytes((archive / names[number - 1]).read_bytes())
        assert f"{name}, line 1 (position {first}): position" in refused(archive)
        (archive / name).write_bytes(data)
    assert imported(archive, somewhere("postgres", tmp_path))


NAME = "Quillfeather"


def erase(client: Api, position: int) -> None:
    head = {"Ledger-Position": str(client.service.store.head())}
    record = client.client.get("/v1/records", headers=head).json()["items"]
    handle = next(r["handle"] for r in record if NAME in r["title"])
    body = {"members": ["/content/title"], "reason": "Asked to.", "asked_by": "data-subject"}
    answer = client.client.post(
        f"/v1/events/{position}/erase", json=body, headers=client.headers(client.etag(handle))
    )
    assert answer.status_code == 201, answer.text


@pytest.mark.usefixtures("small")
def test_what_is_erased_leaves_the_archive_too(tmp_path: Path) -> None:
    archive, again = tmp_path / "archive", tmp_path / "again"
    with api(tmp_path / "live") as client:
        settings = client.service.settings
        answer = client.submit(content={"title": f"By {NAME}", "publisher": "Example"}).json()
        for n in range(9):
            client.submit(content={"title": f"Study {n}", "publisher": "Example"})
        exported(settings, archive)
        shutil.copytree(archive, again)
        assert NAME.encode() in b"".join(files(archive).values())
        erase(client, answer["position"])
        report = exported(settings, archive)
        exported(settings, tmp_path / "fresh")
        assert NAME.encode() not in b"".join(files(archive).values())
        assert report.kept == 8  # of four segments one was written anew, and the last one grew
        live = written_at(settings)
    for target in (archive, tmp_path / "fresh"):
        place = somewhere("postgres", tmp_path)
        assert imported(target, place)
        moved = written(place)
        assert moved["lines"] == live["lines"]
        assert moved["public_view"] == live["public_view"]
    wrong_erasures(archive, answer["position"])


def written_at(settings: Settings) -> dict[str, object]:
    return written(Place(settings, settings))


def wrong_erasures(archive: Path, position: int) -> None:
    name = form.segment_of(position)
    good = (archive / name).read_bytes()
    assert b'"salt":"",' in good
    # The body of an erased event is bound by the event that erased it, and by nothing else.
    (archive / name).write_bytes(good.replace(b"[erased]", b"[praise]"))
    vouch(archive)
    assert f"{name}: the body at position {position} is not what its erasure" in refused(archive)
    # Without the digest in the manifest it is found all the same, and before anything later is.
    said = json.loads((archive / form.MANIFEST).read_text())
    said["segments"][position // 4]["sha256"] = "0" * 64
    (archive / form.MANIFEST).write_text(json.dumps(said))
    assert f"{name}: the body at position {position} is not what its erasure" in refused(archive)


@pytest.mark.usefixtures("small")
def test_an_erasure_that_is_known_and_not_done_is_refused(tmp_path: Path) -> None:
    archive, before = tmp_path / "archive", tmp_path / "before"
    with api(tmp_path / "live") as client:
        settings = client.service.settings
        answer = client.submit(content={"title": f"By {NAME}", "publisher": "Example"}).json()
        for n in range(4):
            client.submit(content={"title": f"Study {n}", "publisher": "Example"})
        exported(settings, before)
        erase(client, answer["position"])
        exported(settings, archive)
    name = form.segment_of(answer["position"])
    shutil.copy(before / name, archive / name)
    vouch(archive)
    assert f"position {answer['position']} is not what its erasure" in refused(archive)


def test_an_event_that_the_program_does_not_know_is_named(archive: Path) -> None:
    rewrite(archive, lambda r: replace(r, topic="test.happened:1") if r.position == 3 else r)
    why = refused(archive)
    assert "line 3 (position 3)" in why
    assert "does not know that type" in why


def test_a_refusal_at_the_command_line_is_one_sentence(archive: Path, tmp_path: Path) -> None:
    (archive / EVENTS).write_bytes(b"")
    place = somewhere("sqlite", tmp_path)
    environment = {"LEDGER_DATABASE_URL": place.url, "LEDGER_DATA_DIR": str(place.app.data_dir)}
    done = CliRunner().invoke(app, ["import", "archive", str(archive)], env=environment)
    assert isinstance(done.exception, errors.BrokenArchive)
    assert re.fullmatch(r"events/0+1\.ndjson, line 1 \(position 1\): .*\.", done.exception.detail)
    with suppress(FileNotFoundError):
        assert not list(place.app.data_dir.iterdir())
