"""How does a record stand in each of eight respects, and by what rule?  quality-dimensions-v1.

Levels are derived from public facts; where nothing was assessed, the document says so.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from projections.contracts.document import (
    Document,
    Grade,
    Links,
    Part,
    PolicyName,
    Shown,
    View,
)
from projections.policy import DOI_SCORE

_DEFINITIONS: Final = {
    "evidence_strength": "How strong the reviewers found the evidence for the record's claims.",
    "citation_grounding": "Whether claims of the record were traced to the sources it cites.",
    "numerical_consistency": "Whether reported figures agree with figures that were recomputed.",
    "benchmark_validity": "Whether the benchmarks measure what the record takes them to measure.",
    "novelty": "Whether the record says what was not said before.",
    "uncertainty_disclosure": "Whether the record says how sure it is of what it says.",
    "reproducibility_status": "Whether others can run again what the record reports.",
    "safety_impact": "What harm the record's results could do or prevent.",
}
INTERPRETATION: Final = (
    "Each level is derived by rule from public facts of the record, under the named policy "
    "version. Nobody reviewed or validated anything to arrive at it, and no numeric score is given."
)
LIMITATIONS: Final = (
    "UNASSESSED means that no rule looks at the dimension for this record, and neither good nor "
    "bad. A level that a source stated is marked so; the ledger has not checked it."
)


class DimensionShown(Part):
    """One dimension: its level, what the level rests on, and what the dimension means."""

    score: Annotated[float, Field(ge=0, le=10)] | None = Field(
        description="null: the ledger gives no numeric score."
    )
    level: Grade
    basis: str
    definition: str
    label: str
    source: Shown


class Dimensions(Part):
    """The eight dimensions."""

    evidence_strength: DimensionShown
    citation_grounding: DimensionShown
    numerical_consistency: DimensionShown
    benchmark_validity: DimensionShown
    novelty: DimensionShown
    uncertainty_disclosure: DimensionShown
    reproducibility_status: DimensionShown
    safety_impact: DimensionShown


class QualityDimensions(Document):
    """The quality dimensions of a record."""

    NAME: ClassVar[str] = "quality-dimensions-v1"
    FILE: ClassVar[str] = "quality-dimensions.json"

    schema_version: Literal["1"]
    contract_version: Literal["quality-dimensions-v1"]
    policy_version: PolicyName
    dimensions: Dimensions
    interpretation: str
    limitations: str


def quality_dimensions(view: View, links: Links) -> QualityDimensions:
    """Return the quality dimensions of a record."""
    return QualityDimensions.made(
        view,
        links,
        policy_version=view["policy"]["version"],
        dimensions={key: _shown(key, told, view) for key, told in view["dimensions"].items()},
        interpretation=INTERPRETATION,
        limitations=LIMITATIONS,
    )


def _shown(key: str, told: dict[str, Any], view: View) -> dict[str, Any]:
    basis = "The source page states it, and gives no score to derive it from."
    if told["source"] == "derived":
        basis = _basis(key, told["level"], view)
    return {**told, "score": None, "basis": basis, "definition": _DEFINITIONS[key]}


def _basis(key: str, level: str, view: View) -> str:
    """Return why a policy gives a dimension its level, in a sentence."""
    policy = view["policy"]["version"]
    if level == "UNASSESSED":
        return f"Nothing that policy {policy} looks at is known for this dimension."
    if key == "evidence_strength":
        return _strength(level, view)
    return _RULES[key, policy, level]


def _strength(level: str, view: View) -> str:
    mean = view["review"]["mean"] if view["review"] else None
    if mean is None:
        return "There is no review score."
    reached = Decimal(mean) >= DOI_SCORE
    if reached and level == "LOW":
        return f"The review score is {mean}, but a gate falsified the record."
    return f"The review score {mean} is {'at least' if reached else 'below'} {DOI_SCORE}."


_RULES: Final = {
    ("citation_grounding", "v1", "MEDIUM"): "Claims are counted as source-grounded or verified.",
    ("citation_grounding", "v2", "MEDIUM"): "Claims are counted as source-grounded.",
    ("numerical_consistency", "v2", "MEDIUM"): "A sandbox run that counts passed.",
    ("numerical_consistency", "v2", "LOW"): "A gate falsified the record.",
    ("uncertainty_disclosure", "v1", "MEDIUM"): "Policy v1 gives every record this level.",
    ("reproducibility_status", "v1", "HIGH"): "An outside record is registered.",
    ("reproducibility_status", "v1", "MEDIUM"): "No outside record is registered.",
    ("reproducibility_status", "v2", "HIGH"): (
        "The record is verified, and a proof source, or script and results, are attached."
    ),
    ("reproducibility_status", "v2", "MEDIUM"): (
        "A proof source, or script and results, are attached; no gate has verified the record."
    ),
    ("reproducibility_status", "v2", "LOW"): "A gate falsified the record.",
}
