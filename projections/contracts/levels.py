"""How far up the ladder of checks is a record, and what holds it there?  verification-levels-v1.

Single claims are never public: the document tells totals, and null where a total is not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from projections.contracts.document import (
    Count,
    Document,
    Links,
    Part,
    PolicyName,
    View,
    artifact_types,
)
from projections.policy import LEVEL_LABELS, Level

Rung = Annotated[int, Field(ge=0, le=7)]

DEFINITIONS: Final = {
    Level.UNASSESSED: "Nothing was assessed.",
    Level.LITERATURE_SYNTHESIS: "The record draws on literature; no claim is known to be grounded.",
    Level.SOURCE_GROUNDED: "At least one claim was traced to the source it draws on.",
    Level.CROSS_SOURCE_CORROBORATED: "Claims were found in more than one independent source.",
    Level.ARTIFACT_INSPECTED: "Artifacts behind the claims were inspected.",
    Level.SANDBOX_EXECUTED: "A sealed sandbox run reproduced a reported figure.",
    Level.INDEPENDENTLY_REPRODUCED: "Somebody else reproduced claims of the record.",
    Level.EXTERNALLY_REVIEWED_OR_FORMALLY_VERIFIED: (
        "A formal proof type-checks, or reviewers from outside confirmed claims."
    ),
}
NEEDS: Final = {
    Level.LITERATURE_SYNTHESIS: "Needs a submission.",
    Level.SOURCE_GROUNDED: "Needs a claim that is counted as source-grounded.",
    Level.CROSS_SOURCE_CORROBORATED: "Needs claims that are counted as corroborated.",
    Level.ARTIFACT_INSPECTED: "Needs claims that are counted as artifact-inspected.",
    Level.SANDBOX_EXECUTED: "Needs a checked sandbox run that passed and counts.",
    Level.INDEPENDENTLY_REPRODUCED: (
        "Needs a checked sandbox run that passed and counts, and claims that are counted as "
        "independently reproduced."
    ),
    Level.EXTERNALLY_REVIEWED_OR_FORMALLY_VERIFIED: (
        "Needs a checked Lean 4 proof that passed and counts."
    ),
}
_BEYOND_V1: Final = "Policy v1 gives no level above L2."
ENFORCEMENT: Final = (
    "The level is derived by the named policy version and never set by hand; it falls again when "
    "the evidence is withdrawn or a gate falsifies the record."
)
LIMITATIONS: Final = (
    "Single claims are not public, so per_claim_public_records is always empty.",
    (
        "The counters are different things: aggregate_claim_records counts what was extracted, and "
        "source-grounded and verified claims are parts of it. null means that a count is not known."
    ),
    "A count is a statement of whoever counted; the ledger checks evaluations, not counts.",
)


class ClaimSummary(Part):
    """How many claims reached which stage; null where that is not known."""

    source_grounded_claims: Count | None
    aggregate_claim_records: Count | None = Field(description="Extracted claims, as a total.")
    independently_verified_claims: Count | None
    claim_record_source: Literal["parsed-source-sections", "not-publicly-specified"] | None
    per_claim_public_records: Annotated[tuple[str, ...], Field(max_length=0)]
    per_claim_public_record_count: Literal[0]
    cross_source_corroborated_claims: Count | None
    artifact_inspected_claims: Count | None
    sandbox_executed_claims: Count | None
    independently_reproduced_claims: Count | None
    externally_reviewed_or_formally_verified_claims: Count | None


class LevelDefined(Part):
    """One level of the ladder."""

    level: Rung
    key: str
    label: str
    definition: str


class LevelUnsupported(Part):
    """A level above the record's own, and what it needs."""

    level: Rung
    key: str
    label: str
    needs: str


class VerificationLevels(Document):
    """The verification level of a record, with the ladder and what the upper levels need."""

    NAME: ClassVar[str] = "verification-levels-v1"
    FILE: ClassVar[str] = "verification-levels.json"

    schema_version: Literal["1"]
    contract_version: Literal["verification-levels-v1"]
    paper_level: Rung
    paper_level_key: str
    paper_level_label: str
    basis: str
    policy_version: PolicyName
    claim_summary: ClaimSummary
    artifact_types: tuple[str, ...]
    levels: tuple[LevelDefined, ...]
    unsupported_upper_levels: tuple[LevelUnsupported, ...]
    enforcement: str
    limitations: tuple[str, ...]


def verification_levels(view: View, links: Links) -> VerificationLevels:
    """Return the verification level of a record."""
    claims, policy = view["claims"], view["policy"]["version"]
    reached = Level(view["level"]["level"])
    return VerificationLevels.made(
        view,
        links,
        paper_level=reached.value,
        paper_level_key=_key(reached),
        paper_level_label=view["level"]["label"],
        basis=_basis(reached, claims),
        policy_version=policy,
        claim_summary={
            "source_grounded_claims": claims["grounded"],
            "aggregate_claim_records": claims["extracted"],
            "independently_verified_claims": claims["verified"],
            "claim_record_source": claims["source"],
            "per_claim_public_records": (),
            "per_claim_public_record_count": 0,
            **{f"{counter}_claims": claims[counter] for counter in _COUNTERS},
        },
        artifact_types=artifact_types(view),
        levels=[{**_named(level), "definition": DEFINITIONS[level]} for level in Level],
        unsupported_upper_levels=[
            {**_named(level), "needs": _needs(level, policy)} for level in Level if level > reached
        ],
        enforcement=ENFORCEMENT,
        limitations=LIMITATIONS,
    )


_COUNTERS: Final = (
    "cross_source_corroborated",
    "artifact_inspected",
    "sandbox_executed",
    "independently_reproduced",
    "externally_reviewed_or_formally_verified",
)


def _key(level: Level) -> str:
    return f"L{level.value}_{level.name}"


def _named(level: Level) -> dict[str, Any]:
    return {"level": level.value, "key": _key(level), "label": LEVEL_LABELS[level]}


def _needs(level: Level, policy: str) -> str:
    if policy == "v1" and level > Level.SOURCE_GROUNDED:
        return _BEYOND_V1
    return NEEDS[level]


def _basis(level: Level, claims: Mapping[str, Any]) -> str:
    """Return what the level rests on, in a sentence."""
    counted = {
        Level.SOURCE_GROUNDED: ("grounded", "source-grounded"),
        Level.CROSS_SOURCE_CORROBORATED: ("cross_source_corroborated", "corroborated"),
        Level.ARTIFACT_INSPECTED: ("artifact_inspected", "artifact-inspected"),
        Level.INDEPENDENTLY_REPRODUCED: ("independently_reproduced", "independently reproduced"),
    }
    if level <= Level.LITERATURE_SYNTHESIS:
        return "No claim is known to be source-grounded."
    if level is Level.SANDBOX_EXECUTED:
        return "A checked sandbox run that counts passed."
    if level is Level.EXTERNALLY_REVIEWED_OR_FORMALLY_VERIFIED:
        return "A checked Lean 4 proof that counts passed."
    counter, words = counted[level]
    return f"Claims counted as {words}: {claims[counter]}."
