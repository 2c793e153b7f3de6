"""How do the witnesses of a policy come to cosign a checkpoint?  A client of C2SP tlog-witness.

A witness signs only what continues what it signed before.  Its refusal is therefore the one sign
that the log has split, or that its database has come back older than it was: see ``Answer``.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from ledger.transparency.notes import (
    BadNote,
    Checkpoint,
    Note,
    Signature,
    encoded,
    parse_signatures,
)
from ledger.transparency.policy import BadPolicy, Party, Policy

ANSWER_BYTES_MAX: Final = 65_536
TOO_LATE: Final = "It did not answer in time."

Prove = Callable[[int], Sequence[bytes]]
"""Takes an old size; returns the consistency proof from there to the checkpoint's size."""


class Answer(StrEnum):
    """What came of asking one witness."""

    COSIGNED = "cosigned"
    AHEAD = "ahead"
    """The witness has cosigned a larger tree: another process published, or we have lost facts."""
    FORKED = "forked"
    """The witness has seen a tree that this one does not continue."""
    REJECTED = "rejected"
    """The witness does not know this log or its key, or understands another language."""
    UNREACHABLE = "unreachable"
    """No answer in time, or one that the witness itself calls a failure."""


REFUSALS: Final = frozenset({Answer.AHEAD, Answer.FORKED})


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one witness answered, in a sentence for people, with its last size where it says so."""

    witness: str
    answer: Answer
    detail: str = ""
    size: int | None = None
    cosignature: Signature | None = None
    shown: bytes = b""
    """Of a witness that refuses: the checkpoint that it shows for a reason; nothing is checked."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """A checkpoint with the cosignatures that there are, and how every witness answered."""

    note: Note
    outcomes: tuple[Outcome, ...]
    satisfied: bool

    @property
    def refusals(self) -> tuple[Outcome, ...]:
        """The answers after which this checkpoint may not be published.

        Only what a witness shows, with our own signature on it, proves that it is right.
        """
        return tuple(o for o in self.outcomes if o.answer in REFUSALS)


def request_body(note: Note, old: int, proof: Iterable[bytes]) -> bytes:
    """Return what add-checkpoint takes."""
    lines = (f"old {old}", *map(encoded, proof), "", "")
    return "\n".join(lines).encode() + bytes(note)


class _Exchange:
    """One request to one witness in a thread of its own, until it answers or time is up.

    With a body it is a POST, without one a GET.
    """

    def __init__(self, witness: Party, path: str, body: bytes | None, timeout_s: float) -> None:
        self.witness = witness
        self.status = 0
        self.body = b""
        self.trouble = TOO_LATE
        url = urlsplit(f"{(witness.url or '').rstrip('/')}/{path}")
        host, port = url.hostname or "", url.port
        self._line = (
            http.client.HTTPSConnection(
                host, port, timeout=timeout_s, context=ssl.create_default_context()
            )
            if url.scheme == "https"
            else http.client.HTTPConnection(host, port, timeout=timeout_s)
        )
        self._late = False
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, args=(url.path, body), daemon=True)
        self._thread.start()

    def _run(self, path: str, body: bytes | None) -> None:
        try:
            self._line.connect()
            self._socket = self._line.sock
            if self._late:
                # Who gave up met no socket to shut yet.
                return
            if body is None:
                self._line.request("GET", path)
            else:
                headers = {"Content-Type": "text/plain; charset=utf-8"}
                self._line.request("POST", path, body, headers)
            answer = self._line.getresponse()
            self.body = answer.read(ANSWER_BYTES_MAX)
            if answer.length:
                # Asked for so many bytes, the library does not say that fewer came.
                raise http.client.IncompleteRead(self.body, answer.length)
            self.status = answer.status
        except TimeoutError:
            self.trouble = TOO_LATE
        except (OSError, http.client.HTTPException, ValueError) as error:
            if not self._late:
                self.trouble = f"It cannot be reached: {type(error).__name__}."
        finally:
            self._line.close()

    def wait(self, until: float) -> None:
        """Wait for the end of the exchange, at most until a moment of the monotonic clock."""
        self._thread.join(max(0.0, until - time.monotonic()))
        if self._thread.is_alive():
            # A witness that answers a byte at a time meets no timeout of the socket.
            self._late = True
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)


def _reachable(witness: Party) -> bool:
    """Whether a witness has an address; raises BadPolicy for one that is no web address."""
    if witness.url is None:
        return False
    try:
        url = urlsplit(witness.url)
        good = url.scheme in {"http", "https"} and url.hostname and url.port != 0
    except ValueError:
        good = False
    if not good:
        raise BadPolicy(f"The address of the witness {witness.name} is no web address.")
    return True


class Witnesses:
    """The witnesses of a policy that have an address, and the size that each has seen last.

    Sizes are only a guess that saves a request: a witness that has seen another size says which.
    Not for several threads at once.
    """

    def __init__(self, policy: Policy, timeout_s: float = 5.0) -> None:
        """Ask nobody yet.  ``timeout_s`` bounds one call of ``gather``, whoever dawdles.

        Raises BadPolicy for an address that is none.
        """
        self.policy = policy
        self._timeout_s = timeout_s
        self._asked = [witness for witness in policy.witnesses if _reachable(witness)]
        self._sizes = {witness.name: 0 for witness in self._asked}
        self._unmet = list(self._asked)

    def gather(self, note: Note, prove: Prove) -> Gathered:
        """Ask every witness at once to cosign a signed checkpoint; raises nothing of theirs.

        Those whose cosignature the note bears are not asked.  ``prove`` is called in this thread.
        """
        checkpoint = Checkpoint.parse(note.text)
        until = time.monotonic() + self._timeout_s
        there = {(signature.name, signature.key_id) for signature in note.signatures}
        missing = [w for w in self._asked if (w.key.name, w.key.key_id) not in there]
        outcomes = self._ask(missing, note, checkpoint, prove, until)
        stale = [
            witness
            for witness, outcome in zip(missing, outcomes.values(), strict=True)
            if outcome.answer is Answer.AHEAD
            and outcome.size is not None
            and outcome.size <= checkpoint.size
        ]
        # These only told us which size they have; asked from there, they give their real answer.
        outcomes |= self._ask(stale, note, checkpoint, prove, until)
        refusing = [w for w in missing if outcomes[w.name].answer in REFUSALS]
        for name, shown in self._shown(refusing, checkpoint.origin, until).items():
            outcomes[name] = replace(outcomes[name], shown=shown or b"")
        fresh = {o.witness: o.cosignature for o in outcomes.values() if o.cosignature}
        have = {*fresh, *(w.name for w in self._asked if w not in missing)}
        return Gathered(
            Note(note.text, (*note.signatures, *fresh.values())),
            tuple(outcomes.values()),
            self.policy.satisfied(have),
        )

    def held(self, origin: str) -> dict[str, bytes]:
        """Return what witnesses have cosigned last of a log, by name; nothing of it is checked.

        Each is asked until it answers once; one that holds nothing, or does not show it, has
        answered, too.
        """
        until = time.monotonic() + self._timeout_s
        answers = self._shown(self._unmet, origin, until)
        self._unmet = [witness for witness in self._unmet if answers[witness.name] is None]
        return {name: shown for name, shown in answers.items() if shown}

    def _ask(
        self,
        witnesses: Sequence[Party],
        note: Note,
        checkpoint: Checkpoint,
        prove: Prove,
        until: float,
    ) -> dict[str, Outcome]:
        exchanges = []
        for witness in witnesses:
            old = min(self._sizes[witness.name], checkpoint.size)
            body = request_body(note, old, prove(old) if old else ())
            left_s = max(0.01, until - time.monotonic())
            exchanges.append((_Exchange(witness, "add-checkpoint", body, left_s), old))
        outcomes = {}
        for exchange, old in exchanges:
            exchange.wait(until)
            outcome = _outcome(exchange, note, checkpoint, old)
            if outcome.size is not None:
                self._sizes[outcome.witness] = outcome.size
            outcomes[outcome.witness] = outcome
        return outcomes

    @staticmethod
    def _shown(witnesses: Iterable[Party], origin: str, until: float) -> dict[str, bytes | None]:
        """Return the checkpoints that witnesses show, empty without one, None without an answer."""
        path = f"{hashlib.sha256(origin.encode()).hexdigest()}/checkpoint"
        left_s = max(0.01, until - time.monotonic())
        exchanges = [_Exchange(witness, path, None, left_s) for witness in witnesses]
        told: dict[str, bytes | None] = {}
        for exchange in exchanges:
            exchange.wait(until)
            answered = 0 < exchange.status < HTTPStatus.INTERNAL_SERVER_ERROR
            shown = exchange.body if exchange.status == HTTPStatus.OK else b""
            told[exchange.witness.name] = shown if answered else None
        return told


def _outcome(exchange: _Exchange, note: Note, checkpoint: Checkpoint, old: int) -> Outcome:
    """Return what an exchange means; ``old`` is the size that the witness was asked from."""
    name, status = exchange.witness.name, exchange.status
    size = re.fullmatch(rb"(0|[1-9][0-9]{0,18})\n", exchange.body)
    if status == HTTPStatus.OK:
        return _cosigned(exchange, note, checkpoint)
    if status == HTTPStatus.CONFLICT and size and int(size[1]) != old:
        last = int(size[1])
        return Outcome(name, Answer.AHEAD, f"It has cosigned {last} entries already.", last)
    # Asked from its own last size it has nothing to object to but the history itself.
    if status == HTTPStatus.UNPROCESSABLE_ENTITY or (status == HTTPStatus.CONFLICT and size):
        return Outcome(name, Answer.FORKED, "It has seen another history.")
    if status == 0 or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        trouble = f"It answered {status}." if status else exchange.trouble
        return Outcome(name, Answer.UNREACHABLE, trouble)
    return Outcome(name, Answer.REJECTED, f"It answered {status}.")


def _cosigned(exchange: _Exchange, note: Note, checkpoint: Checkpoint) -> Outcome:
    key, name = exchange.witness.key, exchange.witness.name
    try:
        lines = parse_signatures(exchange.body.decode())
        signed = Note(note.text, lines).signed_by([key])
    except (BadNote, UnicodeDecodeError):
        return Outcome(name, Answer.REJECTED, "It answered with a false cosignature.")
    if key not in signed:
        return Outcome(name, Answer.REJECTED, "It answered without a cosignature of its key.")
    (line, *_) = [s for s in lines if (s.name, s.key_id) == (key.name, key.key_id)]
    return Outcome(name, Answer.COSIGNED, size=checkpoint.size, cosignature=line)
