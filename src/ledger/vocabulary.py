"""What kinds of value does the ledger speak of?  Parsed once at the door, trusted everywhere after.

Scalar types only: identifiers, texts, moments, exact figures and the closed lists of the trade.
This room must never do I/O, and it is the only one that reads the clock or makes identifiers.
"""

from __future__ import annotations

import os
import re
import threading
import time
import unicodedata
import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Final

import uuid_utils
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)

HANDLE_PREFIX: Final = "SRCH:"
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST_DAY: Final = date(1600, 1, 1)
RANDOM_STOCK: Final = 4_096
FIGURE_DIGITS_MAX: Final = 60
FIGURE_EXPONENT_MAX: Final = 400

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})\Z"
)
_DECIMAL = re.compile(r"-?[0-9]{1,60}([.][0-9]{1,60})?([eE][+-]?[0-9]{1,3})?\Z")
_NO_FIGURE = 'is not a decimal figure as text, such as "8.10"'
_PLAIN_FIGURE = r"^-?[0-9]{1,30}([.][0-9]{1,30})?$"
_CANONICAL_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_DOI = re.compile(r"10\.[0-9]{4,9}/[!-~]+\Z")
# Controls and lone surrogates (categories Cc and Cs) cannot be shown or stored faithfully.
# A line ends at the separators of Unicode, too.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_CONTROLS_IN_PROSE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")

# Letters and marks to Unicode, but nothing to the eye.
_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")


def now() -> datetime:
    """Return the present moment in UTC; the one place where the clock is read."""
    return EPOCH + timedelta(microseconds=time.time_ns() // 1_000)


def derived_id(name: str) -> str:
    """Return the id that follows from a name: a UUIDv5 (RFC 9562), always the same one."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, name))


def new_record_id() -> str:
    """Return a fresh record id: a UUIDv7 (RFC 9562), so that ids sort by when they were made."""
    return str(uuid_utils.uuid7())


def new_handle(digits: int = 8) -> str:
    """Return a random handle of ``digits`` hex digits, as ``SRCH:B0E046B6``; not yet reserved."""
    return HANDLE_PREFIX + random_bytes((digits + 1) // 2).hex()[:digits].upper()


class _Stock(threading.local):
    """Random bytes of the operating system that a thread has drawn and not used."""

    drawn = b""


_stock = _Stock()


def _forget_stock() -> None:
    _stock.drawn = b""


# A process and its child must never use the same bytes.
os.register_at_fork(after_in_child=_forget_stock)


def random_bytes(count: int) -> bytes:
    """Return up to 4,096 fresh random bytes fit for secrets, each given out once.

    They are drawn in stock: whoever asks the operating system lets go of the interpreter for that
    long, and then waits until the other threads let go of it again.
    """
    if len(_stock.drawn) < count:
        _stock.drawn = os.urandom(RANDOM_STOCK)
    taken, _stock.drawn = _stock.drawn[:count], _stock.drawn[count:]
    return taken


def moment_text(moment: datetime) -> str:
    """Return the one wire form of a moment: RFC 3339 in UTC with six decimals and ``Z``."""
    plain = moment.astimezone(UTC).replace(tzinfo=None)
    return f"{plain.isoformat(timespec='microseconds')}Z"


def _clean(text: str, controls: re.Pattern[str]) -> str:
    # What can be printed whole holds none, and that is told sooner.
    if not text.isprintable() and (found := controls.search(text)) is not None:
        message = f"contains the control character U+{ord(found[0]):04X}"
        raise ValueError(message)
    # ASCII first: nearly every text shows something there.
    if not text.strip() or not (text.isascii() or any(map(_shows, text))):
        message = "is blank"
        raise ValueError(message)
    return text


def _shows(character: str) -> bool:
    """Whether a character leaves a mark: no white space, format character or filler."""
    category = unicodedata.category(character)
    return category[0] != "Z" and category not in {"Cc", "Cf"} and character not in _FILLERS


def _line(text: str) -> str:
    return _clean(text, _CONTROLS)


def _prose(text: str) -> str:
    return _clean(text, _CONTROLS_IN_PROSE)


def _uuid(text: str) -> str:
    if not _CANONICAL_UUID.match(text):
        message = "is not a UUID in its canonical lower-case form"
        raise ValueError(message)
    return text


def _doi(text: str) -> str:
    # DOI names are case-insensitive (DOI Handbook 2.4): one spelling is kept, so that uniqueness
    # means something.
    folded = text.lower()
    if not _DOI.match(folded):
        message = "is not a DOI such as 10.5281/zenodo.21147963"
        raise ValueError(message)
    return folded


def _day(given: object) -> object:
    # A day is written as one: a bare number would be taken for seconds since 1970.
    if isinstance(given, str) and not _DAY.match(given):
        message = "is not a day of the form 2026-07-02"
        raise ValueError(message)
    return date.fromisoformat(given) if isinstance(given, str) else given


def _instant(given: object) -> object:
    if isinstance(given, str) and not _INSTANT.match(given):
        message = "is not a moment of the form 2026-07-02T03:48:27.951721Z"
        raise ValueError(message)
    return datetime.fromisoformat(given) if isinstance(given, str) else given


def _exact(given: object) -> object:
    # A JSON number has lost its digits by the time it is read: 8.10 has become 8.1.
    if isinstance(given, float):
        raise ValueError(_NO_FIGURE)  # noqa: TRY004 - pydantic reports ValueError
    return _figure(str(given)) if isinstance(given, str | Decimal) else given


@lru_cache(maxsize=4_096)  # the texts of scores are few, and read over and over
def _figure(text: str) -> Decimal:
    if not _DECIMAL.match(text):
        raise ValueError(_NO_FIGURE)
    figure = Decimal(text)
    _sign, digits, exponent = figure.as_tuple()
    if len(digits) > FIGURE_DIGITS_MAX or abs(int(exponent)) > FIGURE_EXPONENT_MAX:
        bounds = f"{FIGURE_DIGITS_MAX} digits or an exponent beyond {FIGURE_EXPONENT_MAX}"
        message = f"has more than {bounds}"
        raise ValueError(message)
    return figure


def _utc(moment: datetime) -> datetime:
    try:
        moment = moment.astimezone(UTC)
    except OverflowError as overflow:
        message = "is outside the calendar"
        raise ValueError(message) from overflow
    if moment.date() < EARLIEST_DAY:
        message = f"is before {EARLIEST_DAY.isoformat()}"
        raise ValueError(message)
    return moment


Line = Annotated[str, StringConstraints(min_length=1, max_length=1_000), AfterValidator(_line)]
"""One line of text: 1 to 1,000 characters, no control characters."""

Prose = Annotated[str, StringConstraints(min_length=1, max_length=50_000), AfterValidator(_prose)]
"""A text of 1 to 50,000 characters; of the control characters only newline and tab."""

RecordId = Annotated[
    str, AfterValidator(_uuid), Field(examples=["01980f5e-6c1a-7cc3-9d3f-0a4f5b6c7d8e"])
]
Handle = Annotated[
    str, StringConstraints(pattern=r"^SRCH:[0-9A-F]{8,16}$"), Field(examples=["SRCH:B0E046B6"])
]
Doi = Annotated[str, StringConstraints(max_length=256), AfterValidator(_doi)]
Digest = Annotated[
    str,
    StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$"),
    Field(examples=["sha256:" + "0123456789abcdef" * 4]),
]
ActorId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/+-]{0,127}$")]
MediaType = Annotated[
    str, StringConstraints(max_length=127, pattern=r"^[a-z0-9][a-z0-9.+-]*/[a-z0-9][a-z0-9.+-]*$")
]

Pointer = Annotated[
    str, StringConstraints(max_length=200, pattern=r"^(/([^~/\x00-\x1f\x7f]|~[01])+)+$")
]
"""A member of an event's body as RFC 6901 names it, such as ``/content/abstract/text``."""

Moment = Annotated[
    AwareDatetime,
    BeforeValidator(_instant),
    AfterValidator(_utc),
    PlainSerializer(moment_text, when_used="json"),
]
"""An instant with its time zone, kept in UTC to the microsecond."""

Day = Annotated[date, BeforeValidator(_day), Field(ge=EARLIEST_DAY)]
Count = Annotated[int, Field(ge=0, le=10_000_000)]

Figure = Annotated[
    Decimal,
    Field(allow_inf_nan=False),
    BeforeValidator(_exact),
    WithJsonSchema({"type": "string", "pattern": _PLAIN_FIGURE}, mode="validation"),
]
"""An exact decimal, digits kept as given (``100.0`` stays ``100.0``); a string on the wire."""

Score = Annotated[Figure, Field(ge=0, le=10)]
"""A score from 0 to 10 with its decimals as given."""


class Kind(StrEnum):
    """What sort of research output a record is."""

    SYNTHESIS = "synthesis"
    MATHEMATICAL = "mathematical"
    EMPIRICAL = "empirical"


class ClaimSource(StrEnum):
    """Where the claim counts come from; individual claim records are never public."""

    PARSED = "parsed-source-sections"
    UNSPECIFIED = "not-publicly-specified"


class Gate(StrEnum):
    """A gate of the verification pipeline that an evaluation can belong to."""

    VERIFICATION = "gate-2"
    RED_TEAM = "gate-3"


class Method(StrEnum):
    """How an evaluation was made; each method has its own form of evidence."""

    LEAN4 = "lean4"
    SANDBOX = "sandbox"
    RED_TEAM = "red-team"
    COUNTEREXAMPLE = "counterexample"


class Outcome(StrEnum):
    """What an evaluation found; only ``passed`` and ``failed`` settle anything."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    INVALID_CHECK = "invalid-check"
    EVALUATOR_ERROR = "evaluator-error"
    NOT_APPLICABLE = "not-applicable"


class Status(StrEnum):
    """The public verdict."""

    UNVERIFIED = "UNVERIFIED"
    VERIFIED = "VERIFIED"
    FALSIFIED = "FALSIFIED"


class AttackerRole(StrEnum):
    """The three attackers of the red-team gate."""

    COUNTEREXAMPLE_HUNTER = "COUNTEREXAMPLE_HUNTER"
    CITATION_AUDITOR = "CITATION_AUDITOR"
    REPLICATION_ATTACKER = "REPLICATION_ATTACKER"


class ArtifactRole(StrEnum):
    """What an attached artifact is for."""

    PROOF_SOURCE = "proof-source"
    REPRO_SCRIPT = "repro-script"
    REPRO_RESULTS = "repro-results"
    REPORT = "report"
    COUNTEREXAMPLE = "counterexample"
    DATASET = "dataset"
    OTHER = "other"


class Visibility(StrEnum):
    """Who may fetch an artifact's bytes; its digest is always public."""

    PUBLIC = "public"
    WITHHELD = "withheld"


class CorrectionType(StrEnum):
    """What part of the record a correction concerns (contract correction-record-v1)."""

    METADATA = "METADATA"
    ARTIFACT = "ARTIFACT"
    CLAIM = "CLAIM"
    BENCHMARK = "BENCHMARK"
    PROVENANCE = "PROVENANCE"
    QUALITY_ASSESSMENT = "QUALITY_ASSESSMENT"


class Nature(StrEnum):
    """The nature of a correction: Crossref's twelve update types and reinstatement."""

    ADDENDUM = "addendum"
    CLARIFICATION = "clarification"
    CORRECTION = "correction"
    CORRIGENDUM = "corrigendum"
    ERRATUM = "erratum"
    EXPRESSION_OF_CONCERN = "expression_of_concern"
    NEW_EDITION = "new_edition"
    NEW_VERSION = "new_version"
    PARTIAL_RETRACTION = "partial_retraction"
    REMOVAL = "removal"
    RETRACTION = "retraction"
    WITHDRAWAL = "withdrawal"
    REINSTATEMENT = "reinstatement"


STANDING_NATURES: Final = frozenset(
    {
        Nature.EXPRESSION_OF_CONCERN,
        Nature.PARTIAL_RETRACTION,
        Nature.REMOVAL,
        Nature.RETRACTION,
        Nature.WITHDRAWAL,
    }
)
"""Natures that put the record's standing in doubt until a reinstatement lifts them."""


class Scope(StrEnum):
    """What an API key may do; ``admin`` includes every other scope."""

    SUBMIT = "submit"
    ATTACH = "attach"
    REGISTER = "register"
    CORRECT = "correct"
    EVALUATE_GATE_2 = "evaluate:gate-2"
    EVALUATE_GATE_3 = "evaluate:gate-3"
    ADMIN = "admin"


class AskedBy(StrEnum):
    """In which role somebody asked for an erasure; never who it was."""

    DATA_SUBJECT = "data-subject"
    AUTHOR = "author"
    PUBLISHER = "publisher"
    RIGHTS_HOLDER = "rights-holder"
    AUTHORITY = "authority"
    OPERATOR = "operator"


class PolicyVersion(StrEnum):
    """A version of the rules by which tier, level and dimensions are derived."""

    V1 = "v1"
    V2 = "v2"
