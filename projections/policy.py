"""Which tier, level and dimensions follow from a record?  The versioned derivation rules.

Total functions: every input has an answer.  A version that was ever in force is never edited.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Final, NamedTuple

from ledger.vocabulary import PolicyVersion, Status


class Tier(StrEnum):
    """The quality tiers of quality-tiers-v1."""

    FLAGSHIP_CANDIDATE = "FLAGSHIP_CANDIDATE"
    DOI_GRADE = "DOI_GRADE"
    PUBLIC_RECORD = "PUBLIC_RECORD"
    WATCHLIST = "WATCHLIST"
    QUARANTINE_CANDIDATE = "QUARANTINE_CANDIDATE"

    @property
    def label(self) -> str:
        """How the tier is written for people."""
        words = self.value.split("_")
        first = words[0] if words[0] == "DOI" else words[0].capitalize()
        return " ".join([first, *(word.lower() for word in words[1:])])


class Level(IntEnum):
    """The verification ladder of verification-levels-v1."""

    UNASSESSED = 0
    LITERATURE_SYNTHESIS = 1
    SOURCE_GROUNDED = 2
    CROSS_SOURCE_CORROBORATED = 3
    ARTIFACT_INSPECTED = 4
    SANDBOX_EXECUTED = 5
    INDEPENDENTLY_REPRODUCED = 6
    EXTERNALLY_REVIEWED_OR_FORMALLY_VERIFIED = 7


LEVEL_LABELS: Final = {
    Level.UNASSESSED: "Not assessed",
    Level.LITERATURE_SYNTHESIS: "Literature synthesis",
    Level.SOURCE_GROUNDED: "Source-grounded claims",
    Level.CROSS_SOURCE_CORROBORATED: "Cross-source corroborated claims",
    Level.ARTIFACT_INSPECTED: "Artifact inspected",
    Level.SANDBOX_EXECUTED: "Sandbox executed",
    Level.INDEPENDENTLY_REPRODUCED: "Independently reproduced",
    Level.EXTERNALLY_REVIEWED_OR_FORMALLY_VERIFIED: "Externally reviewed or formally verified",
}


class Grade(StrEnum):
    """The level of a quality dimension."""

    UNASSESSED = "UNASSESSED"
    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"


DIMENSIONS: Final = {
    "evidence_strength": "Evidence strength",
    "citation_grounding": "Citation grounding",
    "numerical_consistency": "Numerical consistency",
    "benchmark_validity": "Benchmark validity",
    "novelty": "Novelty",
    "uncertainty_disclosure": "Uncertainty disclosure",
    "reproducibility_status": "Reproducibility status",
    "safety_impact": "Safety impact",
}
"""The eight dimensions of quality-dimensions-v1, with their names for people."""

FLAGSHIP_SCORE: Final = Decimal("8.5")
FLAGSHIP_CLAIMS: Final = 5
DOI_SCORE: Final = Decimal("7.5")
DOI_CLAIMS: Final = 1
PUBLIC_SCORE: Final = Decimal("6.5")
PUBLIC_CLAIMS: Final = 5
QUARANTINE_SCORE: Final = Decimal(5)


class Inputs(NamedTuple):
    """Everything that a policy may look at; None means not known.

    ``status`` is the verdict that counts under the policy; ``formal`` and ``sandbox`` tell whether
    a counting, passed evaluation of that method exists; ``bundled`` whether a proof source, or
    script and results, are attached with digests.
    """

    score: Decimal | None = None
    grounded: int | None = None
    verified: int | None = None
    corroborated: int | None = None
    inspected: int | None = None
    reproduced: int | None = None
    registered: bool = False
    status: Status = Status.UNVERIFIED
    formal: bool = False
    sandbox: bool = False
    bundled: bool = False


class Derived(NamedTuple):
    """What a policy says of a record."""

    tier: Tier
    basis: str
    level: Level
    dimensions: dict[str, Grade]


def derive(policy: PolicyVersion, inputs: Inputs) -> Derived:
    """Return what the named policy version derives; total over all inputs."""
    return _POLICIES[policy](inputs)


def _v1(given: Inputs) -> Derived:
    """Derive as the published record pages do, weaknesses included."""
    # The pages print the grounded count as "verified claims" too; v1 reads what they print.
    claims = given.verified if given.verified is not None else given.grounded or 0
    grades = dict.fromkeys(DIMENSIONS, Grade.UNASSESSED)
    strong = given.score is not None and given.score >= DOI_SCORE
    grades["evidence_strength"] = Grade.MEDIUM if strong else Grade.LOW
    if given.grounded or given.verified:
        grades["citation_grounding"] = Grade.MEDIUM
    grades["uncertainty_disclosure"] = Grade.MEDIUM
    grades["reproducibility_status"] = Grade.HIGH if given.registered else Grade.MEDIUM
    level = Level.SOURCE_GROUNDED if given.grounded else Level.LITERATURE_SYNTHESIS
    tier, basis = _v1_tier(given.score, claims, grades["reproducibility_status"])
    return Derived(tier, basis, level, grades)


def _v1_tier(score: Decimal | None, claims: int, reproducibility: Grade) -> tuple[Tier, str]:
    if score is None:
        return Tier.WATCHLIST, "There is no review score yet."
    if score < QUARANTINE_SCORE:
        return Tier.QUARANTINE_CANDIDATE, f"The review score {score} is below 5."
    if score >= FLAGSHIP_SCORE and claims >= FLAGSHIP_CLAIMS and reproducibility is Grade.HIGH:
        return (
            Tier.FLAGSHIP_CANDIDATE,
            (
                f"The review score {score}, {claims} claims and high reproducibility "
                "reach the flagship bar."
            ),
        )
    if score >= DOI_SCORE and claims >= DOI_CLAIMS:
        return Tier.DOI_GRADE, f"The review score {score} and {claims} claims reach the DOI bar."
    return Tier.WATCHLIST, f"The review score {score} with {claims} claims is below the DOI bar."


def _v2(given: Inputs) -> Derived:
    """Derive from checked evidence: a falsification caps, a DOI proves nothing, no gap is left."""
    falsified = given.status is Status.FALSIFIED
    grades = dict.fromkeys(DIMENSIONS, Grade.UNASSESSED)
    if given.score is not None:
        strong = given.score >= DOI_SCORE and not falsified
        grades["evidence_strength"] = Grade.MEDIUM if strong else Grade.LOW
    if given.grounded:
        grades["citation_grounding"] = Grade.MEDIUM
    if falsified or given.sandbox:
        grades["numerical_consistency"] = Grade.LOW if falsified else Grade.MEDIUM
    grades["reproducibility_status"] = _v2_reproducibility(given)
    tier, basis = _v2_tier(given, grades["reproducibility_status"])
    return Derived(tier, basis, _v2_level(given), grades)


def _v2_reproducibility(given: Inputs) -> Grade:
    if given.status is Status.FALSIFIED:
        return Grade.LOW
    if given.status is Status.VERIFIED and given.bundled:
        return Grade.HIGH
    return Grade.MEDIUM if given.bundled else Grade.UNASSESSED


def _v2_tier(  # noqa: PLR0911 - one return a rung
    given: Inputs, reproducibility: Grade
) -> tuple[Tier, str]:
    score, claims = given.score, given.verified or 0
    if score is None:
        return Tier.WATCHLIST, "There is no review score yet."
    if score < QUARANTINE_SCORE:
        return Tier.QUARANTINE_CANDIDATE, f"The review score {score} is below 5."
    if given.status is Status.FALSIFIED:
        return Tier.WATCHLIST, "A gate falsified the record, which caps its tier."
    if score >= FLAGSHIP_SCORE and claims >= FLAGSHIP_CLAIMS and reproducibility is Grade.HIGH:
        return (
            Tier.FLAGSHIP_CANDIDATE,
            (
                f"The review score {score}, {claims} verified claims and a verified, attached "
                "reproduction reach the flagship bar."
            ),
        )
    if score >= DOI_SCORE and claims >= DOI_CLAIMS:
        return (
            Tier.DOI_GRADE,
            f"The review score {score} and {claims} verified claims reach the DOI bar.",
        )
    if score >= PUBLIC_SCORE and claims >= PUBLIC_CLAIMS:
        return (
            Tier.PUBLIC_RECORD,
            f"The review score {score} and {claims} verified claims keep the publication rule.",
        )
    return (
        Tier.WATCHLIST,
        f"The review score {score} with {claims} verified claims is below the bars.",
    )


def _v2_level(given: Inputs) -> Level:
    # A count is a statement: from L5 on, an evaluation that the ledger checked has to be behind it.
    base = Level.SOURCE_GROUNDED if given.grounded else Level.LITERATURE_SYNTHESIS
    if given.status is Status.FALSIFIED:
        return base
    rungs = (
        (Level.EXTERNALLY_REVIEWED_OR_FORMALLY_VERIFIED, given.formal),
        (Level.INDEPENDENTLY_REPRODUCED, given.sandbox and given.reproduced),
        (Level.SANDBOX_EXECUTED, given.sandbox),
        (Level.ARTIFACT_INSPECTED, given.inspected),
        (Level.CROSS_SOURCE_CORROBORATED, given.corroborated),
    )
    return next((level for level, reached in rungs if reached), base)


_POLICIES: Final[dict[PolicyVersion, Callable[[Inputs], Derived]]] = {
    PolicyVersion.V1: _v1,
    PolicyVersion.V2: _v2,
}
