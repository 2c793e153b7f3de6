"""How is a stored word, figure or date written for people?  One place for every label of the pages.

Pure; it never decides what is shown, and never changes what a publisher wrote.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from ledger.content import CENT
from ledger.importing.values import MONTHS
from ledger.web import urls

LINKED_LENGTH_MAX: Final = 2_000
KIBIBYTE: Final = 1024

STATUSES: Final = {"UNVERIFIED": "Unverified", "VERIFIED": "Verified", "FALSIFIED": "Falsified"}
TIERS: Final = {
    "FLAGSHIP_CANDIDATE": "Flagship candidate",
    "DOI_GRADE": "DOI grade",
    "PUBLIC_RECORD": "Public record",
    "WATCHLIST": "Watchlist",
    "QUARANTINE_CANDIDATE": "Quarantine candidate",
}
STANDINGS: Final = {
    "clear": "Clear",
    "under-concern": "Expression of concern",
    "partially-retracted": "Partially retracted",
    "retracted": "Retracted",
    "withdrawn": "Withdrawn",
    "removed": "Removed",
}
CORRECTION_STATES: Final = {
    "CURRENT": "Current",
    "CORRECTED": "Corrected",
    "SUPERSEDED": "Superseded",
}
BASES: Final = {"checked": "Checked by the ledger", "stated": "Stated by the source"}
KINDS: Final = {
    "synthesis": "Synthesis",
    "mathematical": "Mathematical result",
    "empirical": "Empirical result",
}
GATES: Final = {"gate-2": "Gate 2, verification", "gate-3": "Gate 3, red team"}
METHODS: Final = {
    "lean4": "Lean 4 proof",
    "sandbox": "Sealed sandbox",
    "red-team": "Red team",
    "counterexample": "Counterexample",
}
OUTCOMES: Final = {
    "passed": "Passed",
    "failed": "Failed",
    "inconclusive": "Inconclusive",
    "invalid-check": "Invalid check",
    "evaluator-error": "Evaluator error",
    "not-applicable": "Not applicable",
}
REASONS: Final = {
    "not-attempted": "Not attempted",
    "not-applicable": "Not applicable",
    "predates-activation": "Predates the gate",
    "inconclusive": "Inconclusive",
    "withdrawn": "Evaluation withdrawn",
    "evaluator-error": "Evaluator error",
    "passed": "Passed",
    "failed": "Failed",
}
NATURES: Final = {
    "expression_of_concern": "Expression of concern",
    "new_edition": "New edition",
    "new_version": "New version",
    "partial_retraction": "Partial retraction",
    "superseded": "Supersession",
}
CORRECTION_TYPES: Final = {"QUALITY_ASSESSMENT": "Quality assessment"}
CLAIM_SOURCES: Final = {
    "parsed-source-sections": "parsed source sections",
    "not-publicly-specified": "not publicly specified",
}
EVENTS: Final = {
    "record.submitted": "Submitted",
    "record.resubmitted": "Submitted anew",
    "artifact.attached": "Artifact attached",
    "external-record.registered": "Registered outside",
    "review.assessed": "Reviewed",
    "claims.counted": "Claims counted",
    "gate.evaluated": "Gate evaluated",
    "correction.issued": "Corrected",
    "record.superseded": "Superseded",
    "page.imported": "Page imported",
    "payload.erased": "Text erased",
}
ASKERS: Final = {
    "data-subject": "a person whom it was about",
    "author": "an author",
    "publisher": "the publisher",
    "rights-holder": "a holder of rights",
    "authority": "an authority",
    "operator": "the operator of this ledger",
}
"""In which role somebody asked for an erasure."""

CLAIM_COUNTERS: Final = {
    "extracted": "Extracted claims",
    "grounded": "Source-grounded claims",
    "verified": "Independently verified claims",
    "cross_source_corroborated": "Cross-source corroborated",
    "artifact_inspected": "Artifact inspected",
    "sandbox_executed": "Sandbox executed",
    "independently_reproduced": "Independently reproduced",
    "externally_reviewed_or_formally_verified": "Externally reviewed or formally verified",
}
TITLE_PREFIXES: Final = {
    "under-concern": "EXPRESSION OF CONCERN: ",
    "partially-retracted": "PARTIALLY RETRACTED: ",
    "retracted": "RETRACTED: ",
    "withdrawn": "WITHDRAWN: ",
    "removed": "REMOVED: ",
}
"""What is put before a title while the standing is in doubt."""

_WEB_ADDRESS = re.compile(r"https?://[^\s<>\"'`\\]+\Z", re.IGNORECASE)
_DOI = re.compile(r"(?:doi:\s*)?(10\.[0-9]{4,9}/[!-~]+)\Z", re.IGNORECASE)


def plain(code: str) -> str:
    """Return a code as words: ``repro-script`` becomes ``Repro script``."""
    words = re.sub(r"[-_]+", " ", code).strip()
    return words[:1].upper() + words[1:].lower() if words else code


def said(words: dict[str, str], code: str) -> str:
    """Return the label of a code from a list, or the code as words where the list has none."""
    return words.get(code) or plain(code)


def day(iso: str) -> str:
    """Return a day such as ``2026-07-03`` as ``3 July 2026``, anything else as it is."""
    try:
        known = date.fromisoformat(iso)
    except ValueError:
        return iso
    return f"{known.day} {MONTHS[known.month - 1]} {known.year}"


def moment(iso: str) -> str:
    """Return a moment with every digit kept and ``+00:00`` for UTC."""
    return f"{iso[:-1]}+00:00" if iso.endswith("Z") else iso


def score(figure: str) -> str:
    """Return a score with two decimals, halves rounded up."""
    return str(Decimal(figure).quantize(CENT, rounding=ROUND_HALF_UP))


def percent(share: Decimal) -> str:
    """Return a share as a percentage without trailing zeros: 0.050 becomes ``5%``."""
    return f"{(share * 100).normalize():f}%"


def count(number: int, noun: str, nouns: str | None = None) -> str:
    """Return a number with its noun: ``1 record``, ``3 records``."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def size(size_bytes: int) -> str:
    """Return a size in bytes, KiB or MiB."""
    if size_bytes < KIBIBYTE:
        return count(size_bytes, "byte")
    kibibytes = size_bytes / KIBIBYTE
    return f"{kibibytes:.1f} KiB" if kibibytes < KIBIBYTE else f"{kibibytes / KIBIBYTE:.1f} MiB"


def link(text: str | None) -> str | None:
    """Return where a text leads if it is a whole web address or DOI, else None.

    Only http and https are ever linked: a publisher's text must not become a script.
    """
    if text is None or len(text) > LINKED_LENGTH_MAX:
        return None
    if (named := _DOI.match(text)) is not None:
        return urls.doi(named.group(1))
    return text if _WEB_ADDRESS.match(text) else None
