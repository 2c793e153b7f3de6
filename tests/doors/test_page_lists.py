"""What the lists, the page about the ledger and its words say, before any HTML."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any, get_args

import pytest

from ledger.events import GateActivated, RecordEvent
from ledger.in_force import InForce
from ledger.vocabulary import Gate, PolicyVersion
from ledger.web import (
    about_page,
    corrections_page,
    findings_page,
    index_page,
    timeline,
    urls,
    wording,
)
from projections import catalogue, corrections, findings

RECORD = "01980f5e-6c1a-7cc3-9d3f-0a4f5b6c7d8e"
RECORD_EVENTS = get_args(RecordEvent)
IN_FORCE = InForce().after(
    GateActivated(
        originator_id="ledger",
        originator_version=1,
        actor="operator",
        gate=Gate.VERIFICATION,
        activated_on=date(2026, 6, 10),
        label="Gate 2 — Verification",
    )
)


def entry(**changes: Any) -> catalogue.Entry:
    facts: dict[str, Any] = {
        "record_id": RECORD,
        "handle": "SRCH:B0E046B6",
        "title": "A small study",
        "publisher": "Example Research",
        "kind": "synthesis",
        "submitted_on": "2026-07-03",
        "score": "8.1",
        "status": "VERIFIED",
        "tier": "DOI_GRADE",
        "level": 5,
        "state": "CURRENT",
        "standing": "clear",
        "basis": "checked",
        "doi": None,
        "policy": "v2",
        "version": 3,
        "position": 9,
        "recorded_at": "2026-07-10T12:00:00.000005Z",
    }
    return catalogue.Entry(**facts | changes)


def test_a_row_of_the_index_shows_status_tier_score_and_day() -> None:
    page = catalogue.Page((entry(standing="retracted", state="CORRECTED"),), 1, exact=True)
    (row,) = index_page.index(catalogue.Query(), page).rows
    assert (row.prefix, row.status_label, row.href) == (
        "RETRACTED: ",
        "Verified",
        "/records/B0E046B6",
    )
    assert [fact.text for fact in row.facts] == ["DOI grade", "L5", "8.10/10", "3 July 2026"]
    assert row.marks == ("Corrected",)


def test_a_facet_link_adds_or_removes_one_value_and_starts_at_the_top() -> None:
    query = catalogue.Query(text="a b", status=("VERIFIED",), cursor="abc")
    facets = {"status": {"VERIFIED": 3, "FALSIFIED": 1}, "level": {"2": 4}}
    page = index_page.index(query, catalogue.Page((), 4, exact=False, next="n", facets=facets))
    status = {choice.value: choice for choice in page.facets[0].choices}
    assert status["VERIFIED"].href == "/?q=a+b"
    assert status["FALSIFIED"].href == "/?q=a+b&status=VERIFIED&status=FALSIFIED"
    assert page.paging.next == "/?q=a+b&status=VERIFIED&cursor=n"
    assert page.total == "4 records or more"
    assert page.facets[1].choices[0].label == "L2, Source-grounded claims"
    assert [choice.value for choice in page.chosen] == ["VERIFIED"]


def test_a_chosen_value_that_matches_nothing_can_be_taken_out_again() -> None:
    query = catalogue.Query(publisher=("Nobody",))
    page = index_page.index(
        query, catalogue.Page((), 0, exact=True, facets={"publisher": {"Somebody": 2}})
    )
    chosen = page.facets[0].choices[1]
    assert (chosen.value, chosen.count, chosen.href) == ("Nobody", 0, "/")


def test_a_facet_of_many_values_offers_the_most_frequent_and_the_chosen() -> None:
    counts = {f"Lab {n}": 100 - n for n in range(40)}
    query = catalogue.Query(publisher=("Lab 39",))
    page = index_page.index(query, catalogue.Page((), 1, exact=True, facets={"publisher": counts}))
    offered = [choice.value for choice in page.facets[0].choices]
    assert len(offered) == index_page.FACET_VALUES_MAX + 1
    assert offered[-1] == "Lab 39"
    assert page.facets[0].unlisted == 40 - len(offered)


def test_a_correction_shows_none_where_there_was_no_value() -> None:
    change = corrections.FieldChange("abstract-source", None, "10.1000/182")
    row = corrections.Correction(
        record_id=RECORD,
        handle="SRCH:B0E046B6",
        title="A small study",
        version=2,
        position=9,
        recorded_at="2026-07-10T12:00:00.000005Z",
        nature="expression_of_concern",
        public_note="The source was not named.",
        effective_on="2026-07-09",
        actor="editor",
        basis="checked",
        type="QUALITY_ASSESSMENT",
        changes=(change,),
    )
    card = corrections_page.correction_card(row)
    assert (card.nature, card.type) == ("Expression of concern", "Quality assessment")
    assert [(c.field, c.before, c.after) for c in card.changes] == [
        ("Abstract source", "none", "10.1000/182")
    ]


def test_rules_without_findings_are_listed_too() -> None:
    counts = (
        findings.RuleCount("no-test-power", 9, "Nothing was tested.", 2, 1),
        findings.RuleCount("text-cut", None, "A text is cut.", 0, 0),
    )
    query = findings.Query(rule=("no-test-power",))
    page = findings_page.all_findings(query, findings.Page((), 2, next="n"), counts)
    assert [(rule.rule, rule.chosen) for rule in page.rules] == [
        ("no-test-power", True),
        ("text-cut", False),
    ]
    assert page.paging.next == "/findings?rule=no-test-power&cursor=n"


def test_about_says_which_policy_and_gate_are_in_force() -> None:
    page = about_page.build(IN_FORCE, RECORD_EVENTS)
    assert [row.activated.text for row in page.gates] == ["10 June 2026", "not in force"]
    applies = {row.version: row.applies_to for row in page.policies}
    assert applies[PolicyVersion.V1] == "records whose facts are stated"
    assert applies[PolicyVersion.V2] == "records whose facts are checked"


# ---------------------------------------------------------------- words and addresses


@pytest.mark.parametrize(
    ("text", "href"),
    [
        ("https://example.org/a?b=c", "https://example.org/a?b=c"),
        ("10.5281/zenodo.1", "https://doi.org/10.5281/zenodo.1"),
        ("doi:10.1000/a<b", "https://doi.org/10.1000/a%3Cb"),
        ("javascript:alert(1)", None),
        ("JaVaScRiPt:alert(1)", None),
        ("data:text/html,x", None),
        ("https://example.org/ x", None),
        ('https://example.org/"onclick=', None),
        ("https://example.org\n", None),
        ("Smith et al. 2024", None),
        (None, None),
    ],
)
def test_only_web_addresses_and_dois_are_ever_linked(text: str | None, href: str | None) -> None:
    assert wording.link(text) == href


def test_figures_and_days_are_written_for_people() -> None:
    assert [wording.score(figure) for figure in ("8", "8.125", "10")] == ["8.00", "8.13", "10.00"]
    assert [wording.size(size) for size in (1, 999, 2_048, 5_242_880)] == [
        "1 byte",
        "999 bytes",
        "2.0 KiB",
        "5.0 MiB",
    ]
    assert wording.day("2026-07-03") == "3 July 2026"
    assert wording.moment("2026-07-02T03:48:27.951721Z") == "2026-07-02T03:48:27.951721+00:00"
    assert wording.percent(Decimal("0.050")) == "5%"


def test_a_name_in_an_address_is_quoted_and_a_handle_loses_its_prefix() -> None:
    assert urls.record_page("SRCH:B0E046B6") == "/records/B0E046B6"
    assert urls.record_page("10.5281/a?b#c") == "/records/10.5281/a%3Fb%23c"
    assert urls.record_corrections_page("SRCH:B0E046B6") == "/records/B0E046B6/corrections"
    assert urls.index(q="", status=(), cursor=None) == "/"
    assert urls.artifact(RECORD, "sha256:00") == f"/v1/records/{RECORD}/artifacts/sha256:00"


def test_every_kind_of_event_has_words() -> None:
    kinds = {kind.type for kind in about_page.build(IN_FORCE, RECORD_EVENTS).kinds}
    assert kinds == set(timeline.SUMMARIES) == set(wording.EVENTS)
