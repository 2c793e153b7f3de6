"""What stands at the head of a record's page?  Names, warnings, and the first facts.

Pure; a prefix such as RETRACTED is computed at each showing and never stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ledger.web import urls, wording
from ledger.web.fact import Fact, counted, on_day
from ledger.web.part import version_href
from ledger.web.past_banner import Past

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Banner:
    """What must be read before anything else.

    ``kind`` is past, standing, superseded, erased or behind.
    """

    kind: str
    headline: str
    sentence: str
    href: str | None = None
    link_text: str | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """Names and addresses of a record, what must be read first, and its facts at a glance."""

    handle: str
    version: int
    title: str
    prefix: str
    basis: str
    address: str
    document_href: str
    history_href: str
    diff_href: str
    corrections_href: str
    doi_href: str | None
    banners: tuple[Banner, ...]
    facts: tuple[Fact, ...]


def build(
    document: Document,
    successor: Document | None = None,
    behind: int | None = None,
    past: Past | None = None,
) -> Head:
    """Return the head of a record's page, now or as it was."""
    here = past.here if past else str
    return Head(
        handle=document["handle"],
        version=document["version"],
        title=document["title"],
        prefix=wording.TITLE_PREFIXES.get(document["corrections"]["standing"], ""),
        basis=document["basis"],
        address=urls.record_page(document["handle"]),
        document_href=here(urls.record(document["record_id"])),
        history_href=urls.history(document["record_id"]),
        # On a page of the past: what has changed since.
        diff_href=urls.record_diff_page(
            document["handle"], **({"from": document["version"]} if past else {})
        ),
        corrections_href=here(urls.record_corrections_page(document["handle"])),
        doi_href=urls.doi(document["doi"]) if document["doi"] else None,
        banners=banners(document, successor, behind, past),
        facts=_facts(document),
    )


def banners(
    document: Document,
    successor: Document | None = None,
    behind: int | None = None,
    past: Past | None = None,
) -> tuple[Banner, ...]:
    """Return what must be read first: a past moment, standing in doubt, superseded, behind."""
    found = []
    if past is not None:
        found.append(past_banner(past, urls.record_page(document["handle"])))
    corrections = document["corrections"]
    if corrections["standing"] != "clear":
        headline = wording.said(wording.STANDINGS, corrections["standing"])
        sentence = "The public notice and its reasons are in the correction history."
        href = urls.record_corrections_page(document["handle"])
        href = past.here(href) if past else href
        found.append(Banner("standing", headline, sentence, href, "Read the correction history"))
    if document["superseded_by"]:
        sentence = "Another record has taken this one's place; nothing here is edited any more."
        href = urls.record_page(document["superseded_by"])
        text = f"{successor['handle']}: {successor['title']}" if successor else "Go to that record"
        found.append(Banner("superseded", "Superseded", sentence, href, text))
    if erasures := document.get("erasures"):
        found.append(_erased(erasures, document["handle"], document["version"]))
    if behind is not None:
        sentence = f"The views have not reached position {behind} yet; reload in a moment."
        found.append(Banner("behind", "Catching up", sentence))
    return tuple(found)


def past_banner(past: Past, now_href: str) -> Banner:
    """Return the banner of a page that shows the past."""
    return Banner("past", past.headline, past.sentence, now_href, "See it as it is now")


def _erased(erasures: Sequence[Mapping[str, Any]], handle: str, version: int) -> Banner:
    last = erasures[-1]
    many = sum(len(each["members"]) for each in erasures)
    texts = f"{wording.count(many, 'text')} of this record {'was' if many == 1 else 'were'} erased"
    asker = wording.said(wording.ASKERS, last["asked_by"])
    sentence = (
        f"{texts}, last on {wording.day(last['erased_on'])} by {last['erased_by']}; it was asked "
        f"for by {asker}, and the timeline says why."
    )
    href = version_href(handle, last["recorded_as"], version)
    return Banner("erased", "Text erased", sentence, href, "Read the erasure")


def _facts(document: Document) -> tuple[Fact, ...]:
    claims, review, doi = document["claims"], document["review"], document["doi"]
    mean = review["mean"] if review else None
    verdict = document["verdict"]
    return (
        on_day("Submitted", document["submitted_on"], "date not stated"),
        Fact("Review score", f"{wording.score(mean)}/10" if mean else "none"),
        Fact("Verification", level_text(document["level"]), href="#level"),
        Fact("Gate status", verdict["label"], href="#verdict"),
        Fact("Quality tier", document["tier"]["label"], href="#tier"),
        counted("Verified claims", claims["verified"]),
        counted("Grounded claims", claims["grounded"]),
        _doi(doi, registered=document["provenance"]["external_record"]),
    )


def _doi(doi: str | None, *, registered: bool) -> Fact:
    if doi is None:
        return Fact("DOI", "registered, but not named by the source" if registered else "none")
    return Fact("DOI", doi, href=urls.doi(doi), exact=True)


def level_text(level: Mapping[str, Any]) -> str:
    """Return a level with its number, such as ``L2, Source-grounded claims``."""
    return f"L{level['level']}, {level['label']}"
