"""What does a record's page show?  The view model of one record, from its public document.

Pure; every sentence on the page follows from the document, the history, the findings and what is in
force, and nothing is stored that is computed here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ledger.in_force import InForce
from ledger.vocabulary import Gate
from ledger.web import (
    document_rows,
    evaluation_rows,
    part,
    record_head,
    source_page,
    timeline,
    urls,
    wording,
)
from ledger.web.fact import Fact, at_moment, counted, on_day
from ledger.web.past_banner import Past
from ledger.web.record_head import Head, level_text
from projections.contracts.verdict import DEFINITIONS
from projections.findings import Finding

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Given:
    """What the page follows from.

    ``successor`` is the document of the record that superseded it; ``behind`` is a position that
    the reader asked for and the views have not reached; ``conflicts`` counts the evidence that has
    other outcomes on other records; ``past`` is the past that is shown, and
    then everything else is of that past, too.
    """

    document: Document
    history: Sequence[Mapping[str, Any]]
    findings: Sequence[Finding]
    in_force: InForce
    successor: Document | None = None
    behind: int | None = None
    past: Past | None = None
    conflicts: int = 0


@dataclass(frozen=True, slots=True)
class Abstract:
    """The abstract, and whose words it is in when they are not the record's own."""

    text: str
    quoted_from: str | None
    quoted_href: str | None


@dataclass(frozen=True, slots=True)
class VerdictShown:
    """The gate verdict."""

    status: str
    label: str
    basis: str
    facts: tuple[Fact, ...]
    meaning: str
    remark: str | None


@dataclass(frozen=True, slots=True)
class Dimension:
    """One quality dimension that is assessed."""

    label: str
    level: str
    stated: bool


@dataclass(frozen=True, slots=True)
class Quality:
    """Tier and dimensions, and what is not assessed."""

    tier: tuple[Fact, ...]
    tier_source: str
    dimensions: tuple[Dimension, ...]
    unassessed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ArtifactRow:
    """One attached artifact."""

    role: str
    digest: str | None
    href: str | None
    type_and_size: str
    visibility: str
    location: str | None
    location_href: str | None
    basis: str


@dataclass(frozen=True, slots=True)
class Shortened:
    """Lists of which only a part stands on the page: how many there are, and where all of them are.

    None for a list that is shown whole.
    """

    evaluations: Fact | None
    artifacts: Fact | None
    findings: Fact | None
    timeline: Fact | None


@dataclass(frozen=True, slots=True)
class RecordPage:
    """Everything that the template of a record's page may use."""

    head: Head
    bases: dict[str, str]
    abstract: Abstract | None
    research_question: str | None
    level: tuple[Fact, ...]
    counters: tuple[Fact, ...]
    verdict: VerdictShown
    evaluations: tuple[evaluation_rows.EvaluationRow, ...]
    quality: Quality
    corrections: tuple[Fact, ...]
    provenance: tuple[Fact, ...]
    findings: tuple[Finding, ...]
    conflicts: Fact | None
    artifacts: tuple[ArtifactRow, ...]
    source: source_page.SourcePage | None
    documents: tuple[document_rows.DocumentRow, ...]
    timeline: tuple[timeline.Entry, ...]
    shortened: Shortened
    asked: Mapping[str, str]
    """The parameters of the past that is shown, none for the present."""


def build(given: Given) -> RecordPage:
    """Return the page of a record."""
    document = given.document
    source = document["source"]
    decided_by = document["verdict"]["evaluation_id"]
    artifacts = document["artifacts"][-part.SHOWN_MAX :]
    return RecordPage(
        head=record_head.build(document, given.successor, given.behind, given.past),
        bases=timeline.bases(given.history),
        abstract=_abstract(document["abstract"]),
        research_question=document["research_question"],
        level=_level(document),
        counters=_counters(document["claims"]),
        verdict=_verdict(document["verdict"], given.in_force),
        evaluations=evaluation_rows.rows(document["evaluations"], decided_by),
        quality=_quality(document),
        corrections=_corrections(document),
        provenance=_provenance(document),
        findings=tuple(given.findings[: part.SHOWN_MAX]),
        conflicts=_conflicts(given),
        artifacts=tuple(_artifact(each, document["record_id"]) for each in artifacts),
        source=source_page.build(source) if source else None,
        documents=document_rows.rows(document, given.past.parameters if given.past else None),
        timeline=timeline.entries(
            given.history[-part.SHOWN_MAX :],
            document["handle"],
            len(given.history),
            timeline.erasures(given.history),
            given.past.not_in_effect if given.past else (),
        ),
        shortened=_shortened(given),
        asked=given.past.parameters if given.past else {},
    )


def _shortened(given: Given) -> Shortened:
    document = given.document
    handle, record_id = document["handle"], document["record_id"]
    here = given.past.here if given.past else str

    def left_out(sentence: str | None, text: str, href: str) -> Fact | None:
        return Fact(sentence, text, href) if sentence else None

    total = len(given.history)
    return Shortened(
        evaluations=left_out(
            part.counted(len(document["evaluations"]), "evaluation"),
            "All evaluations as JSON",
            here(urls.evaluations(record_id)),
        ),
        artifacts=left_out(
            part.counted(len(document["artifacts"]), "artifact"),
            "All artifacts, in this record as JSON",
            here(urls.record(record_id)),
        ),
        findings=left_out(
            part.counted(len(given.findings), "finding", "first"),
            "All findings as JSON",
            here(urls.record_findings(record_id)),
        ),
        timeline=left_out(
            part.counted(total, "fact"),
            "Earlier facts",
            urls.record_history_page(handle, total - part.SHOWN_MAX + 1),
        ),
    )


def _conflicts(given: Given) -> Fact | None:
    if not given.conflicts:
        return None
    what = wording.count(given.conflicts, "piece") + " of evidence"
    text = f"{what} with the opposite outcome on another record."
    return Fact("Conflicts", text, urls.conflicts_page(record=given.document["handle"]))


def _abstract(told: Mapping[str, Any] | None) -> Abstract | None:
    if told is None:
        return None
    return Abstract(told["text"], told["quoted_from"], wording.link(told["quoted_from"]))


def _level(document: Document) -> tuple[Fact, ...]:
    source = document["claims"]["source"]
    text = wording.said(wording.CLAIM_SOURCES, source) if source else "not stated"
    return (
        Fact("Paper level", level_text(document["level"])),
        Fact("Claim record source", text),
    )


def _counters(claims: Mapping[str, Any]) -> tuple[Fact, ...]:
    """Show the three counters that are often confused always, the rest where they are known."""
    always = ("extracted", "grounded", "verified")
    return tuple(
        counted(label, claims[key])
        for key, label in wording.CLAIM_COUNTERS.items()
        if key in always or claims[key] is not None
    )


def _verdict(told: Mapping[str, Any], in_force: InForce) -> VerdictShown:
    decided = told["decided_by"]
    by = in_force.label(Gate(decided)) if decided else "no gate; nothing is settled"
    href = f"#{evaluation_rows.anchor(told['evaluation_id'])}" if told["evaluation_id"] else None
    remark = None
    if decided and decided != told["gate"]:
        remark = (
            "The source shows this verdict under another gate than the one whose evaluation "
            "decided it; both are given."
        )
    facts = (
        Fact("Status", told["label"]),
        Fact("Gate", told["gate_label"]),
        Fact("Decided by", by, href=href),
        Fact(
            "Reason",
            told["reason"]["text"],
            remark=wording.said(wording.REASONS, told["reason"]["code"]),
        ),
        at_moment("Evaluated", told["evaluated_at"], "not evaluated, or moment not stated"),
    )
    meaning = DEFINITIONS[told["status"]]
    return VerdictShown(told["status"], told["label"], told["basis"], facts, meaning, remark)


def _tier(document: Document) -> tuple[Fact, ...]:
    facts = [
        Fact("Tier", document["tier"]["label"]),
        Fact("Basis", document["tier"]["basis"]),
        Fact("Policy", document["policy"]["version"], href=f"{urls.ABOUT_PAGE}#policies"),
    ]
    for version, other in document["policy"]["others"].items():
        tier = wording.said(wording.TIERS, other["tier"]).lower().replace("doi", "DOI")
        status = wording.said(wording.STATUSES, other["status"]).lower()
        facts.append(
            Fact(f"Policy {version} would say", f"{tier}, L{other['level']}, counted as {status}")
        )
    return tuple(facts)


def _quality(document: Document) -> Quality:
    dimensions = document["dimensions"].values()
    return Quality(
        tier=_tier(document),
        tier_source=document["tier"]["source"],
        dimensions=tuple(
            Dimension(each["label"], each["level"], each["source"] == "stated")
            for each in dimensions
            if each["level"] != "UNASSESSED"
        ),
        unassessed=tuple(each["label"] for each in dimensions if each["level"] == "UNASSESSED"),
    )


def _corrections(document: Document) -> tuple[Fact, ...]:
    told, contracts = document["corrections"], document["contracts"]
    return (
        Fact("Status", told["state"]),
        Fact("Correction count", f"{told['count']:,}"),
        on_day("Last corrected", told["last_corrected_on"], "never"),
        Fact("Standing", wording.said(wording.STANDINGS, told["standing"])),
        Fact("Manifest contract", contracts["manifest"], exact=True),
        Fact("Correction contract", contracts["corrections"], exact=True),
    )


def _provenance(document: Document) -> tuple[Fact, ...]:
    told = document["provenance"]
    lineage = told["claim_lineage"]
    return (
        Fact("Publisher", document["publisher"]),
        Fact("Kind", wording.said(wording.KINDS, document["kind"])),
        Fact("Public provenance", level_text(told)),
        Fact("Report artifact", "Available" if told["report_artifact"] else "Not available"),
        Fact("External record", "Registered" if told["external_record"] else "Not registered"),
        Fact(
            "Claim lineage",
            "not known"
            if lineage is None
            else f"{wording.count(lineage, 'source-grounded claim')}, as a total",
        ),
        Fact("Review method", told["review_method"] or "not stated"),
        Fact("Submission", str(document["submission"]["number"])),
        Fact("Digest as submitted", document["submission"]["digest"], exact=True),
        Fact("Digest as shown", document["content_digest"], exact=True),
        Fact(
            "Quality guide",
            "How to read scores, claims and verdicts",
            href=f"{urls.ABOUT_PAGE}#words",
        ),
        Fact("Provenance contract", document["contracts"]["provenance"], exact=True),
        Fact("Note", document["note"] or "none"),
    )


def _artifact(told: Mapping[str, Any], record_id: str) -> ArtifactRow:
    digest = told["digest"]
    fetchable = digest and told["visibility"] == "public" and told["basis"] == "checked"
    return ArtifactRow(
        role=wording.plain(told["role"]),
        digest=digest,
        href=urls.artifact(record_id, digest) if fetchable else None,
        type_and_size=_type_and_size(told["media_type"], told["size_bytes"]),
        visibility=wording.plain(told["visibility"]),
        location=told["location"],
        location_href=wording.link(told["location"]),
        basis=told["basis"],
    )


def _type_and_size(media_type: str | None, size_bytes: int | None) -> str:
    size = None if size_bytes is None else wording.size(size_bytes)
    return ", ".join(each for each in (media_type, size) if each) or "not stated"
