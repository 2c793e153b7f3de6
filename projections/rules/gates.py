"""Which verdicts contradict themselves?  Gates, reasons, dates and the evidence behind them.

Looks at evaluations that count and at the verdict shown; never at scores or tiers.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import date
from typing import Final

from ledger.content import Facts, PublicField
from ledger.events import GateEvaluated, RecordResubmitted, RecordSubmitted
from ledger.evidence import RedTeamEvidence, SandboxEvidence
from ledger.vocabulary import Gate, Outcome
from projections.rules.case import Case, Found, cut
from projections.verdict import CONCLUSIVE, falsified_before

ABOUT_THE_CHECK: Final = (
    "hardcoded",
    "hard-coded",
    "formula script",
    "stub",
    "tautolog",
    "rather than",
)
"""Words of a finding that speak of the check (how something was computed), not of the claim."""

NO_FLAW: Final = re.compile(
    r"\b(?:no|any|without)\s+(?:\w+\s+){0,2}(?:flaws?|errors?|issues?|problems?|counterexamples?)\b",
    re.IGNORECASE,
)
"""Wordings by which an attacker says that the attack found nothing."""

NOTHING_ATTEMPTED: Final = frozenset({"not-attempted", "predates-activation"})
_CLAUSE_END: Final = re.compile(r"[.;]")
_NONE: Final = re.compile(r"\b(?:no|not|nothing)\b", re.IGNORECASE)
_ATTEMPTED: Final = re.compile(r"\battempted\b", re.IGNORECASE)

FINDING_LIMIT: Final = 80

EMPTY: Final = "sha256:" + hashlib.sha256().hexdigest()


def reason_predates_activation(case: Case) -> Iterator[Found]:
    """The page excuses the missing evaluation by a date that its own submission date refutes."""
    printed = case.source.verdict if case.source else None
    day = case.imported["submitted_on"]
    if printed is None or not printed.claims_predates_activation or day is None:
        return
    activation = case.record.in_force.gates.get(printed.gate or Gate.VERIFICATION)
    if activation is not None and date.fromisoformat(day) >= activation.activated_on:
        live = activation.activated_on.isoformat()
        yield Found(
            f"The page says that the record was published before the gate went live on {live}, "
            f"yet it was submitted on {day}.",
            {"submitted_on": day, "activated_on": live, "reason": printed.reason},
            _page_version(case),
        )


def gate_mislabelled(case: Case) -> Iterator[Found]:
    """The gate shown is not the gate that decided."""
    verdict = case.shown["verdict"]
    if verdict["decided_by"] is not None and verdict["decided_by"] != verdict["gate"]:
        by = case.deciding
        yield Found(
            f"The verdict is shown under {verdict['gate']}; it was {verdict['decided_by']} that "
            "decided it.",
            {"shown": verdict["gate"], "decided_by": verdict["decided_by"]},
            by.originator_version if by else case.version,
        )


def check_attacked_not_claim(case: Case) -> Iterator[Found]:
    """A failure of the red team rests on findings about the check, not about the claim."""
    for evaluation, evidence in case.evidence(RedTeamEvidence):
        if evaluation.outcome is not Outcome.FAILED:
            continue
        quoted, words = {}, set[str]()
        for attack in evidence.attacks:
            finding = (attack.finding or "").casefold()
            said = {word for word in ABOUT_THE_CHECK if word in finding}
            if attack.valid and said:
                quoted[attack.role.value] = attack.finding
                words |= said
        if quoted:
            yield Found(
                f"{len(quoted)} of {len(evidence.attacks)} findings behind this falsification are "
                "about the check, not about the claim.",
                {
                    "evaluation_id": evaluation.evaluation_id,
                    "findings": quoted,
                    "words": sorted(words),
                },
                evaluation.originator_version,
            )


def attacker_crash_averaged(case: Case) -> Iterator[Found]:
    """The mean counts an attacker that did not finish as a score of 0."""
    for evaluation, evidence in case.evidence(RedTeamEvidence):
        crashed = [attack.role.value for attack in evidence.attacks if not attack.valid]
        if not crashed or evidence.mean is None or evidence.mean_agrees():
            continue
        if evidence.mean_agrees(evidence.scores_with_crashes_as_zero):
            yield Found(
                f"The mean attack score {evidence.mean} counts "
                f"{' and '.join(crashed)}, which did not finish, as 0.",
                {**_mean(evidence), "evaluation_id": evaluation.evaluation_id, "crashed": crashed},
                evaluation.originator_version,
            )


def mean_contradicts_scores(case: Case) -> Iterator[Found]:
    """The mean attack score is not the mean of the attack scores, however crashes are counted."""
    for evaluation, evidence in case.evidence(RedTeamEvidence):
        if evidence.mean is None or evidence.mean_agrees():
            continue
        if not evidence.mean_agrees(evidence.scores_with_crashes_as_zero):
            scores = ", ".join(str(score) for score in evidence.valid_scores) or "none"
            yield Found(
                f"The mean attack score is given as {evidence.mean}, but the scores are {scores}.",
                {**_mean(evidence), "evaluation_id": evaluation.evaluation_id},
                evaluation.originator_version,
            )


def _mean(evidence: RedTeamEvidence) -> dict[str, object]:
    exact = evidence.recomputed_mean()
    return {
        "mean": str(evidence.mean),
        "recomputed": None if exact is None else f"{float(exact):.2f}",
        "scores": {
            a.role.value: None if a.score is None else str(a.score) for a in evidence.attacks
        },
    }


def dissent_under_falsified(case: Case) -> Iterator[Found]:
    """The record is falsified by a red team of which an attacker found nothing."""
    for evaluation, evidence in case.evidence(RedTeamEvidence):
        if evaluation.outcome is not Outcome.FAILED:
            continue
        below = {role.value for role in evidence.dissent}
        satisfied = {
            attack.role.value: {
                "score": None if attack.score is None else str(attack.score),
                "finding": attack.finding,
            }
            for attack in evidence.attacks
            if attack.role.value in below or NO_FLAW.search(attack.finding or "")
        }
        if satisfied:
            bar = evidence.aggregation.threshold if evidence.aggregation else None
            yield Found(
                f"The record is falsified, yet {' and '.join(satisfied)} did not fault it.",
                {
                    "evaluation_id": evaluation.evaluation_id,
                    "dissent": satisfied,
                    "threshold": None if bar is None else str(bar),
                },
                evaluation.originator_version,
            )


def no_test_power(case: Case) -> Iterator[Found]:
    """A reproduction computed exactly what was expected: it may only have repeated a constant."""
    for evaluation, evidence in case.evidence(SandboxEvidence):
        if evaluation.outcome is Outcome.PASSED and evidence.residual == 0:
            yield Found(
                f"The check computed {evidence.computed} where {evidence.expected} was expected: "
                "a difference of exactly 0 tells nothing about the claim.",
                {
                    "evaluation_id": evaluation.evaluation_id,
                    "computed": str(evidence.computed),
                    "expected": str(evidence.expected),
                },
                evaluation.originator_version,
            )


def says_nothing_attempted(text: str) -> bool:
    """Whether a clause of the text says in words that nothing was attempted.

    Each clause is read once: one expression for both words takes quadratic time
    on a text that says no often.
    """
    return any(
        (none := _NONE.search(clause)) is not None and _ATTEMPTED.search(clause, none.end())
        for clause in _CLAUSE_END.split(text)
    )


def evidence_says_nothing(case: Case) -> Iterator[Found]:
    """The artifacts that a verdict rests on are empty, or one and the same."""
    for evaluation in case.evaluations:
        if evaluation.evidence is None or evaluation.outcome not in CONCLUSIVE:
            continue
        digests = {role: d for role, d in evaluation.evidence.artifacts() if d is not None}
        empty = [role for role, digest in digests.items() if digest == EMPTY]
        if empty or len({*digests.values()}) < len(digests):
            what = f"empty: {' and '.join(empty)}" if empty else "one and the same file"
            yield Found(
                f"The artifacts that the outcome {evaluation.outcome.value} rests on are {what}.",
                {"evaluation_id": evaluation.evaluation_id, "digests": digests},
                evaluation.originator_version,
            )


def evaluated_without_evaluation(case: Case) -> Iterator[Found]:
    """A moment of evaluation is stated where nothing was attempted."""
    printed = case.stated("Evaluated", "Evaluated at")
    reason = case.imported["verdict"]["reason"]
    attempted = reason["code"] not in NOTHING_ATTEMPTED and not says_nothing_attempted(
        reason["text"]
    )
    if printed is not None and not attempted:
        yield Found(
            f"The page gives {printed.value} as the moment of evaluation of a record on which, as "
            "it says, nothing was attempted.",
            {"evaluated": printed.value, "line": printed.line, "reason": reason["text"]},
            _page_version(case),
        )


def evaluated_before_submission(case: Case) -> Iterator[Found]:
    """An evaluation is dated before the submission that it is about."""
    day = case.shown["submitted_on"]
    for evaluation in case.evaluations:
        moment = evaluation.evaluated_at
        if day is not None and moment is not None and moment.date() < date.fromisoformat(day):
            yield Found(
                f"The evaluation is dated {moment.date().isoformat()}, before the submission on "
                f"{day}.",
                {
                    "evaluation_id": evaluation.evaluation_id,
                    "evaluated_at": moment.isoformat(),
                    "submitted_on": day,
                },
                evaluation.originator_version,
            )


def earlier_submission_falsified(case: Case) -> Iterator[Found]:
    """An earlier submission was falsified, and nothing has settled the current one."""
    submission = case.shown["submission"]["number"]
    every = [e.event for e in case.record.entries if isinstance(e.event, GateEvaluated)]
    before = falsified_before(every, submission)
    if before is not None and case.shown["verdict"]["status"] == "UNVERIFIED":
        yield Found(
            f"Submission {before.subject.submission} was falsified; submission {submission} has "
            "not been settled by any gate.",
            {
                "falsified": before.subject.submission,
                "current": submission,
                "evaluation_id": before.evaluation_id,
            },
            before.originator_version,
        )


def corrected_since_evaluation(case: Case) -> Iterator[Found]:
    """What the record claims was corrected, but its verdict is about what was submitted."""
    by = case.deciding
    if by is None:
        return
    *_, submitted = (
        entry.event
        for entry in case.record.entries
        if isinstance(entry.event, (RecordSubmitted, RecordResubmitted))
    )
    evaluated = Facts(content=submitted.content)
    now = {
        PublicField.TITLE: case.shown["title"],
        PublicField.KIND: case.shown["kind"],
        PublicField.ABSTRACT: (case.shown["abstract"] or {}).get("text"),
        PublicField.RESEARCH_QUESTION: case.shown["research_question"],
    }
    changed = {
        field.value: {"evaluated": evaluated.value(field), "shown": shown}
        for field, shown in now.items()
        if evaluated.value(field) != shown
    }
    if changed:
        yield Found(
            f"The verdict {case.shown['verdict']['status']} is about the content as it was "
            f"submitted; the content as shown differs in: {', '.join(changed)}.",
            {
                "evaluation_id": by.evaluation_id,
                "changed": changed,
                "evaluated_digest": by.subject.digest,
                "content_digest": case.shown["content_digest"],
            },
            case.version,
        )


def verdict_undated(case: Case) -> Iterator[Found]:
    """A settled verdict does not say when it was reached."""
    verdict, by = case.shown["verdict"], case.deciding
    if by is not None and by.basis.kind == "stated" and by.evaluated_at is None:
        yield Found(
            f"The record is stated to be {verdict['status']}, but not since when.",
            {"status": verdict["status"], "evaluation_id": by.evaluation_id},
            by.originator_version,
        )


def findings_cut(case: Case) -> Iterator[Found]:
    """The findings behind a verdict are cut off in the middle of a sentence."""
    for evaluation, evidence in case.evidence(RedTeamEvidence):
        short = {
            attack.role.value: attack.finding
            for attack in evidence.attacks
            # One less where a space at the end was lost on the way.
            if attack.finding is not None
            and len(attack.finding) in (FINDING_LIMIT - 1, FINDING_LIMIT)
            and cut(attack.finding)
        }
        if short:
            yield Found(
                f"{len(short)} of {len(evidence.attacks)} findings end in the middle of a "
                f"sentence, at {FINDING_LIMIT} characters.",
                {"evaluation_id": evaluation.evaluation_id, "findings": short},
                evaluation.originator_version,
            )


def _page_version(case: Case) -> int:
    return case.source.originator_version if case.source else case.version
