"""How does the manifest tell an evaluation?  The shapes of evaluations and of their evidence.

Figures are text, as everywhere in the ledger: a JSON number would lose digits on the way.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from projections.contracts.document import (
    Basis,
    Count,
    Digest,
    Figure,
    GateId,
    Moment,
    Part,
    Uuid,
)


class Tolerance(Part):
    """How far computed may lie from expected."""

    kind: Literal["relative", "absolute"]
    value: Figure


class SandboxRun(Part):
    """A sealed run: what it computed, and what was expected."""

    kind: Literal["sandbox"]
    computed: Figure
    expected: Figure
    tolerance: Tolerance
    script_digest: Digest | None
    results_digest: Digest | None


class LeanRun(Part):
    """A Lean 4 run over a proof source."""

    kind: Literal["lean4"]
    source_digest: Digest | None
    toolchain: str
    exit_code: Count
    axioms: tuple[str, ...]


class Attack(Part):
    """What one attacker reported; one that crashed has an error, and its score does not count."""

    role: Literal["COUNTEREXAMPLE_HUNTER", "CITATION_AUDITOR", "REPLICATION_ATTACKER"]
    score: Figure | None
    finding: str | None
    error: str | None


class Aggregation(Part):
    """How attack scores become an outcome."""

    rule: Literal["mean"]
    threshold: Figure
    quorum: Count


class RedTeam(Part):
    """What the attackers reported, dissent included."""

    kind: Literal["red-team"]
    attacks: tuple[Attack, ...]
    aggregation: Aggregation | None
    mean: Figure | None


class Counterexample(Part):
    """A counterexample to a claim."""

    kind: Literal["counterexample"]
    digest: Digest | None
    cases_tried: Count | None


class Evaluator(Part):
    """The program that evaluated."""

    id: str
    version: str


class Evaluation(Part):
    """One gate evaluation; state says whether it counts for the current submission."""

    evaluation_id: Uuid
    gate: GateId
    method: Literal["lean4", "sandbox", "red-team", "counterexample"] | None
    outcome: Literal[
        "passed", "failed", "inconclusive", "invalid-check", "evaluator-error", "not-applicable"
    ]
    state: Literal["counting", "stale", "withdrawn"]
    submission: Count
    evidence: (
        Annotated[SandboxRun | LeanRun | RedTeam | Counterexample, Field(discriminator="kind")]
        | None
    )
    policy: str | None
    evaluator: Evaluator | None
    evaluated_at: Moment | None
    withdraws: Uuid | None
    note: str | None
    basis: Basis
    version: Count
