"""What did the gates find, by which gate, and why?  gate-verdict-v1.

The verdict is the one that the page shows; where a source stated it, the document says so.
"""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from pydantic import Field

from projections.contracts.document import Document, GateId, Links, Moment, Status, Uuid, View

DEFINITIONS: Final = {
    "UNVERIFIED": (
        "No gate has settled this record. It stands on its sources alone; a score or a number of "
        "claims cannot make it verified."
    ),
    "VERIFIED": (
        "Gate 2 passed: a formal proof type-checks, or a sealed run reproduced the reported figure "
        "within the stated tolerance. It says nothing about claims that were not run."
    ),
    "FALSIFIED": (
        "A gate failed: the claim that was tested did not hold in that test. The evidence is "
        "published with the evaluations, dissent included."
    ),
}
ENFORCEMENT: Final = (
    "The status is computed from the evaluations in the log and never set by hand: VERIFIED needs "
    "a passed evaluation with its artifacts attached, FALSIFIED the evidence of the failure. A "
    "stated verdict is that of a source, and the ledger has not checked it."
)


class GateVerdict(Document):
    """The gate verdict on a record's current submission."""

    NAME: ClassVar[str] = "gate-verdict-v1"
    FILE: ClassVar[str] = "gate-verdict.json"

    schema_version: Literal["1"]
    contract_version: Literal["gate-verdict-v1"]
    status: Status
    label: str
    definition: str = Field(description="What the status means, and what it does not.")
    reason: str
    reason_code: Literal[
        "not-attempted",
        "predates-activation",
        "inconclusive",
        "withdrawn",
        "evaluator-error",
        "passed",
        "failed",
        "not-applicable",
    ]
    evaluated_at: Moment | None = Field(
        description="null: nothing was evaluated, or its source did not say when."
    )
    gate: str = Field(description="The gate that the verdict is shown under.")
    gate_id: GateId
    decided_by: GateId | None = Field(description="The gate that decided; null: none has.")
    evaluation_id: Uuid | None
    basis: Literal["checked", "stated", "derived"]
    enforcement: str
    evaluation_count: int = Field(ge=0, description="All that there are, those set aside too.")
    evaluations_url: str = Field(json_schema_extra={"format": "uri"})


def gate_verdict(view: View, links: Links) -> GateVerdict:
    """Return the gate verdict of a record."""
    told = view["verdict"]
    return GateVerdict.made(
        view,
        links,
        status=told["status"],
        label=told["label"],
        definition=DEFINITIONS[told["status"]],
        reason=told["reason"]["text"],
        reason_code=told["reason"]["code"],
        evaluated_at=told["evaluated_at"],
        gate=told["gate_label"],
        gate_id=told["gate"],
        decided_by=told["decided_by"],
        evaluation_id=told["evaluation_id"],
        basis=told["basis"],
        enforcement=ENFORCEMENT,
        evaluation_count=len(view["evaluations"]),
        evaluations_url=links.evaluations,
    )
