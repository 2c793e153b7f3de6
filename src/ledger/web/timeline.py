"""What happened to one record, in order?  The entries of its timeline, in words.

Pure; it shows two times side by side, when a fact took effect and when the log took it in, and
never merges them.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, get_args

from ledger.events import AnyEvent, PayloadErased
from ledger.web import urls, wording
from ledger.web.fact import Fact, at_moment, on_day
from ledger.web.part import version_href

Body = Mapping[str, Any]

EFFECTIVE: Final = {kind.TYPE: kind.EFFECTIVE for kind in get_args(AnyEvent)}
"""By type of event, the member that says since when it holds."""

RULE_KEPT: Final = {True: "kept", False: "not kept", None: "not to be decided"}
"""What the check that was recorded with a submission found."""

GROUPS: Final = ("content", "review", "claims", "registration")
"""The groups of public facts that may each rest on another event."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of the record's stream."""

    version: int
    position: int
    type: str
    label: str
    summary: str
    recorded: Fact
    effective: Fact
    actor: str
    basis: str
    note: str | None
    href: str = ""
    """Where the record is shown as it was when this was its last event."""
    in_effect: bool = True
    erased_by: tuple[Fact, ...] = ()
    """The versions that took texts away from this one, and where they are shown."""


def entries(
    history: Sequence[Mapping[str, Any]],
    handle: str,
    last: int,
    erased_by: Mapping[int, Sequence[int]],
    not_in_effect: Container[int] = (),
) -> tuple[Entry, ...]:
    """Return the entries for some events of a record, oldest first.

    ``last`` is the record's version; ``erased_by`` names by version those that took texts away from
    it, and ``not_in_effect`` the versions that do not count at the moment that is shown.
    """
    first = history[0]["version"] if history else 1
    address = urls.record_page(handle)

    def erasure(version: int) -> Fact:
        here = first <= version < first + len(history)
        href = f"#version-{version}" if here else version_href(handle, version, last)
        return Fact("Erased", f"version {version}", href)

    return tuple(
        replace(
            _entry(each),
            href=urls.with_query(address, {"version": each["version"]}),
            in_effect=each["version"] not in not_in_effect,
            erased_by=tuple(map(erasure, erased_by.get(each["version"], ()))),
        )
        for each in history
    )


def erasures(history: Sequence[Mapping[str, Any]]) -> dict[int, list[int]]:
    """Return by version those that took texts away from it, of all events of a record."""
    found: dict[int, list[int]] = {}
    for each in history:
        if each["type"] == PayloadErased.TYPE:
            found.setdefault(each["event"]["version"], []).append(each["version"])
    return found


def bases(history: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return for each group of facts the basis of the event that last set it.

    A group that no event set says nothing, and so nothing about it was merely stated.
    """
    found = dict.fromkeys(GROUPS, "checked")
    for each in history:
        body = each["event"]
        basis = _basis(body)
        match each["type"]:
            case "record.submitted":
                found["content"] = basis
                found |= {group: basis for group in ("review", "claims") if body.get(group)}
            case "record.resubmitted":
                found["content"] = basis
            case "review.assessed":
                found["review"] = basis
            case "claims.counted":
                found["claims"] = basis
            case "external-record.registered":
                found["registration"] = basis
    return found


def _basis(body: Body) -> str:
    basis = body.get("basis") or {}
    return str(basis.get("kind", "checked"))


def _entry(told: Mapping[str, Any]) -> Entry:
    body: Body = told["event"]
    summary = SUMMARIES.get(told["type"], _unworded)
    return Entry(
        version=told["version"],
        position=told["position"],
        type=told["type"],
        label=wording.said(wording.EVENTS, told["type"]),
        summary=summary(body),
        recorded=at_moment("Recorded", told["recorded_at"], "not known"),
        effective=_effective(told["type"], body),
        actor=str(body.get("actor", "not known")),
        basis=_basis(body),
        note=body.get("public_note") or body.get("reason") or body.get("note"),
    )


def _effective(type_: str, body: Body) -> Fact:
    named = body.get(EFFECTIVE.get(type_) or "")
    if named and "T" in named:
        return at_moment("Effective", named, "")
    return on_day("Effective", named, "when it was recorded")


def _unworded(_body: Body) -> str:
    return "A fact of a kind that has no words here."


def _submitted(body: Body) -> str:
    content = body.get("content") or {}
    rule = body.get("publication_rule") or {}
    kept = f"; the publication rule was {RULE_KEPT[rule.get('kept')]}" if rule else ""
    return f"Submitted as {body.get('handle', '?')}{kept}: {content.get('title', 'title not kept')}"


def _resubmitted(body: Body) -> str:
    content = body.get("content") or {}
    title = content.get("title", "title not kept")
    return f"Submission {body.get('submission', '?')} took the place of the one before: {title}"


def _attached(body: Body) -> str:
    role = wording.plain(str(body.get("role", "artifact")))
    return f"{role}: {body.get('digest') or 'digest not stated'}"


def _registered(body: Body) -> str:
    scheme = str(body.get("scheme", "")).upper()
    return f"{scheme} {body.get('value') or 'not named by the source'}"


def _reviewed(body: Body) -> str:
    review = body.get("review") or {}
    scores = review.get("scores")
    if scores:
        return "Scores: " + ", ".join(f"{who} {score}" for who, score in scores.items())
    return f"Mean as stated: {review.get('stated_mean') or 'none'}"


def _claims_counted(body: Body) -> str:
    counts = body.get("claims") or {}
    known = [f"{wording.plain(key).lower()} {n}" for key, n in counts.items() if n is not None]
    return ", ".join(known).capitalize() if known else "No count is known."


def _evaluated(body: Body) -> str:
    gate = wording.said(wording.GATES, str(body.get("gate", "")))
    outcome = wording.said(wording.OUTCOMES, str(body.get("outcome", ""))).lower()
    by = (
        f" by {wording.said(wording.METHODS, body['method']).lower()}" if body.get("method") else ""
    )
    withdrawn = ", withdraws an earlier evaluation" if body.get("withdraws") else ""
    return f"{gate}{by}: {outcome}{withdrawn}"


def _corrected(body: Body) -> str:
    nature = wording.said(wording.NATURES, str(body.get("nature", "")))
    fields = [wording.plain(str(each["field"])).lower() for each in body.get("changes") or ()]
    what = f" of {', '.join(fields)}" if fields else ", no field changed"
    return f"{nature}{what}, asserted by {body.get('asserted_by', 'nobody named')}"


def _superseded(body: Body) -> str:
    return f"Record {body.get('by', '?')} took this record's place."


def _imported(body: Body) -> str:
    lines = wording.count(len(body.get("stated") or ()), "stated value")
    unknown = wording.count(len(body.get("unknown") or ()), "unknown line")
    missing = wording.count(len(body.get("missing") or ()), "missing line")
    return f"{body.get('name', 'A page')}: {lines}, {unknown}, {missing}"


def _erased(body: Body) -> str:
    asker = wording.said(wording.ASKERS, str(body.get("asked_by", "")))
    basis = f"; {body['legal_basis']}" if body.get("legal_basis") else ""
    members = ", ".join(body.get("members") or ())
    return f"{members} of version {body.get('version', '?')}, asked for by {asker}{basis}"


SUMMARIES: Final[dict[str, Callable[[Body], str]]] = {
    "record.submitted": _submitted,
    "record.resubmitted": _resubmitted,
    "artifact.attached": _attached,
    "external-record.registered": _registered,
    "review.assessed": _reviewed,
    "claims.counted": _claims_counted,
    "gate.evaluated": _evaluated,
    "correction.issued": _corrected,
    "record.superseded": _superseded,
    "page.imported": _imported,
    "payload.erased": _erased,
}
