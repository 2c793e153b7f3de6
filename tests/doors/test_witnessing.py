"""Logs and witnesses as they meet: a real witness process, and witnesses that do not behave."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from given_log import LOG, STRANGER, WITNESS, Log, log_of
from given_service import ANSWER_S
from given_terminal import done, ledger, listening, refused
from given_witness import policy, witness_in
from ledger.transparency.notes import COSIGNATURE, Note, SigningKey, VerifierKey, open_checkpoint
from ledger.transparency.policy import BadPolicy, parse_policy
from ledger.transparency.witness import REQUEST_BYTES_MAX, make_memory
from ledger.transparency.witnessing import Answer, Outcome, Witnesses

TREE = log_of(700)
FORK = Log([*TREE.entries[:299], b"another", *TREE.entries[300:]])
LOGS = f"log {LOG.verifier}\nquorum none\n"
SECOND = SigningKey("witness.example.org/w2", COSIGNATURE, b"\x05" * 32)


def asking(*witnesses: tuple[VerifierKey, str]) -> Witnesses:
    """Return those who ask these witnesses, with all the time that a busy machine may need."""
    return Witnesses(policy(*witnesses), timeout_s=ANSWER_S)


# ---------------------------------------------------------------- a real witness


@pytest.fixture(scope="module")
def watching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real witness with a key of ours."""
    folder = tmp_path_factory.mktemp("witness")
    with witness_in(folder) as server:
        yield server.address


@pytest.mark.slow
def test_a_witness_cosigns_a_log_that_grows_and_no_fork_of_it(tmp_path: Path) -> None:
    digest = hashlib.sha256(LOG.name.encode()).hexdigest()
    with witness_in(tmp_path) as server:
        address = server.address
        asked = asking((WITNESS.verifier, f"{address}/"))
        for size in (3, 300, 300, 700):
            gathered = asked.gather(TREE.note(size), TREE.proving(size))
            assert gathered.satisfied
            opened, times = open_checkpoint(bytes(gathered.note), LOG.verifier, [WITNESS.verifier])
            assert (opened, list(times)) == (TREE.checkpoint(size), [WITNESS.verifier])
        # Who has cosigned it is not asked again.
        again = asked.gather(gathered.note, TREE.proving(700))
        assert (again.outcomes, again.satisfied) == ((), True)
        # Whoever has forgotten which size the witness has, asks once more and is answered.
        forgetful = asking((WITNESS.verifier, address))
        assert forgetful.gather(TREE.note(700), TREE.proving(700)).satisfied
    none = ledger(tmp_path, "witness", "evidence", "--memory", "memory.db")
    assert (none.returncode, none.stdout) == (0, "")
    assert none.stderr.startswith("There is none: ")
    with witness_in(tmp_path) as server:
        address = server.address
        asked = asking((WITNESS.verifier, address))
        held_there = asked.held(LOG.name)
        assert asked.held("another.example/log") == {}
        gathered = asked.gather(FORK.note(700), FORK.proving(700))
        assert [o.answer for o in gathered.refusals] == [Answer.FORKED]
        assert not gathered.satisfied
        assert gathered.note == FORK.note(700)
        # It shows why, and our own key has signed that.
        reason = gathered.refusals[0].shown
        assert open_checkpoint(reason, LOG.verifier)[0] == TREE.checkpoint(700)
        assert held_there == {"w0": reason}
        gathered = asked.gather(TREE.note(300), TREE.proving(300))
        assert [(o.answer, o.size) for o in gathered.refusals] == [(Answer.AHEAD, 700)]
        assert gathered.refusals[0].shown == reason
        held = httpx.get(f"{address}/{digest}/checkpoint", timeout=ANSWER_S)
        assert open_checkpoint(held.content, LOG.verifier)[0] == TREE.checkpoint(700)
        (kept,) = done(tmp_path, "witness", "evidence", "--memory", "memory.db").splitlines()
    told = json.loads(kept)
    assert told["request"].encode() == FORK.request(0, 700)
    assert told["held"].encode() == held.content
    assert (told["origin"], told["why"]) == (LOG.name, "the tree of this size has another root")


@pytest.mark.slow
def test_a_witness_answers_strangers_in_the_terms_of_the_protocol(watching: str) -> None:
    def post(body: bytes) -> httpx.Response:
        return httpx.post(f"{watching}/add-checkpoint", content=body, timeout=ANSWER_S)

    assert post(b"what?").status_code == 400
    assert post(log_of(3, STRANGER).request(0, 3)).status_code == 404
    unsigned = Note(TREE.checkpoint(3).text, (STRANGER.sign(TREE.checkpoint(3).text),))
    assert post(TREE.request(0, 3, unsigned)).status_code == 403
    assert post(b"x" * (REQUEST_BYTES_MAX + 1)).status_code == 413
    stale = post(TREE.request(3, 5))
    assert (stale.status_code, stale.text) == (409, "0\n")
    assert stale.headers["Content-Type"] == "text/x.tlog.size"
    for path, status in (("0" * 64 + "/checkpoint", 404), ("add-checkpoint", 405)):
        assert httpx.get(f"{watching}/{path}", timeout=ANSWER_S).status_code == status


@pytest.mark.slow
def test_a_witness_that_does_not_know_the_log_rejects_it(watching: str) -> None:
    unknown = log_of(3, STRANGER)
    asked = asking((WITNESS.verifier, watching))
    (outcome,) = asked.gather(unknown.note(3), unknown.proving(3)).outcomes
    assert outcome == Outcome("w0", Answer.REJECTED, "It answered 404.")


def key_of(shown: str) -> VerifierKey:
    return VerifierKey.parse(shown.strip())


@pytest.mark.slow
def test_a_key_is_made_once_and_is_the_owners_alone(tmp_path: Path) -> None:
    files = ("--key", "key", "--memory", "memory.db")
    shown = done(tmp_path, "witness", "keygen", "witness.example.org/w9", *files)
    key = key_of(shown)
    assert (key.name, key.kind) == ("witness.example.org/w9", COSIGNATURE)
    made = tmp_path / "key"
    assert SigningKey.parse(made.read_text().strip()).verifier == key
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    for key_file, memory in [("key", "other.db"), ("other", "memory.db"), ("key", "memory.db")]:
        words = ("w", "--key", key_file, "--memory", memory)
        assert "it is kept" in refused(tmp_path, "witness", "keygen", *words)
    words = ("a b", "--key", "other", "--memory", "other.db")
    assert ledger(tmp_path, "witness", "keygen", *words).returncode == 2
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    (tmp_path / "logs").write_text(LOGS)
    served = (*files, "--logs", "logs", "--port", "0")
    with listening(tmp_path, "witness", "serve", *served) as server:
        asked = asking((key_of(shown), server.address))
        assert asked.gather(TREE.note(3), TREE.proving(3)).satisfied
        assert server.stop() == (0, "")
    # Where a container mounts it for all to read, it is used, and that is said.
    made.chmod(0o444)
    with listening(tmp_path, "witness", "serve", *served) as server:
        code, err = server.stop()
    assert (code, err.count("\n")) == (0, 1)
    assert "The key in key is not its owner's alone (mode 0444)" in err


@pytest.mark.slow
def test_a_witness_that_cannot_begin_says_why(tmp_path: Path) -> None:
    files = {
        "key": WITNESS.secret(),
        "logs": LOGS,
        "log.key": LOG.secret(),
        "text": "no key and no policy",
        "nobody": "quorum none\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(f"{text}\n")
    for key, logs, why in [
        ("missing", "logs", "missing: No such file"),
        ("text", "logs", "holds no key"),
        ("log.key", "logs", "holds the key of a log"),
        ("key", "missing", "missing: No such file"),
        ("key", "text", "is no policy: Line 1"),
        ("key", "nobody", "names no log"),
    ]:
        words = ("--key", key, "--logs", logs, "--memory", "memory.db", "--port", "0")
        assert why in refused(tmp_path, "witness", "serve", *words)
    make_memory(tmp_path / "strange.db", SECOND.verifier)
    for memory, why in [
        ("text", "cannot be opened"),
        ("memory.db", "cannot be opened"),
        ("strange.db", "is not the memory of the witness witness.example.org/w1+6d7ef907"),
    ]:
        words = ("--key", "key", "--logs", "logs", "--memory", memory, "--port", "0")
        assert why in refused(tmp_path, "witness", "serve", *words)
    for memory in ("text", "memory.db"):
        said = refused(tmp_path, "witness", "evidence", "--memory", memory)
        assert "cannot be read as a memory" in said
    assert not (tmp_path / "memory.db").exists()


@pytest.mark.repo
def test_the_witnesses_of_the_guide_are_a_policy() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "operating.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"(?ms)^```\n(witness .*?)^```", guide)
    told = parse_policy(text.encode())
    assert [len(Witnesses(told).policy.witnesses), told.quorum] == [2, "both"]


# ---------------------------------------------------------------- witnesses that do not behave


class Scripted(BaseHTTPRequestHandler):
    """A witness that answers what it was told to, slowly or only up to ``cut`` bytes of it."""

    answers: tuple[tuple[int, bytes], ...]
    asked: list[bytes]
    pause_s: float
    cut: int | None

    def do_GET(self) -> None:
        self.asked.append(self.path.encode())
        self._answer()

    def do_POST(self) -> None:
        self.asked.append(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer()

    def _answer(self) -> None:
        status, body = self.answers[min(len(self.asked), len(self.answers)) - 1]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            for n in range(len(body[: self.cut])):
                self.wfile.write(body[n : n + 1])
                time.sleep(self.pause_s)
        except OSError:
            return

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@contextmanager
def scripted(
    *answers: tuple[int, bytes], pause_s: float = 0, cut: int | None = None
) -> Iterator[tuple[str, list[bytes]]]:
    asked: list[bytes] = []
    told = {"answers": answers, "asked": asked, "pause_s": pause_s, "cut": cut}
    handler = type("Told", (Scripted,), told)
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/w", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def line(key: SigningKey, size: int, *, at: int = 1_700_000_000) -> bytes:
    return f"{key.sign(TREE.checkpoint(size).text, at)}\n".encode()


def outcome_of(*answers: tuple[int, bytes], cut: int | None = None) -> Outcome:
    size = 300
    with scripted(*answers, cut=cut) as (url, _asked):
        asked = asking((WITNESS.verifier, url))
        gathered = asked.gather(TREE.note(size), TREE.proving(size))
    (outcome,) = gathered.outcomes
    assert gathered.satisfied is (outcome.answer is Answer.COSIGNED)
    assert bool(gathered.refusals) is (outcome.answer in {Answer.AHEAD, Answer.FORKED})
    return outcome


GARBLED = line(WITNESS, 300).replace(b"AAAA", b"AAAB", 1)
ANSWERS = {
    "cosigned": ((200, line(WITNESS, 300)), Answer.COSIGNED),
    "cosigned among others": ((200, line(STRANGER, 300) + line(WITNESS, 300)), Answer.COSIGNED),
    "another key's line": ((200, line(SECOND, 300)), Answer.REJECTED),
    "a false cosignature": ((200, GARBLED), Answer.REJECTED),
    "a cosignature of another size": ((200, line(WITNESS, 299)), Answer.REJECTED),
    "one good and one false": ((200, line(WITNESS, 300) + GARBLED), Answer.REJECTED),
    "no line": ((200, b""), Answer.REJECTED),
    "no note": ((200, b"<html>\xff"), Answer.REJECTED),
    "a redirection": ((301, b""), Answer.REJECTED),
    "forbidden": ((403, b"no"), Answer.REJECTED),
    "a conflict without a size": ((409, b"conflict"), Answer.REJECTED),
    "a conflict at the size it was asked from": ((409, b"0\n"), Answer.FORKED),
    "ahead": ((409, b"301\n"), Answer.AHEAD),
    "unprocessable": ((422, b"bad proof"), Answer.FORKED),
    "a failure": ((500, b""), Answer.UNREACHABLE),
    "a clock that ran back": ((503, b""), Answer.UNREACHABLE),
}


def test_an_answer_that_breaks_off_is_none() -> None:
    whole = line(WITNESS, 300)
    for cut in (0, 10, len(whole) - 1):
        outcome = outcome_of((200, whole), cut=cut)
        assert (outcome.answer, outcome.cosignature) == (Answer.UNREACHABLE, None)


@pytest.mark.parametrize(("told", "means"), ANSWERS.values(), ids=ANSWERS)
def test_every_answer_has_its_meaning(told: tuple[int, bytes], means: Answer) -> None:
    outcome = outcome_of(told)
    assert outcome.answer is means
    assert (outcome.cosignature is not None) is (means is Answer.COSIGNED)
    assert (outcome.detail == "") is (means is Answer.COSIGNED)


def test_a_witness_that_is_behind_is_asked_again_from_there() -> None:
    with scripted((409, b"256\n"), (200, line(WITNESS, 300)), (200, line(WITNESS, 700))) as (
        url,
        asked,
    ):
        witnesses = asking((WITNESS.verifier, url))
        for size in (300, 700):
            assert witnesses.gather(TREE.note(size), TREE.proving(size)).satisfied
    assert asked == [TREE.request(0, 300), TREE.request(256, 300), TREE.request(300, 700)]


@pytest.mark.parametrize(
    ("answers", "held"),
    [
        ([(503, b""), (200, b"what it holds")], [{}, {"w0": b"what it holds"}, {}]),
        ([(404, b"no such log\n")], [{}, {}, {}]),
    ],
)
def test_a_witness_is_asked_what_it_holds_until_it_answers(
    answers: list[tuple[int, bytes]], held: list[dict[str, bytes]]
) -> None:
    with scripted(*answers) as (url, asked):
        witnesses = asking((WITNESS.verifier, url))
        assert [witnesses.held(LOG.name) for _ in held] == held
    place = f"/w/{hashlib.sha256(LOG.name.encode()).hexdigest()}/checkpoint"
    assert asked == [place.encode()] * len(answers)


def test_a_witness_that_never_agrees_is_asked_twice() -> None:
    told = [(409, b"%d\n" % size) for size in (10, 20, 30)]
    with scripted(*told) as (url, asked):
        gathered = asking((WITNESS.verifier, url)).gather(TREE.note(300), TREE.proving(300))
    assert [o.answer for o in gathered.outcomes] == [Answer.AHEAD]
    assert len([body for body in asked if body.startswith(b"old ")]) == 2


@contextmanager
def letting_go() -> Iterator[None]:
    """See to it that every thread that begins here ends, too."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(ANSWER_S)
        assert not thread.is_alive()


def test_nobody_waits_longer_than_was_said_for_those_who_dawdle() -> None:
    third = SigningKey.generate("w3", COSIGNATURE)
    fourth = SigningKey.generate("w4", COSIGNATURE)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        # Longer than anybody waits, a byte at a time.
        scripted((200, line(WITNESS, 300) * 100), pause_s=0.2) as (drip, _),
        scripted((200, line(SECOND, 300))) as (quick, _),
    ):
        told = policy(
            (WITNESS.verifier, drip),
            (third.verifier, f"http://127.0.0.1:{silent.getsockname()[1]}"),
            (fourth.verifier, "http://127.0.0.1:1/"),
            (SECOND.verifier, quick),
        )
        # Where the machine stood still, the quick one may be late as well: all get twice the time.
        for timeout_s in (1, 2, 4, 8, 16, 32, 64):
            with letting_go():
                asked = Witnesses(told, timeout_s=timeout_s)
                gathered = asked.gather(TREE.note(300), TREE.proving(300))
            late, lost, away, there = gathered.outcomes
            assert late.detail == lost.detail == "It did not answer in time."
            assert (late.answer, lost.answer, away.answer) == (Answer.UNREACHABLE,) * 3
            if there.detail != late.detail:
                break
    assert there.answer is Answer.COSIGNED
    assert gathered.satisfied
    assert gathered.note.signatures == (*TREE.note(300).signatures, there.cosignature)


def test_a_witness_that_is_found_too_late_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking a name up knows no limit of its own."""
    late, known = threading.Event(), socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda *asked: late.wait() and known(*asked))
    with scripted((200, line(WITNESS, 300) * 100), pause_s=0.02) as (drip, _), letting_go():
        asked = Witnesses(policy((WITNESS.verifier, drip)), timeout_s=0.3)
        (outcome,) = asked.gather(TREE.note(300), TREE.proving(300)).outcomes
        late.set()
    assert outcome == Outcome("w0", Answer.UNREACHABLE, "It did not answer in time.")


def test_a_witness_without_an_address_is_not_asked() -> None:
    text = f"log {LOG.verifier}\nwitness w {WITNESS.verifier}\nquorum w\n"
    gathered = Witnesses(parse_policy(text.encode())).gather(TREE.note(3), TREE.proving(3))
    assert (gathered.outcomes, gathered.satisfied) == ((), False)


@pytest.mark.parametrize(
    "url", ["ftp://w/", "w.example.org", "http://", "http://w:port/", "http://w:70000", "http://["]
)
def test_an_address_is_a_web_address(url: str) -> None:
    with pytest.raises(BadPolicy, match="w0 is no web address"):
        Witnesses(policy((WITNESS.verifier, url)))
