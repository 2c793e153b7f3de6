"""What does a record page look like?  Its sections and labels, and how a line shows them.

This room must never decide what a value means: it only says where a label ends and a value begins.
"""

from __future__ import annotations

import re
from typing import Final

HEADER: Final = "Header"
ABSTRACT: Final = "Abstract"
QUESTION: Final = "Research Question"
LEVEL: Final = "Verification Level"
VERDICT: Final = "Truth-Engine Gate Verdict"
TIER: Final = "Quality Tier"
DIMENSIONS: Final = "Quality Dimensions"
CORRECTIONS: Final = "Correction Record"
PROVENANCE: Final = "Provenance"

LABELS: Final[dict[str, tuple[str, ...]]] = {
    ABSTRACT: (),
    QUESTION: (),
    LEVEL: ("Paper level", "Source-grounded claims", "Claim record source"),
    VERDICT: ("Status", "Gate", "Reason", "Evaluated"),
    TIER: ("Tier", "Basis"),
    DIMENSIONS: (
        "Evidence strength",
        "Citation grounding",
        "Numerical consistency",
        "Benchmark validity",
        "Novelty",
        "Uncertainty disclosure",
        "Reproducibility status",
        "Safety impact",
    ),
    CORRECTIONS: ("Status", "Correction count", "Manifest contract", "Correction contract"),
    PROVENANCE: (
        "Publisher",
        "Public provenance",
        "Report artifact",
        "External record",
        "Claim lineage",
        "Review method",
        "Quality guide",
        "Provenance contract",
        "Note",
    ),
}
"""The sections after the header in the order of the page, each with the labels it can hold."""

HEADER_LABELS: Final = (
    "Submitted",
    "Review score",
    "Verification",
    "Gate status",
    "Quality tier",
    "Verified claims",
    "DOI",
    "Kind",
)
TEXTS: Final = frozenset({ABSTRACT, QUESTION})
LABEL_MAX: Final = 200

_NAVIGATION: Final = frozenset({"Index", "Research", "Verification", "About"})
_LOWER_CASE_VALUES: Final = frozenset(
    {
        "Claim record source",
        "Manifest contract",
        "Correction contract",
        "Provenance contract",
    }
)
_GRADE: Final = r"(?:UNASSESSED|LOW|MEDIUM|HIGH)"
_STATUS: Final = r"(?:Unverified|Verified|Falsified)"
_TIER: Final = r"(?:Flagship candidate|DOI grade|Public record|Watchlist|Quarantine candidate)"
_CONTRACT: Final = r"[a-z-]+-v[0-9.]+"
# A title may begin like a header line ("Verification: a survey"), so its value has to look right.
_HEADER_VALUES: Final = {
    "Submitted": r"[0-9]+ [A-Z][a-z]+ [0-9]+",
    "Review score": r"[0-9.]+/10",
    "Verification": r"L[0-9], .*",
    "Gate status": _STATUS,
    "Quality tier": _TIER,
    "Verified claims": r"[0-9]+",
    "DOI": r".*10\..*",
}
# A line in a place where it does not belong counts as a labelled value only when nothing else fits.
_UNMISTAKABLE: Final = {
    "Status": rf"(?:{_STATUS}|CURRENT|CORRECTED|SUPERSEDED)",
    "Gate": r"Gate [0-9] .*",
    "Tier": _TIER,
    "Evaluated": r"[0-9]{4}-[0-9]{2}-[0-9]{2}T.*",
    "Claim record source": r"(?:parsed source sections|not publicly specified)",
    "Manifest contract": _CONTRACT,
    "Correction contract": _CONTRACT,
    "Provenance contract": _CONTRACT,
    **dict.fromkeys(LABELS[DIMENSIONS], _GRADE),
}
_NEVER_MISPLACED: Final = frozenset({"Reason", "Basis", "Publisher", "Note"})
_ROW: Final = re.compile(r"\s*\|(?P<label>[^|]*)\|(?P<rest>.*)\|\s*\Z")
_HEADER_LINE: Final = re.compile(r"(?P<label>[A-Z][A-Za-z -]{1,40}):(?P<value>.*)\Z", re.DOTALL)
_HEADING: Final = re.compile(r"(?:#{1,6} )?[A-Z][^.!?:;,|\t]{1,59}\Z")


def is_navigation(line: str) -> bool:
    """Whether a line is the site's navigation bar."""
    words = {piece.strip(" \u00a0\u25be\u25bc") for piece in line.split("|")}
    return len(words & _NAVIGATION) > 1


def closes_a_page(label: str | None, value: str) -> bool:
    """Whether a value can be the whole last one of a page, and not the stump of a longer one."""
    if label == "Provenance contract":
        return bool(re.fullmatch(_CONTRACT, value))
    return label == "Note" and value.endswith((".", "!", "?"))


def is_like_a_heading(line: str) -> bool:
    """Whether a line could head a section that this program does not know."""
    return bool(_HEADING.match(line.strip()))


def row(line: str) -> tuple[str, str] | None:
    """Return label and value of a table row, either may be empty; None for any other line."""
    found = _ROW.match(line)
    if found is None:
        return None
    # A row may end in an empty third cell.
    return found["label"].strip(), found["rest"].strip().removesuffix("|").rstrip()


def header_line(line: str) -> tuple[str, str] | None:
    """Return label and value of a ``Label: value`` line, None for any other line."""
    found = _HEADER_LINE.match(line.strip())
    return (found["label"], found["value"].strip()) if found else None


def is_header_value(label: str, value: str) -> bool:
    """Whether a line ``label: value`` can only be one of the header's, and no title."""
    return label in HEADER_LABELS and bool(re.fullmatch(_HEADER_VALUES.get(label, "$^"), value))


def glued(line: str, section: str) -> tuple[str, str] | None:
    """Return label and value of a plain line of this section, whose label is glued to its value."""
    for label in sorted(LABELS.get(section, ()), key=len, reverse=True):
        if line.startswith(label):
            rest = line[len(label) :]
            if section == DIMENSIONS:
                return (label, rest.strip()) if len(rest.split()) == 1 else None
            # "Notes on method" is a sentence; "NoteMachine-generated" is a label and a value.
            word_goes_on = rest[:1].islower() and label not in _LOWER_CASE_VALUES
            if not word_goes_on and not rest[:1].isspace():
                return label, rest if label == "Reason" else rest.strip()
    return None


def misplaced(line: str) -> tuple[str, str] | None:
    """Return label and value of a line that is a labelled value of some section beyond doubt."""
    for section in LABELS:
        found = glued(line, section)
        if found is None or found[0] in _NEVER_MISPLACED or not found[1]:
            continue
        label, value = found
        if re.fullmatch(_UNMISTAKABLE.get(label, ".*"), value, re.DOTALL):
            return found
    return None
