"""What do the pages of corrections show?  Each correction whole, for one record and for all.

Pure; corrections are additive, so nothing is merged; a long history is shown part by part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ledger.web import part, urls, wording
from ledger.web.choice import Choice, Paging, paging, toggled
from ledger.web.fact import Fact, at_moment, on_day
from ledger.web.past_banner import Past
from ledger.web.record_head import Banner, past_banner
from projections import corrections


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """One corrected field, before and after."""

    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class CorrectionCard:
    """One correction, with everything that was said about it."""

    anchor: str
    href: str
    handle: str
    title: str
    nature: str
    type: str | None
    basis: str
    public_note: str
    facts: tuple[Fact, ...]
    reasons: tuple[str, ...]
    changes: tuple[ChangeRow, ...]


@dataclass(frozen=True, slots=True)
class CorrectionsPage:
    """The corrections of all records, latest first; ``natures`` and ``types`` can be chosen."""

    total: str
    cards: tuple[CorrectionCard, ...]
    natures: tuple[Choice, ...]
    types: tuple[Choice, ...]
    paging: Paging


@dataclass(frozen=True, slots=True)
class RecordCorrectionsPage:
    """The correction history of one record, oldest first."""

    handle: str
    title: str
    prefix: str
    record_href: str
    json_href: str
    summary: tuple[Fact, ...]
    part: part.Part
    cards: tuple[CorrectionCard, ...]
    banners: tuple[Banner, ...] = ()


def all_corrections(
    query: corrections.Query, page: corrections.Page, counts: Mapping[str, Mapping[str, int]]
) -> CorrectionsPage:
    """Return the page of all corrections."""
    asked = {"nature": query.nature, "type": query.type}

    def choices(field: str, words: dict[str, str]) -> tuple[Choice, ...]:
        chosen = asked[field]
        return tuple(
            Choice(
                field,
                value,
                wording.said(words, value),
                count,
                value in chosen,
                urls.corrections_page(**asked | {field: toggled(chosen, value)}),
            )
            for value, count in counts.get(field, {}).items()
        )

    return CorrectionsPage(
        total=wording.count(page.total, "correction"),
        cards=tuple(correction_card(each) for each in page.items),
        natures=choices("nature", wording.NATURES),
        types=choices("type", wording.CORRECTION_TYPES),
        paging=paging(page, lambda cursor: urls.corrections_page(**asked, cursor=cursor)),
    )


def record_corrections(
    document: Mapping[str, Any],
    history: Sequence[corrections.Correction],
    past: Past | None = None,
    before: int | None = None,
) -> RecordCorrectionsPage:
    """Return the page of one record's corrections, now or as they were: the newest of very many.

    ``before`` is a version: those before it, and again the newest of them, are shown.
    """
    told = document["corrections"]
    here = past.here if past else str
    now_href = urls.record_corrections_page(document["handle"])
    asked = past.parameters if past else {}

    def at(version: int | None) -> str:
        return urls.with_query(now_href, {**asked, "before": version})

    shown = part.part([each.version for each in history], before, "item", at)
    return RecordCorrectionsPage(
        handle=document["handle"],
        title=document["title"],
        prefix=wording.TITLE_PREFIXES.get(told["standing"], ""),
        record_href=here(urls.record_page(document["handle"])),
        json_href=here(urls.record_corrections(document["record_id"])),
        summary=(
            Fact("State", told["state"]),
            Fact("Corrections", f"{told['count']:,}"),
            Fact("Standing", wording.said(wording.STANDINGS, told["standing"])),
        ),
        part=shown,
        cards=tuple(correction_card(each) for each in history[shown.start : shown.stop]),
        banners=(past_banner(past, now_href),) if past else (),
    )


def correction_card(told: corrections.Correction) -> CorrectionCard:
    """Return how one correction is shown."""
    return CorrectionCard(
        anchor=f"version-{told.version}",
        href=urls.record_page(told.handle),
        handle=told.handle,
        title=told.title,
        nature=wording.said(wording.NATURES, told.nature),
        type=wording.said(wording.CORRECTION_TYPES, told.type) if told.type else None,
        basis=told.basis,
        public_note=told.public_note,
        facts=_correction_facts(told),
        reasons=told.reasons,
        changes=tuple(
            ChangeRow(wording.plain(c.field), _value(c.before), _value(c.after))
            for c in told.changes
        ),
    )


def _correction_facts(told: corrections.Correction) -> tuple[Fact, ...]:
    facts = [
        on_day("In effect from", told.effective_on, "date not stated"),
        at_moment("Recorded", told.recorded_at, "not known"),
        Fact("Version", str(told.version)),
        Fact("Appended by", told.actor, exact=True),
    ]
    if told.asserted_by:
        facts.insert(0, Fact("Asserted by", told.asserted_by))
    if told.notice_doi:
        facts.append(Fact("Notice", told.notice_doi, urls.doi(told.notice_doi), exact=True))
    if told.notice_url:
        facts.append(Fact("Notice", told.notice_url, wording.link(told.notice_url), exact=True))
    if told.superseded_by:
        href = urls.record_page(told.superseded_by)
        facts.append(Fact("Superseded by", told.superseded_by, href, exact=True))
    if told.correction_id:
        facts.append(Fact("Correction", told.correction_id, exact=True))
    if told.corrects:
        facts.append(Fact("Corrects the correction", told.corrects, exact=True))
    return tuple(facts)


def _value(value: str | int | None) -> str:
    return "none" if value is None else str(value)
