"""Which tier follows from score, claims and reproducibility, and by which rule?  quality-tiers-v1.

The thresholds are those of the policy that the record is shown under, tried from the first on.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from projections.contracts.document import (
    Count,
    Document,
    Grade,
    Links,
    Part,
    PolicyName,
    Shown,
    TierName,
    View,
    artifact_types,
)
from projections.policy import (
    DOI_CLAIMS,
    DOI_SCORE,
    FLAGSHIP_CLAIMS,
    FLAGSHIP_SCORE,
    PUBLIC_CLAIMS,
    PUBLIC_SCORE,
    QUARANTINE_SCORE,
    Tier,
)

ScoreNumber = Annotated[float, Field(ge=0, le=10)]

ENFORCEMENT: Final = (
    "The tier is derived by the named policy version and never set by hand. A tier marked as "
    "stated is that of a source page which gives no score to derive one from."
)
LIMITATIONS: Final = (
    (
        "A tier sorts records by review score, claim counts and reproducibility; it does not say "
        "that a record is true."
    ),
    (
        "The three counters are different things: extracted, source-grounded and independently "
        "verified. null means that a count is not known."
    ),
)
_BY_POLICY: Final = {
    "v1": (
        "Policy v1 lets the source-grounded count stand in where no verified count is known.",
        (
            "Policy v1 pays no heed to a falsification, takes a registered DOI for high "
            "reproducibility, and never gives PUBLIC_RECORD."
        ),
    ),
    "v2": ("Policy v2 counts only evaluations that the ledger has checked.",),
}


class TierInputs(Part):
    """What the tier was derived from."""

    review_score: ScoreNumber | None = Field(description="null: there is no score.")
    verified_claim_count: Count | None = Field(description="Independently verified claims.")
    source_grounded_claim_count: Count | None
    extracted_claim_count: Count | None
    artifact_types: tuple[str, ...]
    reproducibility_level: Grade


class Threshold(Part):
    """One rule: the tier that it gives when all that it names holds; null asks for nothing."""

    tier: TierName
    label: str
    rule: str
    review_score_min: ScoreNumber | None
    review_score_below: ScoreNumber | None
    claims_min: Count | None
    reproducibility_level: Grade | None
    falsified: bool | None


class QualityTiers(Document):
    """The quality tier of a record, with its inputs and the rules, tried from the first on."""

    NAME: ClassVar[str] = "quality-tiers-v1"
    FILE: ClassVar[str] = "quality-tiers.json"

    schema_version: Literal["1"]
    contract_version: Literal["quality-tiers-v1"]
    tier: TierName
    label: str
    basis: str
    source: Shown
    policy_version: PolicyName
    inputs: TierInputs
    thresholds: tuple[Threshold, ...]
    enforcement: str
    limitations: tuple[str, ...]


def quality_tiers(view: View, links: Links) -> QualityTiers:
    """Return the quality tier of a record."""
    told, claims, policy = view["tier"], view["claims"], view["policy"]["version"]
    mean = view["review"]["mean"] if view["review"] else None
    return QualityTiers.made(
        view,
        links,
        tier=told["tier"],
        label=told["label"],
        basis=told["basis"],
        source=told["source"],
        policy_version=policy,
        inputs={
            "review_score": None if mean is None else float(mean),
            "verified_claim_count": claims["verified"],
            "source_grounded_claim_count": claims["grounded"],
            "extracted_claim_count": claims["extracted"],
            "artifact_types": artifact_types(view),
            "reproducibility_level": view["dimensions"]["reproducibility_status"]["level"],
        },
        thresholds=THRESHOLDS[policy],
        enforcement=ENFORCEMENT,
        limitations=LIMITATIONS + _BY_POLICY[policy],
    )


def _threshold(tier: Tier, rule: str, **asked: Any) -> Threshold:
    nothing = dict.fromkeys(set(Threshold.model_fields) - {"tier", "label", "rule"})
    known = {"tier": tier.value, "label": tier.label, "rule": rule}
    return Threshold.model_validate(nothing | known | asked)


_QUARANTINE: Final = _threshold(
    Tier.QUARANTINE_CANDIDATE,
    f"The review score is below {QUARANTINE_SCORE}.",
    review_score_below=float(QUARANTINE_SCORE),
)
_FLAGSHIP: Final = _threshold(
    Tier.FLAGSHIP_CANDIDATE,
    f"The review score is {FLAGSHIP_SCORE} or more, with {FLAGSHIP_CLAIMS} claims or more and "
    "high reproducibility.",
    review_score_min=float(FLAGSHIP_SCORE),
    claims_min=FLAGSHIP_CLAIMS,
    reproducibility_level="HIGH",
)
_DOI: Final = _threshold(
    Tier.DOI_GRADE,
    f"The review score is {DOI_SCORE} or more, with {DOI_CLAIMS} claim or more.",
    review_score_min=float(DOI_SCORE),
    claims_min=DOI_CLAIMS,
)
_OTHERWISE: Final = _threshold(Tier.WATCHLIST, "No rule before this one applies.")

THRESHOLDS: Final[dict[str, tuple[Threshold, ...]]] = {
    "v1": (_QUARANTINE, _FLAGSHIP, _DOI, _OTHERWISE),
    "v2": (
        _QUARANTINE,
        _threshold(Tier.WATCHLIST, "A gate falsified the record.", falsified=True),
        _FLAGSHIP,
        _DOI,
        _threshold(
            Tier.PUBLIC_RECORD,
            f"The review score is {PUBLIC_SCORE} or more, with {PUBLIC_CLAIMS} claims or more.",
            review_score_min=float(PUBLIC_SCORE),
            claims_min=PUBLIC_CLAIMS,
        ),
        _OTHERWISE,
    ),
}
"""The rules of each policy version, as :mod:`projections.policy` applies them."""
