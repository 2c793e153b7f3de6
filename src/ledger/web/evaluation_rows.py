"""What did each gate evaluation find, and on what evidence?  The rows of the evaluations table.

Pure; it shows evaluations in order, and never hides one because another came later; of very many it
shows the newest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from pydantic import TypeAdapter

from ledger.evidence import (
    Attack,
    CounterexampleEvidence,
    Evidence,
    LeanEvidence,
    RedTeamEvidence,
    SandboxEvidence,
)
from ledger.web import wording
from ledger.web.fact import Fact, at_moment
from ledger.web.part import SHOWN_MAX

_EVIDENCE: Final[TypeAdapter[Evidence]] = TypeAdapter(Evidence)
MEAN_DECIMALS: Final = 4


@dataclass(frozen=True, slots=True)
class AttackRow:
    """What one attacker reported: a score and a finding, or how it broke down."""

    role: str
    score: str | None
    finding: str | None
    error: str | None
    dissents: bool


@dataclass(frozen=True, slots=True)
class EvidenceShown:
    """The figures of a piece of evidence, and its attackers if it has any."""

    facts: tuple[Fact, ...]
    attacks: tuple[AttackRow, ...] = ()


@dataclass(frozen=True, slots=True)
class EvaluationRow:
    """One evaluation.

    ``state`` is counting, stale or withdrawn; ``decides`` marks the one that the verdict rests on.
    """

    anchor: str
    version: int
    gate: str
    method: str | None
    outcome: str
    outcome_label: str
    state: str
    state_note: str
    decides: bool
    evaluated: Fact
    basis: str
    details: tuple[Fact, ...]
    evidence: EvidenceShown | None
    note: str | None


def anchor(evaluation_id: str) -> str:
    """Return the id under which an evaluation stands on the record's page."""
    return f"evaluation-{evaluation_id}"


def rows(
    evaluations: Sequence[Mapping[str, Any]], decided_by: str | None
) -> tuple[EvaluationRow, ...]:
    """Return the rows of the view document's evaluations; ``decided_by`` is an evaluation id.

    Of very many they are the newest, and the one that decides however old it is.
    """
    versions = {each["evaluation_id"]: each["version"] for each in evaluations}
    withdrawers = {e["withdraws"]: e["version"] for e in evaluations if e["withdraws"]}
    older, newest = evaluations[:-SHOWN_MAX], evaluations[-SHOWN_MAX:]
    deciding = [each for each in older if each["evaluation_id"] == decided_by]
    listed = [*deciding, *newest]
    # What is not shown cannot be led to.
    hrefs = {each["evaluation_id"]: f"#{anchor(each['evaluation_id'])}" for each in listed}
    return tuple(_row(each, decided_by, versions, withdrawers, hrefs) for each in listed)


def _row(
    told: Mapping[str, Any],
    decided_by: str | None,
    versions: Mapping[str, int],
    withdrawers: Mapping[str, int],
    hrefs: Mapping[str, str],
) -> EvaluationRow:
    return EvaluationRow(
        anchor=anchor(told["evaluation_id"]),
        version=told["version"],
        gate=wording.said(wording.GATES, told["gate"]),
        method=wording.said(wording.METHODS, told["method"]) if told["method"] else None,
        outcome=told["outcome"],
        outcome_label=wording.said(wording.OUTCOMES, told["outcome"]),
        state=told["state"],
        state_note=_state_note(told, withdrawers),
        decides=told["evaluation_id"] == decided_by,
        evaluated=at_moment("Evaluated", told["evaluated_at"], "moment not stated"),
        basis=told["basis"],
        details=_details(told, versions, hrefs),
        evidence=shown(told["evidence"]) if told["evidence"] else None,
        note=told["note"],
    )


def _state_note(told: Mapping[str, Any], withdrawers: Mapping[str, int]) -> str:
    match told["state"]:
        case "stale":
            return f"It tested submission {told['submission']}, which is no longer the current one."
        case "withdrawn":
            return f"Withdrawn by version {withdrawers.get(told['evaluation_id'], '?')}."
        case _:
            return f"It tested submission {told['submission']}, the current one."


def _details(
    told: Mapping[str, Any], versions: Mapping[str, int], hrefs: Mapping[str, str]
) -> tuple[Fact, ...]:
    facts = [Fact("Evaluation", told["evaluation_id"], exact=True)]
    if told["withdraws"]:
        version = versions.get(told["withdraws"], "?")
        facts.append(Fact("Withdraws", f"version {version}", href=hrefs.get(told["withdraws"])))
    if told["evaluator"]:
        evaluator = told["evaluator"]
        facts.append(Fact("Evaluator", f"{evaluator['id']} {evaluator['version']}", exact=True))
    if told["policy"]:
        facts.append(Fact("Policy", told["policy"], exact=True))
    return tuple(facts)


def shown(told: Mapping[str, Any]) -> EvidenceShown:
    """Return how a piece of evidence (JSON) is shown."""
    match _EVIDENCE.validate_json(json.dumps(dict(told))):
        case SandboxEvidence() as run:
            return _sandbox(run)
        case LeanEvidence() as run:
            return _lean(run)
        case RedTeamEvidence() as attack:
            return _red_team(attack)
        case CounterexampleEvidence() as found:
            tried = "not stated" if found.cases_tried is None else f"{found.cases_tried:,}"
            return EvidenceShown(
                (_digest("Counterexample", found.digest), Fact("Cases tried", tried))
            )


def _sandbox(run: SandboxEvidence) -> EvidenceShown:
    tolerance = run.tolerance
    width = f"{tolerance.value} (absolute)"
    if tolerance.kind == "relative":
        width = f"{tolerance.value} ({wording.percent(tolerance.value)} of expected)"
    return EvidenceShown(
        (
            Fact("Computed", str(run.computed), exact=True),
            Fact("Expected", str(run.expected), exact=True),
            Fact("Tolerance", width, exact=True),
            Fact("Difference", _figure(run.residual), exact=True),
            _digest("Script", run.script_digest),
            _digest("Results", run.results_digest),
        )
    )


def _lean(run: LeanEvidence) -> EvidenceShown:
    return EvidenceShown(
        (
            Fact("Toolchain", run.toolchain, exact=True),
            Fact("Exit code", str(run.exit_code), exact=True),
            Fact("Axioms used", ", ".join(run.axioms) or "none listed", exact=bool(run.axioms)),
            _digest("Proof source", run.source_digest),
        )
    )


def _red_team(attack: RedTeamEvidence) -> EvidenceShown:
    finished = f"{len(attack.valid_scores)} of {len(attack.attacks)}"
    facts = [Fact("Attackers that finished", finished)]
    if attack.mean is not None:
        facts.append(Fact("Mean as reported", str(attack.mean), exact=True))
    exact = attack.recomputed_mean()
    if exact is not None:
        facts.append(Fact("Mean of valid scores", _figure(exact), exact=True))
    if attack.aggregation is None:
        facts.append(Fact("Aggregation", "rule and threshold not stated"))
    else:
        rule = attack.aggregation
        facts += [
            Fact("Aggregation rule", rule.rule),
            Fact("Threshold", f"{rule.threshold} (a mean at or above it fails)"),
            Fact("Quorum", wording.count(rule.quorum, "valid score")),
        ]
    return EvidenceShown(tuple(facts), tuple(_attack(each, attack) for each in attack.attacks))


def _attack(attack: Attack, evidence: RedTeamEvidence) -> AttackRow:
    return AttackRow(
        role=wording.plain(attack.role.value),
        score=None if attack.score is None else str(attack.score),
        finding=attack.finding,
        error=attack.error,
        dissents=attack.role in evidence.dissent,
    )


def _digest(label: str, digest: str | None) -> Fact:
    return Fact(label, digest, exact=True) if digest else Fact(label, "digest not stated")


def _figure(exact: Fraction) -> str:
    """Return an exact figure as a decimal, rounded to four decimals where it does not end."""
    figure = Decimal(exact.numerator) / Decimal(exact.denominator)
    if Fraction(figure) == exact:
        return f"{figure.normalize():f}"
    return f"{figure:.{MEAN_DECIMALS}f}"
