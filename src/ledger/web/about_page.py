"""What does the page about this ledger say that may change?  Gates in force, policies and words.

Pure; the promises themselves stand in the template.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ledger.events import Event
from ledger.in_force import InForce
from ledger.vocabulary import Gate, PolicyVersion
from ledger.web import wording
from ledger.web.fact import Fact, on_day
from projections.policy import LEVEL_LABELS

POLICIES: Final = {
    PolicyVersion.V1: (
        "As the imported pages were published: tier from score and claim count, reproducibility "
        "from having a DOI, level no higher than L2. Its weaknesses are kept, so that an imported "
        "record reads as its source does."
    ),
    PolicyVersion.V2: (
        "Counts checked verdicts only. A falsification caps the tier at the watchlist, a DOI "
        "proves nothing about reproducibility, and the level rises only with attached evidence."
    ),
}
WORDS: Final = (
    Fact("Record", "One research output with everything that was ever said about it here."),
    Fact("Submission", "A version of the record's content; an evaluation is bound to one of them."),
    Fact("Gate", "A check that records pass through; an evaluation is one run of it."),
    Fact(
        "Verdict",
        "What the evaluations that count add up to: unverified, verified or falsified. A later "
        "submission makes earlier evaluations stale; an invalid check withdraws its evaluation.",
    ),
    Fact(
        "Checked and stated",
        "A fact is checked when the ledger saw its evidence and tested it. It is stated when it "
        "was imported from a page that said so.",
    ),
    Fact(
        "Correction",
        "An addition that says what a field said, what it says now, who asserts it and why. "
        "It replaces nothing in the log.",
    ),
    Fact(
        "Standing",
        "Clear, or in doubt by a notice such as a retraction, until a reinstatement lifts it.",
    ),
    Fact("Finding", "A contradiction that a rule detects in what is shown; it judges no research."),
    Fact("Version and position", "A place in the record's own history, and a place in the log."),
    Fact("Recorded and effective", "When the log took a fact in, and from when the fact holds."),
    Fact("Claims", "Extracted, source-grounded and verified are three counters, never one."),
)


@dataclass(frozen=True, slots=True)
class GateRow:
    """A gate and the day on which it went live."""

    label: str
    activated: Fact


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """A policy version, what it does, and the records that it is in force for."""

    version: str
    sentence: str
    applies_to: str


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of event that the log holds."""

    type: str
    label: str
    sentence: str


@dataclass(frozen=True, slots=True)
class AboutPage:
    """Everything that the template may use."""

    gates: tuple[GateRow, ...]
    policies: tuple[PolicyRow, ...]
    levels: tuple[Fact, ...]
    words: tuple[Fact, ...]
    kinds: tuple[Kind, ...]


def build(in_force: InForce, kinds: tuple[type[Event], ...]) -> AboutPage:
    """Return the page under what is in force; ``kinds`` are the events that the log can hold."""
    return AboutPage(
        gates=tuple(_gate(in_force, gate) for gate in Gate),
        policies=tuple(_policy(in_force, version) for version in PolicyVersion),
        levels=tuple(Fact(f"L{int(n)}", label) for n, label in LEVEL_LABELS.items()),
        words=WORDS,
        kinds=tuple(
            Kind(
                kind.TYPE,
                wording.said(wording.EVENTS, kind.TYPE),
                " ".join((kind.__doc__ or "").split()),
            )
            for kind in kinds
        ),
    )


def _gate(in_force: InForce, gate: Gate) -> GateRow:
    activation = in_force.gates.get(gate)
    day = activation.activated_on.isoformat() if activation else None
    return GateRow(in_force.label(gate), on_day("Active in this ledger since", day, "not in force"))


def _policy(in_force: InForce, version: PolicyVersion) -> PolicyRow:
    held = [basis for basis in ("checked", "stated") if in_force.policy(basis) is version]
    applies = " and ".join(held)
    return PolicyRow(
        version.value,
        POLICIES[version],
        f"records whose facts are {applies}" if held else "no records at present",
    )
