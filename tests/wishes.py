"""Commands for the tests of the rules, as they come over the wire, and the way to their rule.

Each is allowed as it stands on a record that was just submitted with its artifacts attached; a test
names what it changes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, TypeVar

from pydantic import BaseModel

from ledger import evaluation, rules
from ledger.commands import (
    AssessReview,
    Attach,
    Command,
    Correct,
    CountClaims,
    Evaluate,
    Register,
    Resubmit,
    Submit,
    Supersede,
)
from ledger.content import ClaimCounts, Content
from ledger.events import ClaimsCounted, Event, RecordResubmitted
from ledger.in_force import Activation
from ledger.record import ResearchRecord
from ledger.vocabulary import ArtifactRole, ClaimSource, Gate
from view_facts import OTHER, RECORD, Fact, attached, submitted, uuid

Model = TypeVar("Model", bound=BaseModel)
Json = dict[str, Any]

ACTOR = "pipeline"
HANDLE = "SRCH:00000001"
SCRIPT, RESULTS, PROOF, CASE = (f"sha256:{digit * 64}" for digit in "abcd")
CONTENT: Json = submitted()(RECORD, 1).model_dump(mode="json")["content"]
SUBJECT = {
    "submission": 1,
    "digest": submitted()(RECORD, 1).model_dump(mode="json")["content_digest"],
}


def read(kind: type[Model], body: Json) -> Model:
    """Read a body as the doors do: from JSON, strictly."""
    return kind.model_validate_json(json.dumps(body))


def decide(
    record: ResearchRecord | None,
    command: Command,
    at: datetime,
    gates: Mapping[Gate, Activation],
    successors: tuple[str, ...],
) -> Event:
    """Ask the rule of a command; an attachment has 100 bytes."""
    asked = rules.Asked(ACTOR, at)
    if isinstance(command, Submit):
        return rules.submit(command, RECORD, command.handle or HANDLE, asked)
    assert record is not None
    match command:
        case Attach():
            return rules.attach(record, command, 100, asked)
        case Evaluate():
            return evaluation.evaluate(record, command, gates, asked)
        case Supersede():
            return rules.supersede(record, command, successors, asked)
        case _:
            rule: Any = {
                Resubmit: rules.resubmit,
                Register: rules.register,
                AssessReview: rules.assess_review,
                CountClaims: rules.count_claims,
                Correct: rules.correct,
            }[type(command)]
            event: Event = rule(record, command, asked)
            return event


def submit(**changes: Any) -> Submit:
    return read(Submit, {"content": CONTENT, "submitted_on": "2026-07-01"} | changes)


def resubmit(**changes: Any) -> Resubmit:
    again = {"content": CONTENT | {"title": "A second survey"}, "reason": "More was read."}
    return read(Resubmit, again | changes)


def attach(role: str = "repro-script", digest: str = SCRIPT, **changes: Any) -> Attach:
    return read(Attach, {"role": role, "digest": digest} | changes)


def register(value: str = "10.5281/zenodo.1", **changes: Any) -> Register:
    return read(Register, {"value": value} | changes)


def assess(**changes: Any) -> AssessReview:
    scores = {"challenger": "6.0", "confirmer": "7.0", "integrator": "6.5"}
    return read(AssessReview, {"review": {"scores": scores}} | changes)


def count(*counts: int | None, **changes: Any) -> CountClaims:
    """Count extracted, grounded and verified claims, in this order."""
    claims = dict(zip(("extracted", "grounded", "verified"), counts or (9, 8, 7), strict=True))
    source = "parsed-source-sections"
    return read(CountClaims, {"claims": claims, "claim_source": source} | changes)


def correct(*changes: tuple[str, Any, Any], **more: Any) -> Correct:
    """Correct by (field, from, to) each; without any, it is a notice."""
    listed = [{"field": field, "from": before, "to": after} for field, before, after in changes]
    body = {
        "correction_type": "METADATA",
        "nature": "correction",
        "public_note": "The field was wrong.",
        "changes": listed,
        "asserted_by": "The publisher",
    }
    return read(Correct, body | more)


def supersede(by: str = OTHER, **changes: Any) -> Supersede:
    return read(Supersede, {"by": by, "reason": "A newer synthesis."} | changes)


def sandbox(
    computed: str = "99.0", expected: str = "100.0", tolerance: str = "0.05", **changes: Any
) -> Json:
    """Return a sandbox run, its tolerance relative unless ``scale`` says absolute."""
    scale = changes.pop("scale", "relative")
    run = {
        "kind": "sandbox",
        "computed": computed,
        "expected": expected,
        "tolerance": {"kind": scale, "value": tolerance},
        "script_digest": SCRIPT,
        "results_digest": RESULTS,
    }
    return run | changes


def lean(exit_code: int = 0, *axioms: str, **changes: Any) -> Json:
    run = {"kind": "lean4", "source_digest": PROOF, "toolchain": "leanprover/lean4:v4.9.0"}
    return run | {"exit_code": exit_code, "axioms": list(axioms)} | changes


def attacks(*scores: str | None, mean: str | None = None, quorum: int = 2, **changes: Any) -> Json:
    """Return a red team by its scores, None for an attacker that crashed; 7.0 is a failure."""
    roles = ("COUNTEREXAMPLE_HUNTER", "CITATION_AUDITOR", "REPLICATION_ATTACKER")
    reported = [
        {"role": role, "error": "It ran out of memory."}
        if score is None
        else {"role": role, "score": score, "finding": f"The {role} has found something."}
        for role, score in zip(roles, scores, strict=False)
    ]
    rule = {"rule": "mean", "threshold": "7.0", "quorum": quorum}
    team = {"kind": "red-team", "attacks": reported, "aggregation": rule, "mean": mean}
    return team | changes


def evaluate(evidence: Json | None = None, outcome: str = "passed", **changes: Any) -> Evaluate:
    """Report a gate's outcome; method and gate follow from the evidence unless they are given."""
    method = evidence["kind"] if evidence else "sandbox"
    body = {
        "gate": "gate-3" if method == "red-team" else "gate-2",
        "method": method,
        "outcome": outcome,
        "subject": SUBJECT,
        "evidence": evidence,
        "evaluator": {"id": "runner", "version": "1.0"},
        "evaluated_at": "2026-07-05T10:00:00Z",
    }
    return read(Evaluate, body | changes)


def withdraw(number: int = 100, **changes: Any) -> Evaluate:
    """Withdraw an evaluation by its number in the facts."""
    return evaluate(None, "invalid-check", **({"withdraws": uuid(number)} | changes))


def resubmitted(title: str = "A second survey", on: date = date(2026, 7, 6)) -> Fact:
    """A second submission version with another title."""
    content = read(Content, CONTENT | {"title": title})
    return lambda stream, version: RecordResubmitted(
        originator_id=stream,
        originator_version=version,
        actor=ACTOR,
        submission=2,
        content=content,
        content_digest=content.digest(),
        submitted_on=on,
        reason="More was read.",
    )


def recounted(**counts: int) -> Fact:
    """Claims are counted again: 9 extracted, 8 grounded, and what is named."""
    claims = ClaimCounts(extracted=9, grounded=8, **counts)
    return lambda stream, version: ClaimsCounted(
        originator_id=stream,
        originator_version=version,
        actor=ACTOR,
        claims=claims,
        claim_source=ClaimSource.PARSED,
        counted_on=date(2026, 7, 2),
    )


def bundle(*kinds: ArtifactRole) -> tuple[Fact, ...]:
    """Everything that evidence can rest on, or the kinds named, with the digests used here."""
    digests = {
        ArtifactRole.REPRO_SCRIPT: SCRIPT,
        ArtifactRole.REPRO_RESULTS: RESULTS,
        ArtifactRole.PROOF_SOURCE: PROOF,
        ArtifactRole.COUNTEREXAMPLE: CASE,
    }
    return tuple(attached(kind, digest=digests[kind]) for kind in kinds or digests)
