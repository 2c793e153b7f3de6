"""Which values do not follow from their facts?  Tiers, levels, dimensions, counts, artifacts.

Compares with the policy in force as the public document applies it; derives nothing anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from ledger.vocabulary import Outcome, PolicyVersion, Status
from projections.policy import DIMENSIONS, PUBLIC_CLAIMS, PUBLIC_SCORE, Level, Tier
from projections.rules.case import Case, Found

PROUD_TIERS: Final = frozenset({Tier.FLAGSHIP_CANDIDATE, Tier.DOI_GRADE, Tier.PUBLIC_RECORD})
BUNDLE: Final = ("repro-script", "repro-results")
PROOF: Final = "proof-source"

COUNTED_RUNGS: Final = {
    "sandbox_executed": Level.SANDBOX_EXECUTED,
    "independently_reproduced": Level.INDEPENDENTLY_REPRODUCED,
    "externally_reviewed_or_formally_verified": Level.EXTERNALLY_REVIEWED_OR_FORMALLY_VERIFIED,
}
"""Counts of claims that would stand on a rung for which a policy asks for an evaluation."""

_NUMBER: Final = re.compile(r"\d+")


def level_below_verdict(case: Case) -> Iterator[Found]:
    """The record is verified, but its level is below that of an executed check."""
    level, by = case.shown["level"], case.deciding
    if case.shown["verdict"]["status"] == "VERIFIED" and level["level"] < Level.SANDBOX_EXECUTED:
        yield Found(
            f"The record is VERIFIED, yet its level is L{level['level']} ({level['label']}), below "
            f"L{Level.SANDBOX_EXECUTED.value}.",
            {"status": "VERIFIED", "level": level["level"], "policy": _policy(case)},
            by.originator_version if by else case.version,
        )


def level_not_counted(case: Case) -> Iterator[Found]:
    """Counts say that claims stand higher than any evaluation that the ledger checked."""
    level, verdict = case.shown["level"], case.shown["verdict"]
    counted = {
        name: case.shown["claims"][name]
        for name, rung in COUNTED_RUNGS.items()
        if case.shown["claims"][name] and rung > level["level"]
    }
    if counted and _policy(case) == PolicyVersion.V2 and verdict["status"] != Status.FALSIFIED:
        told = ", ".join(f"{name.replace('_', ' ')} ({count})" for name, count in counted.items())
        yield Found(
            f"Claims are counted as {told}, but no checked evaluation bears it out: it stays "
            f"at L{level['level']}.",
            {"level": level["level"], "counted": counted, "policy": _policy(case)},
            case.version,
        )


def tier_ignores_falsification(case: Case) -> Iterator[Found]:
    """The record is falsified, but its tier is as if it were not."""
    tier, by = case.shown["tier"], case.deciding
    if case.shown["verdict"]["status"] == "FALSIFIED" and tier["tier"] in PROUD_TIERS:
        yield Found(
            f"The record is FALSIFIED, yet its tier is {tier['label']}.",
            {"status": "FALSIFIED", "tier": tier["tier"], "policy": _policy(case)},
            by.originator_version if by else case.version,
        )


def reproducibility_from_doi(case: Case) -> Iterator[Found]:
    """Reproducibility is rated high without anything that reproduces the record."""
    level = case.shown["dimensions"]["reproducibility_status"]["level"]
    reproduced = any(
        e.outcome is Outcome.PASSED and e.basis.kind == "checked" for e in case.evaluations
    )
    attached = case.roles_attached()
    if level == "HIGH" and not reproduced and PROOF not in attached and not attached >= {*BUNDLE}:
        doi = case.shown["doi"]
        yield Found(
            "Reproducibility is rated HIGH although no checked evaluation passed and nothing "
            f"reproducible is attached; the record {'has a DOI' if doi else 'is only registered'}.",
            {"level": level, "doi": doi, "attached": sorted(attached), "policy": _policy(case)},
            case.version,
        )


def publication_rule_broken(case: Case) -> Iterator[Found]:
    """The record is published although the stated publication rule does not allow it."""
    review, verified = case.shown["review"], case.shown["claims"]["verified"]
    score = review["mean"] if review else None
    if score is None or verified is None:
        return
    if Decimal(score) < PUBLIC_SCORE or verified < PUBLIC_CLAIMS:
        yield Found(
            f"The publication rule asks for a score of {PUBLIC_SCORE} and {PUBLIC_CLAIMS} verified "
            f"claims; the record has {score} and {verified}.",
            {
                "score": score,
                "verified": verified,
                "score_min": str(PUBLIC_SCORE),
                "verified_min": PUBLIC_CLAIMS,
            },
            case.version,
        )


def artifact_missing(case: Case) -> Iterator[Found]:
    """A settled verdict is stated without the artifacts that it needs."""
    by = case.deciding
    if by is None or by.basis.kind != "stated":
        return
    attached = case.roles_attached()
    if by.evidence is not None:
        missing = [role for role, _ in by.evidence.artifacts() if role not in attached]
    elif by.outcome is Outcome.FAILED:
        missing = ["evidence of the failure"]
    elif PROOF in attached or attached >= {*BUNDLE}:
        missing = []
    else:
        missing = [f"{PROOF}, or {' and '.join(BUNDLE)}"]
    if missing:
        status = case.shown["verdict"]["status"]
        yield Found(
            f"The record is stated to be {status}, but this is not attached by digest: "
            f"{', '.join(missing)}.",
            {"status": status, "missing": missing, "evaluation_id": by.evaluation_id},
            by.originator_version,
        )


def input_missing(case: Case) -> Iterator[Found]:
    """A tier is stated, but not the review score that it is derived from."""
    printed = case.stated("Tier", "Quality tier")
    review = case.imported["review"]
    if (
        case.source is not None
        and printed is not None
        and (review is None or review["mean"] is None)
    ):
        yield Found(
            f"The page states the tier {printed.value} without the review score that a tier is "
            "derived from.",
            {"tier": printed.value, "line": printed.line, "missing": "review score"},
            case.source.originator_version,
        )


def stated_value_differs(case: Case) -> Iterator[Found]:
    """The page states another value than the one that follows from its own facts."""
    if case.source is None:
        return
    for name, labels, section, derived in _comparable(case.imported):
        printed = case.stated(*labels, section=section)
        if printed is None or _same(printed.value, derived):
            continue
        yield Found(
            f"The page states {name} as {printed.value}; the facts it gives make it {derived}.",
            {
                "field": name,
                "stated": printed.value,
                "derived": derived,
                "line": printed.line,
                "policy": _policy(case),
            },
            case.source.originator_version,
        )


def _comparable(shown: dict[str, Any]) -> Iterator[tuple[str, tuple[str, ...], str, str | int]]:
    """Yield what can be compared: name, labels and section on a page, and the derived value."""
    if shown["tier"]["source"] == "derived":
        yield "tier", ("Tier", "Quality tier"), "", shown["tier"]["label"]
    yield "level", ("Paper level",), "", shown["level"]["level"]
    for key, label in DIMENSIONS.items():
        dimension = shown["dimensions"][key]
        if dimension["source"] == "derived":
            yield label.casefold(), (label,), "Quality Dimensions", dimension["level"]
    record = "Correction Record"
    yield "correction state", ("Status",), record, shown["corrections"]["state"]
    yield "correction count", ("Correction count",), record, shown["corrections"]["count"]
    lineage = shown["provenance"]["claim_lineage"]
    if lineage is not None:
        yield "claim lineage", ("Claim lineage",), "", lineage


def _same(printed: str, derived: str | int) -> bool:
    if isinstance(derived, int):
        number = _NUMBER.search(printed)
        # Words without a figure ("not publicly specified") contradict no figure.
        return number is None or int(number[0]) == derived
    return printed.strip().casefold() == derived.casefold()


def _policy(case: Case) -> str:
    return str(case.shown["policy"]["version"])
