"""Is it as it was signed?  Opens a target, holds it against its checkpoint, and reports.

The order is that of trust: what is signed, by a key that the caller brings; then the tree that the
rows make; then whatever follows from the rows.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field
from heapq import merge
from operator import attrgetter
from pathlib import Path
from typing import Final, Protocol

from ledger.verifier import database, signatures
from ledger.verifier.archive import Archive
from ledger.verifier.beside import Beside
from ledger.verifier.log import EVENTS, TILES, Handler, Mark, Pass, Row
from ledger.verifier.memory import Memory, Remembered
from ledger.verifier.notebook import Notebook
from ledger.verifier.remote import Remote
from ledger.verifier.report import BadOption, Report, Unchecked
from ledger.verifier.shown import Bytes, Documents
from ledger.verifier.signatures import BadNote, Checkpoint, Key
from ledger.verifier.tree import contains
from ledger.verifier.views import Folds

CHECKPOINT: Final = "checkpoint"
SIGNED: Final = "signed"
REMEMBERED: Final = "remembered"
KEPT: Final = ""
NOT_PINNED: Final = (
    "THE KEY IS NOT PINNED: no --vkey was given, so the target vouches for itself. Get the key "
    "from somewhere else than the target."
)
NO_KEY: Final = (
    "THE SIGNATURE WAS NOT CHECKED: no --vkey was given, and the target holds no key. The "
    "checkpoint was taken at its word."
)


class Target(Protocol):
    """What is verified: a database, an archive, a running ledger."""

    size: int

    def begin(self, report: Report) -> None:
        """Read what everything else rests on."""

    def note(self) -> bytes | None:
        """Return the newest checkpoint as it is signed, None where there is none."""

    def vkey(self) -> str | None:
        """Return the key that the target says is its own."""

    def rows(self) -> Iterator[Row]:
        """Yield the log in order."""

    def tile(self, level: int, index: int, width: int) -> bytes | None:
        """Return the hashes of a tile."""

    def entries(self, index: int, width: int) -> list[bytes] | None:
        """Return a bundle of entries."""

    def marks(self, report: Report, key: Key | None) -> Iterator[Mark]:
        """Yield the roots that the target has kept, in order of size."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to verify: whose key, which witnesses, what was seen before, and how much to look at."""

    vkey: str | None = None
    witnesses: tuple[str, ...] = ()
    quorum: int | None = None
    state: Path | None = None
    log_only: bool = False


@dataclass(slots=True)
class _Known:
    """What is known of the log before its rows are read."""

    report: Report
    key: Key | None = None
    checkpoint: Checkpoint | None = None
    note: bytes = b""
    remembered: Remembered | None = None
    rows: bool = False
    """Whether the rows make the signed root."""
    stored: bool = False
    """Whether the stored hashes do."""


@dataclass(slots=True)
class _Given:
    """The options, read."""

    key: Key | None
    witnesses: list[Key]
    quorum: int
    memory: Memory | None
    log_only: bool
    handlers: Mapping[str, Handler] = field(default_factory=dict)


def verify(target: str, options: Options) -> Report:
    """Verify a target; whatever comes of it is in the report.

    Raises BadOption for options that cannot be understood.
    """
    given = _read(options)
    report = Report(_shown(target))
    began = time.monotonic()
    try:
        with opened(target) as found:
            _verify(found, given, report)
    except Unchecked as why:
        report.unchecked = str(why)
    report.seconds = time.monotonic() - began
    return report


def opened(target: str) -> AbstractContextManager[Target]:
    """Give a target by its address; raises BadOption for an address of no kind."""
    if target.startswith((database.SQLITE, *database.POSTGRESQL)):
        return database.opened(target)
    if target.startswith(("http://", "https://")):
        return closing(Remote(target))
    if Path(target).is_dir():
        return nullcontext(Archive(Path(target)))
    if Path(target).is_file():
        raise BadOption(f"{target} is a file; if it is a database, name it as sqlite:///{target}.")
    raise BadOption(
        f"There is no folder {_shown(target)}: name the http(s) URL of a running ledger, the "
        "folder of an archive, or a database as sqlite:///FILE or postgresql://…"
    )


def _shown(target: str) -> str:
    """Return a target without the password that its address may hold."""
    scheme, mark, rest = target.partition("://")
    authority, slash, path = rest.partition("/")
    if mark and "@" in authority:
        authority = authority.rpartition("@")[2]
    return f"{scheme}{mark}{authority}{slash}{path.partition('?')[0]}"


def _read(options: Options) -> _Given:
    try:
        key = signatures.key(options.vkey, signatures.ED25519) if options.vkey else None
        witnesses = [signatures.key(each, signatures.COSIGNATURE) for each in options.witnesses]
    except BadNote as why:
        raise BadOption(str(why)) from why
    if len({each.public for each in witnesses}) < len(witnesses):
        raise BadOption("Each witness counts once: two of the keys are the same.")
    quorum = len(witnesses) if options.quorum is None else options.quorum
    if not 0 <= quorum <= len(witnesses):
        raise BadOption("A quorum is not larger than the number of witnesses.")
    memory = Memory(options.state) if options.state else None
    return _Given(key, witnesses, quorum, memory, options.log_only)


def _verify(target: Target, given: _Given, report: Report) -> None:
    target.begin(report)
    known = _Known(report, given.key)
    raw = target.note()
    if raw is not None:
        _signed(target, raw, given, known, report)
    _recalled(given, known, report)
    with Notebook() as notebook:
        beside = None if given.log_only else _beside(target, notebook, report)
        handlers = beside.handlers() if beside else {}
        reading = Pass(report, notebook, target, target.size, handlers)
        marks = merge(_marks(known), target.marks(report, known.key), key=attrgetter("size"))

        def at_mark(mark: Mark, mine: bytes | None, other: bytes | None) -> None:
            _compare(mark, mine, other, known, reading.count)

        reading.run(target.rows(), marks, at_mark)
        reading.blame(rows=known.rows, stored=known.stored)
        if target.size > reading.count:
            report.differs("log_head", "one", "size", f"at most {reading.count}", target.size)
        if beside is not None:
            beside.compare(reading.count)
    if isinstance(target, Remote):
        _continued(target, known, report)
    if isinstance(target, database.Database) and not given.log_only:
        _damaged(target, report)
        Folds(target, report).compare()
    if known.checkpoint is None:
        report.unchecked = "There is no checkpoint: nothing that is signed vouches for these rows."
    elif given.memory is not None and not report.found:
        _remember(given.memory, known.checkpoint, known.note)


def _beside(
    target: Target, notebook: Notebook, report: Report
) -> Beside | Bytes | Documents | None:
    """Return what holds against the log whatever lies beside it."""
    match target:
        case database.Database():
            return Beside(target, notebook, report)
        case Archive():
            return Bytes(target, notebook, report)
        case Remote():
            return Documents(target, notebook, report)
    return None


def _signed(target: Target, raw: bytes, given: _Given, known: _Known, report: Report) -> None:
    """Check who signed the checkpoint, and cosigned it."""
    try:
        signed = signatures.note(raw)
        said = signatures.checkpoint(signed)
    except BadNote as why:
        report.differs(CHECKPOINT, "", "", "a signed checkpoint", why)
        return
    known.checkpoint, known.note = said, raw
    report.signed, report.origin, report.size = True, said.origin, said.size
    report.root = _root(said.root)
    report.pinned = given.key is not None
    place = f"size {said.size}"
    try:
        own = target.vkey()
        if known.key is None:
            report.note(NOT_PINNED if own else NO_KEY)
            known.key = signatures.key(own, signatures.ED25519) if own else None
        elif own is not None:
            report.expect(CHECKPOINT, place, "vkey of the target", str(known.key), own)
        if known.key is not None:
            report.key = str(known.key)
            report.expect(CHECKPOINT, place, "origin", known.key.name, said.origin)
            if not signed.signed_by(known.key):
                by = f"of {known.key}"
                report.differs(CHECKPOINT, place, "signature", by, "none of it")
        report.witnesses = [w.name for w in given.witnesses if signed.signed_by(w)]
    except BadNote as why:
        report.differs(CHECKPOINT, place, "signature", "a valid one", why)
    if len(report.witnesses) < given.quorum:
        wanted = f"{given.quorum} of {len(given.witnesses)}"
        report.differs(CHECKPOINT, place, "cosignatures", wanted, len(report.witnesses))


def _recalled(given: _Given, known: _Known, report: Report) -> None:
    """Recall what was verified last, and tell a log that has become shorter since."""
    if given.memory is None:
        return
    origin = known.checkpoint.origin if known.checkpoint else known.key and known.key.name
    known.remembered = given.memory.of(origin) if origin else None
    if known.remembered is None:
        report.note("Nothing was remembered of this log yet: it is met for the first time.")
        return
    size = known.checkpoint.size if known.checkpoint else 0
    if size < known.remembered.size:
        least = f"at least {known.remembered.size}, as was verified before"
        report.differs(CHECKPOINT, origin, "size (rollback)", least, size)


def _marks(known: _Known) -> Iterator[Mark]:
    found = []
    if known.checkpoint is not None:
        found.append(Mark(known.checkpoint.size, SIGNED, known.checkpoint.root))
    if known.remembered is not None:
        found.append(Mark(known.remembered.size, REMEMBERED, known.remembered.root))
    yield from sorted(found)


def _compare(mark: Mark, mine: bytes | None, other: bytes | None, known: _Known, rows: int) -> None:
    """Hold the root of the rows and that of the stored hashes against one that somebody knows."""
    place, report = f"size {mark.size}", known.report
    if mine is None or other is None:
        if mark.whose == KEPT:
            report.differs("log_checkpoints", place, "size", f"at most {rows}", mark.size)
        elif mark.whose == SIGNED:
            report.differs(EVENTS, f"positions {rows + 1} to {mark.size}", "", "rows", "none")
    elif mark.whose == KEPT:
        if mark.root not in (mine, other):
            report.differs("log_checkpoints", place, "root", _root(mine), _root(mark.root))
    elif mark.whose == REMEMBERED:
        if mine != mark.root:
            wanted = f"{_root(mark.root)}, as was verified before"
            report.differs(CHECKPOINT, place, "root (fork)", wanted, _root(mine))
    else:
        known.rows, known.stored = mine == mark.root, other == mark.root
        if not known.rows:
            span = f"positions 1 to {mark.size}"
            report.differs(EVENTS, span, "root", _root(mark.root), _root(mine))
        if not known.stored:
            report.differs(TILES, f"tree of {place}", "root", _root(mark.root), _root(other))


def _root(root: bytes) -> str:
    """Return a root as a checkpoint writes it."""
    return base64.b64encode(root).decode()


def _continued(target: Remote, known: _Known, report: Report) -> None:
    """Ask a server to prove that its log continues what was verified before."""
    old, new = known.remembered, known.checkpoint
    if old is None or new is None or not 0 < old.size <= new.size:
        return
    report.count("consistency proofs")
    proof = target.proof(old.size, new.size)
    if not contains(old.size, old.root, new.size, new.root, proof):
        place = f"{old.size} to {new.size}"
        report.differs("consistency", place, "proof", "one that holds", f"{len(proof)} hashes")


def _damaged(target: database.Database, report: Report) -> None:
    for found in target.damages():
        report.differs("file", "", "integrity", "ok", found)


def _remember(memory: Memory, checkpoint: Checkpoint, raw: bytes) -> None:
    kept = Remembered(checkpoint.size, checkpoint.root, raw.decode())
    memory.remember(checkpoint.origin, kept)
