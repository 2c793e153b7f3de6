"""``ledger verify`` of a running ledger, an archive and a database: what it says, and to whom."""

from __future__ import annotations

import gzip
import json
import shutil
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import given_tampering
from given_service import served
from given_tampering import Stand, resigned, unreadable
from given_terminal import done, ledger
from ledger.service import Service
from ledger.verifier import remote
from ledger.verifier.report import BadOption, Outcome
from ledger.verifier.verify import Options, verify

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Stand:
    return given_tampering.stand(tmp_path_factory.mktemp("verify"), "sqlite")


@pytest.fixture(scope="module")
def exported(stand: Stand) -> Path:
    folder = stand.ledger.folder.parent / "archive"
    base = f"http://{given_tampering.ORIGIN.removesuffix('/log')}"
    done(stand.ledger.folder, "export", str(folder), LEDGER_BASE_URL=base)
    return folder


@pytest.fixture
def archive(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "archive"))


# ---------------------------------------------------------------- what it says


def test_a_running_ledger_is_verified_with_its_documents(stand: Stand) -> None:
    with served(Service(stand.ledger.settings())) as address:
        report = verify(address, Options(stand.vkey, state=_copy(stand)))
        short = verify(address, Options(stand.vkey, log_only=True))
    assert report.outcome is Outcome.VERIFIED, "\n".join(report.lines())
    assert report.checked["public documents"] > given_tampering.SUBMITTED
    assert report.checked["entries"] == report.rows == report.size
    assert short.outcome is Outcome.VERIFIED
    assert "public documents" not in short.checked


def test_a_server_proves_that_it_continues_what_was_verified(stand: Stand, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    assert not stand.verified(stand.older, state=state).found
    before = json.loads(state.read_text())["logs"][given_tampering.ORIGIN]["size"]
    with served(Service(stand.ledger.settings())) as address:
        report = verify(address, Options(stand.vkey, state=state, log_only=True))
        wrong = _copy(stand)
        told = json.loads(wrong.read_text())
        told["logs"][given_tampering.ORIGIN] |= {"size": before, "root": "00" * 32}
        wrong.write_text(json.dumps(told))
        forked = verify(address, Options(stand.vkey, state=wrong, log_only=True))
    assert report.outcome is Outcome.VERIFIED, "\n".join(report.lines())
    assert 0 < before < report.size
    assert report.checked["consistency proofs"] == 1
    assert {each.field for each in forked.differences} == {"root (fork)", "proof"}


def test_a_ledger_is_verified_while_it_is_written_to(stand: Stand, tmp_path: Path) -> None:
    ledger, stop = stand.ledger.copy(tmp_path / "written"), threading.Event()
    given_tampering.bring_key(stand.ledger, ledger)
    with ledger.api() as api:

        def write() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                assert api.submit(content={"title": f"More {number}", "publisher": "P"}).is_success

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for target in (str(api.client.base_url), ledger.url) * 2:
                report = verify(target, Options(stand.vkey))
                assert report.outcome is Outcome.VERIFIED, "\n".join(report.lines())
                assert report.rows >= report.size
        finally:
            stop.set()
            writer.join()


def test_the_command_tells_people_and_programs(stand: Stand, tmp_path: Path) -> None:
    folder, url = stand.ledger.folder, stand.ledger.url
    told = done(folder, "verify", url, "--vkey", stand.vkey, "--state", str(tmp_path / "s.json"))
    assert told.splitlines()[-1] == "result: verified"
    assert "NOT PINNED" not in told
    again = json.loads(
        done(folder, "verify", url, "--vkey", stand.vkey, "--json", "--log-only",
             "--state", str(tmp_path / "s.json"))
    )  # fmt: skip
    assert (again["outcome"], again["exit"], again["differences"]) == ("verified", 0, [])
    assert again["key"] == {"vkey": stand.vkey, "pinned": True}
    assert again["rows"] == again["size"] > given_tampering.SUBMITTED


def test_without_a_key_it_says_so_loudly(stand: Stand, archive: Path) -> None:
    assert "SIGNATURE WAS NOT CHECKED" in done(stand.ledger.folder, "verify", stand.ledger.url)
    assert "NOT PINNED" in done(stand.ledger.folder, "verify", str(archive))


def test_every_exit_code_says_what_it_says(stand: Stand, tmp_path: Path) -> None:
    def code(*words: str) -> int:
        return ledger(stand.ledger.folder, "verify", *words).returncode

    url = stand.ledger.url
    assert code(url, "--vkey", stand.vkey, "--witness", given_tampering.WITNESS) == 1
    assert code(url, "--vkey", stand.vkey, "--witness", given_tampering.WITNESS,
                "--quorum", "0") == 0  # fmt: skip
    assert code("nowhere") == code(url, "--vkey", "none") == code(url, "--quorum", "1") == 2
    twice = ("--witness", given_tampering.WITNESS) * 2
    assert code(url, *twice) == 2
    assert code(url, "--witness", stand.vkey) == code("http://u@h/") == 2
    (tmp_path / "state.json").write_text("[]")
    assert code(url, "--state", str(tmp_path / "state.json")) == 2
    (tmp_path / "ledger.db").write_bytes(b"x" * 5_000)
    assert code(f"sqlite:///{tmp_path}/none.db") == code(f"sqlite:///{tmp_path}/ledger.db") == 3
    assert code(str(tmp_path)) == 3
    assert code("postgresql://nobody@127.0.0.1:1/none") == 3


def test_a_password_in_an_address_is_not_repeated() -> None:
    report = verify("postgresql://me:secret@127.0.0.1:1/none?password=secret", Options())
    assert report.outcome is Outcome.UNCHECKED
    assert "secret" not in report.json()


def test_another_key_than_the_pinned_one_is_a_difference(stand: Stand) -> None:
    other = "ledger.example.org/log+e40a9c0f+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c"
    report = verify(stand.ledger.url, Options(other))
    assert {each.field for each in report.differences} >= {"signature"}


def test_what_is_remembered_is_only_what_was_verified(stand: Stand, tmp_path: Path) -> None:
    state = tmp_path / "state.json"

    def change(hand: given_tampering.Hand) -> None:
        hand.run("DELETE FROM {s}reservations")

    with stand.changed(change) as changed:
        assert stand.verified(changed, state=state).found
    assert not state.exists()
    assert not stand.verified(stand.older, state=state).found
    assert not stand.verified(stand.ledger, state=state).found
    assert [each.field for each in stand.verified(stand.older, state=state).differences] == [
        "size (rollback)"
    ]


# ---------------------------------------------------------------- archives


def flip(path: Path, at: int = -9) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)


def rewritten(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def first(folder: Path, pattern: str) -> Path:
    return min(path for path in folder.glob(pattern) if path.is_file())


def resized(folder: Path) -> None:
    told = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(told | {"size": told["size"] - 1}))


def shortened(folder: Path) -> None:
    path = first(folder, "events/*")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def altered(folder: Path) -> None:
    path = first(folder, "events/*")
    path.write_bytes(path.read_bytes().replace(b"Study 11", b"Stady 11", 1))


def swapped(folder: Path) -> None:
    path = first(folder, "events/*")
    lines = path.read_bytes().splitlines(keepends=True)
    lines[4], lines[5] = lines[5], lines[4]
    path.write_bytes(b"".join(lines))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (altered, "archive, events/000000000001.ndjson, sha256"),
        (swapped, "events, position"),
        (shortened, "archive, events/000000000001.ndjson, lines"),
        (lambda f: first(f, "events/*").unlink(), "archive, events/000000000001.ndjson: "),
        (lambda f: flip(f / "log/tile/0/000"), "log_tiles, level 0, idx 0, hash 255"),
        (lambda f: flip(first(f, "log/tile/0/001.p/*")), "log_tiles, level 0, idx 1, hash "),
        (lambda f: flip(first(f, "log/tile/1/000.p/*")), "log_tiles, level 1, idx 0, hash 0"),
        (lambda f: (f / "log/tile/0/000").unlink(), "log_tiles, level 0, idx 0, data"),
        (lambda f: flip(f / "log/tile/entries/000", 50), "entries, position 1"),
        (lambda f: (f / "log/tile/entries/000").unlink(), "entries, bundle 0, entries"),
        (lambda f: rewritten(f / "log/checkpoint", resigned), "checkpoint, "),
        (lambda f: rewritten(f / "log/checkpoint", unreadable), "checkpoint: "),
        (lambda f: flip(f / "log/checkpoint", 3), "checkpoint, "),
        (lambda f: rewritten(f / "log/vkey", resigned), "checkpoint, "),
        (lambda f: rewritten(f / "log/vkey", unreadable), "checkpoint, "),
        (lambda f: (f / "log/checkpoint").unlink(), "archive, manifest.json, signed"),
        (resized, "archive, manifest.json, size"),
        (lambda f: flip(first(f, "artifacts/sha256/*/*"), 0), "artifacts, sha256:"),
        (lambda f: first(f, "artifacts/sha256/*/*").unlink(), "artifacts, sha256:"),
    ],
    ids=[
        "event",
        "swapped",
        "cut",
        "segment",
        "hash",
        "partial",
        "upper",
        "tile",
        "entry",
        "bundle",
        "signature",
        "unreadable",
        "origin",
        "vkey",
        "vkey-unreadable",
        "note",
        "size",
        "artifact",
        "bytes",
    ],
)
def test_a_changed_archive_is_named(
    stand: Stand, archive: Path, change: Callable[[Path], object], found: str
) -> None:
    assert not verify(str(archive), Options(stand.vkey)).found
    change(archive)
    report = verify(str(archive), Options(stand.vkey))
    lines = [each.line() for each in report.differences]
    assert [line for line in lines if line.startswith(found)], [*report.lines()]
    assert report.outcome is Outcome.DIFFERS


def test_an_archive_cannot_lead_elsewhere(stand: Stand, archive: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes((archive / "log/tile/0/000").read_bytes())
    (archive / "log/tile/0/000").unlink()
    (archive / "log/tile/0/000").symlink_to(tmp_path / "elsewhere")
    report = verify(str(archive), Options(stand.vkey))
    assert report.unchecked is not None
    assert report.unchecked.endswith("is not a plain file of the archive.")
    (archive / "manifest.json").unlink()
    (archive / "manifest.json").symlink_to("/dev/zero")
    assert verify(str(archive), Options(stand.vkey)).outcome is Outcome.UNCHECKED


# ---------------------------------------------------------------- hostile servers


@contextmanager
def answering(answer: Callable[[str, socket.socket], None]) -> Iterator[str]:
    """Give the address of a server that answers as it pleases."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            raw = b""
            while b"\r\n\r\n" not in raw:
                more = self.request.recv(65_536)
                if not more:
                    return
                raw += more
            try:
                answer(raw.split(b" ")[1].decode(), self.request)
            except OSError:
                return  # the reader hung up, as it should

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def sent(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    told = "".join(f"{header}\r\n" for header in headers)
    return f"HTTP/1.1 {status}\r\n{told}Connection: close\r\n\r\n".encode() + body


BOMB = gzip.compress(bytes(200_000_000), 9)


def endless(part: bytes, head: bytes) -> Callable[[str, socket.socket], None]:
    def answer(_path: str, to: socket.socket) -> None:
        to.sendall(head)
        while True:
            to.sendall(part)

    return answer


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda _p, to: to.sendall(sent(b"", status="302 Found")), "answered 302 to /log/check"),
        (lambda _p, to: to.sendall(sent(b"", status="500 Oops")), "answered 500 to /log/check"),
        (lambda _p, to: to.sendall(b"\x1b[2J\r\n\r\n"), "cannot be read"),
        (lambda _p, to: to.close(), "cannot be read"),
        (
            lambda _p, to: to.sendall(sent(BOMB, "Content-Encoding: gzip")),
            "is longer than 65536 bytes",
        ),
        (
            lambda _p, to: to.sendall(sent(b"none", "Content-Encoding: gzip")),
            "is not gzip as it says",
        ),
        (
            lambda _p, to: to.sendall(sent(b"", "Content-Encoding: br")),
            "in a way that nobody asked for",
        ),
        (endless(b"x" * 4_096, sent(b"")), "is longer than 65536 bytes"),
        (endless(b"X-More: 1\r\n", b"HTTP/1.1 200 OK\r\n"), "cannot be read"),
        (endless(b"HTTP/1.1 100 Continue\r\n\r\n", b""), "cannot be read"),
        (endless(b"a", b""), "cannot be read"),
    ],
    ids=[
        "redirect",
        "fault",
        "garbage",
        "silence",
        "bomb",
        "no-gzip",
        "brotli",
        "body",
        "headers",
        "continue",
        "status",
    ],
)
def test_a_hostile_answer_ends_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, answer: Callable[[str, socket.socket], None], says: str
) -> None:
    if says == "cannot be read":
        # Some of these would go on for ever; the others end, however busy the machine is.
        monkeypatch.setattr(remote, "ANSWER_S", 2)
    with answering(answer) as address:
        report = verify(address, Options())
    assert report.outcome is Outcome.UNCHECKED
    assert report.unchecked is not None
    assert says in report.unchecked
    assert "\x1b" not in "\n".join(report.lines())


def test_a_server_that_shows_another_document_is_found(stand: Stand) -> None:
    with served(Service(stand.ledger.settings())) as address:
        honest = remote.Remote(address)

        def answer(path: str, to: socket.socket) -> None:
            raw = honest._ask(path.removeprefix("/"), 1 << 24, "application/x-ndjson")
            if path.startswith("/v1/records/") and raw is not None:
                raw = raw.replace(b"Study 11", b"Study 12")
            body = raw or b""
            status = "404 Not Found" if raw is None else "200 OK"
            to.sendall(sent(body, f"Content-Length: {len(body)}", status=status))

        with answering(answer) as liar:
            report = verify(liar, Options(stand.vkey))
        honest.close()
    fields = {(each.table, each.field) for each in report.differences}
    assert fields == {("records", "/title")}
    assert report.outcome is Outcome.DIFFERS


@pytest.mark.parametrize(
    "url", ["http://", "http://h:99999/", "http://h/?q", "http://h/#f", "ftp://h/", "https://u@h/"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(BadOption):
        verify(url, Options())


def test_every_command_writes_a_root_as_the_checkpoint_does(exported: Path, tmp_path: Path) -> None:
    root = (exported / "log" / "checkpoint").read_text(encoding="utf-8").splitlines()[2]
    told = done(tmp_path, "verify", str(exported))
    assert f", root {root}\n" in told
    told = done(tmp_path, "import", "archive", str(exported))
    assert f"\nRoot {root}, signed for {given_tampering.ORIGIN}.\n" in told
    told = done(tmp_path, "export", str(tmp_path / "again"))
    assert f"\nRoot {root}, signed for {given_tampering.ORIGIN}.\n" in told


def test_a_place_that_is_none_is_refused_and_the_way_to_name_one_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match=r"There is no folder .*/nowhere: name the http"):
        verify(str(tmp_path / "nowhere"), Options())
    (tmp_path / "ledger.db").touch()
    with pytest.raises(BadOption, match=rf"name it as sqlite:///{tmp_path}/ledger\.db\."):
        verify(str(tmp_path / "ledger.db"), Options())


def _copy(stand: Stand) -> Path:
    return Path(shutil.copy(stand.state, stand.state.with_suffix(".copy")))
