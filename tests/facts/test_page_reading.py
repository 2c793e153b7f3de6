"""A record page is read exactly: every field as printed, nothing lost, nothing guessed."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from ledger.importing.page import parse
from ledger.vocabulary import ClaimSource, Gate, Kind, Status
from page_texts import PLAIN, TABLE, changed


def test_a_plain_page_is_read_field_by_field() -> None:
    page = parse(PLAIN.encode(), "counting.txt")
    assert page.source == "sha256:" + hashlib.sha256(PLAIN.encode()).hexdigest()
    assert (page.name, page.dialect) == ("counting.txt", "plain")
    assert (page.handle, page.title) == ("SRCH:00C0FFEE", "On Counting: A Short Title")
    assert page.abstract == "Abstract: We count things, and we stop in the middle of a wor"
    assert page.research_question == "How many things are there?"
    assert page.submitted_on == date(2026, 6, 9)
    assert str(page.review_mean) == "8.50"
    assert (page.verified_claims, page.grounded_claims, page.claim_lineage) == (12, 7, 7)
    assert page.claim_source is ClaimSource.PARSED
    assert page.doi == "10.5281/zenodo.123"
    assert page.level == (2, "Source-grounded claims")
    assert page.evaluated_at == datetime(2026, 6, 11, 3, 48, 27, 951721, tzinfo=UTC)
    assert (page.tier, page.tier_basis) == ("Flagship candidate", "Everything is high.")
    assert page.dimensions == {
        "Evidence strength": "MEDIUM",
        "Citation grounding": "MEDIUM",
        "Uncertainty disclosure": "MEDIUM",
        "Reproducibility status": "HIGH",
    }
    assert (page.correction_state, page.correction_count) == ("CURRENT", 0)
    assert page.manifest_contract == "paper-manifest-v1.1"
    assert page.correction_contract == "correction-record-v1"
    assert page.publisher == "Some Publisher"
    assert page.provenance_level == (4, "External archival record")
    assert (page.report_artifact, page.external_record) == (True, True)
    assert (page.review_method, page.quality_guide) == ("Three programs", "How to read it")
    assert page.provenance_contract == "source-provenance-v1"
    assert page.note == "Written by a program."
    assert (page.unknown, page.missing) == ((), ())


def test_the_verdict_block_is_kept_as_printed_beside_the_gate_that_decided() -> None:
    page = parse(PLAIN.encode(), "counting.txt")
    assert page.verdict is not None
    assert page.verdict.status is Status.FALSIFIED
    assert page.verdict.gate is Gate.VERIFICATION
    assert page.verdict.gate_label == (
        "Gate 2 \u2014 Verification (formal proof or sandbox reproduction)"
    )
    assert page.gate is Gate.RED_TEAM
    assert f"Reason{page.verdict.reason}\n" in PLAIN
    assert page.verdict.claims_predates_activation is False


def test_a_table_page_is_read_field_by_field_and_says_what_it_lacks() -> None:
    page = parse(TABLE.encode(), "counting.md")
    assert (page.dialect, page.title) == ("table", "On Counting: A Short Title")
    assert page.abstract == "Abstract: We count things."
    assert (page.level, page.grounded_claims) == ((2, "Source-grounded claims"), 7)
    assert page.claim_source is ClaimSource.UNSPECIFIED
    assert page.evaluated_at == datetime(2026, 6, 21, 9, 30, 12, 774601, tzinfo=UTC)
    assert (page.tier, page.tier_basis) == ("DOI grade", "Enough.")
    assert page.dimensions == {"Evidence strength": "MEDIUM", "Reproducibility status": "HIGH"}
    assert page.note == "Written by a program."
    assert page.missing == ("handle", "submitted", "review score", "verified claims", "DOI")
    assert page.unknown == ()


@pytest.mark.parametrize("text", [PLAIN, TABLE])
def test_every_line_is_kept_with_its_number(text: str) -> None:
    page = parse(text.encode(), "page")
    kept = {field.line: field for field in (*page.stated, *page.unknown)}
    headings = {"Abstract", "Research Question", *(field.section for field in page.stated)}
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip() and line not in headings:
            assert kept[number].value in line
            assert (kept[number].label or "") in line


def test_a_value_that_does_not_fit_is_kept_and_named_unread() -> None:
    source = changed(
        PLAIN,
        ("SRCH:00C0FFEE", "SRCH:COFFEE"),
        ("9 June 2026", "31 June 2026"),
        ("8.50/10", "10.01/10"),
        ("Verified claims: 12", "Verified claims: a dozen"),
        ("10.5281/zenodo.123", "pending"),
        ("claims7\n", "claims-7\n"),
        ("StatusFalsified", "StatusPending"),
        (".951721+00:00", ".951721"),
        ("strength MEDIUM", "strength VAST"),
        ("artifactAvailable", "artifactSomewhere"),
    )
    page = parse(source, "page")
    assert set(page.missing) == {
        "unread: handle",
        "unread: submitted",
        "unread: review score",
        "unread: verified claims",
        "unread: DOI",
        "unread: source-grounded claims",
        "unread: status",
        "unread: evaluated",
        "unread: evidence strength",
        "unread: report artifact",
    }
    assert (page.handle, page.submitted_on, page.review_mean) == (None, None, None)
    assert (page.verdict, page.evaluated_at, page.grounded_claims) == (None, None, None)
    assert ("Submitted", "31 June 2026") in {(f.label, f.value) for f in page.stated}
    assert ("Status", "Pending") in {(f.label, f.value) for f in page.stated}


@pytest.mark.parametrize(
    ("printed", "read"),
    [("10", "10"), ("10.00", "10.00"), ("0.0", "0.0"), ("7", "7"), ("7.4999", "7.4999")],
)
def test_a_score_keeps_its_decimals(printed: str, read: str) -> None:
    page = parse(changed(PLAIN, ("8.50/10", f"{printed}/10")), "page")
    assert str(page.review_mean) == read


def test_a_score_in_foreign_digits_is_not_read() -> None:
    page = parse(changed(PLAIN, ("8.50/10", "\u0668.\u0665/10")), "page")
    assert page.review_mean is None
    assert page.missing == ("unread: review score",)


def test_an_unknown_label_and_an_unknown_section_are_kept_apart() -> None:
    source = changed(
        PLAIN,
        ("DOI: 10", "Licence: CC BY 4.0\nDOI: 10"),
        ("Quality Dimensions\n", "Funding and Thanks\n\nNobody paid.\n\nQuality Dimensions\n"),
    )
    page = parse(source, "page")
    assert [(f.section, f.label, f.value, f.line) for f in page.unknown] == [
        ("Header", "Licence", "CC BY 4.0", 12),
        ("Funding and Thanks", None, "Funding and Thanks", 47),
        ("Funding and Thanks", None, "Nobody paid.", 49),
    ]
    assert page.doi == "10.5281/zenodo.123"
    assert page.missing == ()


def test_an_unknown_row_and_an_unknown_section_of_a_table_page_are_kept_apart() -> None:
    source = changed(
        TABLE,
        ("| Note |", "| Licence | CC BY | 4.0 | |\n| Note |"),
        ("Quality Dimensions\n", "Funding\n| Grant | 12 |\nQuality Dimensions\n"),
        ("| Correction count | 0 |\n", "| Correction count | |\n"),
    )
    page = parse(source, "page")
    assert [(f.section, f.label, f.value) for f in page.unknown] == [
        ("Funding", None, "Funding"),
        ("Funding", "Grant", "12"),
        ("Correction Record", None, "| Correction count | |"),
        ("Provenance", "Licence", "CC BY | 4.0"),
    ]
    assert "correction count" in page.missing
    assert page.note == "Written by a program."


def test_a_page_cut_after_a_section_names_what_is_gone() -> None:
    page = parse(PLAIN[: PLAIN.index("Quality Dimensions")].encode(), "page")
    assert page.missing == (
        "section: Quality Dimensions",
        "section: Correction Record",
        "section: Provenance",
    )
    assert page.doi == "10.5281/zenodo.123"
    assert page.tier == "Flagship candidate"
    assert page.publisher is None


def test_a_page_cut_inside_a_value_does_not_pass_the_stump_for_the_value() -> None:
    whole = changed(PLAIN, ("claims7\n", "claims75\n")).decode()
    page = parse(whole[: whole.index("claims75") + len("claims7")].encode(), "page")
    assert page.grounded_claims is None
    assert "unread: source-grounded claims (the page breaks off there)" in page.missing
    assert page.stated[-1].value == "7"


def test_a_lost_heading_does_not_pour_its_section_into_the_research_question() -> None:
    page = parse(changed(PLAIN, ("Verification Level\n", "\n")), "page")
    assert page.research_question == "How many things are there?"
    assert page.level is None
    assert "section: Verification Level" in page.missing
    assert ("Source-grounded claims", "7") in {(f.label, f.value) for f in page.unknown}


def test_a_title_may_begin_like_a_header_line() -> None:
    page = parse(changed(TABLE, ("On Counting: A", "Verification: A")), "page")
    assert page.title == "Verification: A Short Title"


def test_an_abstract_of_several_paragraphs_keeps_its_breaks() -> None:
    page = parse(changed(PLAIN, ("of a wor\n", "of a wor.\n\nThen  we go on.\n")), "page")
    assert page.abstract is not None
    assert page.abstract.endswith("of a wor.\n\nThen  we go on.")


def test_lines_may_end_as_on_windows_and_the_file_may_have_a_byte_order_mark() -> None:
    unix = parse(PLAIN.encode(), "page")
    windows = parse(b"\xef\xbb\xbf" + PLAIN.replace("\n", "\r\n").encode(), "page")
    assert windows.model_dump(exclude={"source"}) == unix.model_dump(exclude={"source"})


def test_a_doi_may_be_printed_as_an_address() -> None:
    page = parse(changed(PLAIN, ("DOI: 10", "DOI: https://doi.org/10")), "page")
    assert page.doi == "10.5281/zenodo.123"


def test_a_doi_on_a_page_that_says_not_registered_is_not_believed() -> None:
    page = parse(changed(PLAIN, ("recordRegistered", "recordNot registered")), "page")
    assert page.registered is False
    assert page.missing == ("unread: DOI (the page also says that no record is registered)",)


def test_a_settled_verdict_without_its_moment_is_named() -> None:
    lines = [line for line in PLAIN.split("\n") if not line.startswith("Evaluated")]
    page = parse("\n".join(lines).encode(), "page")
    assert page.missing == ("evaluated",)


def test_an_unverified_page_lacks_no_moment_of_evaluation() -> None:
    reason = PLAIN[PLAIN.index("Reason[") : PLAIN.index("Evaluated")]
    source = changed(
        PLAIN,
        ("StatusFalsified", "StatusUnverified"),
        (reason, "ReasonPublished before the gate was activated (2026-06-10).\n"),
        ("Evaluated2026-06-11T03:48:27.951721+00:00\n", ""),
    )
    page = parse(source, "page")
    assert page.missing == ()
    assert page.verdict is not None
    assert page.verdict.claims_predates_activation is True
    assert page.gate is None


def test_a_correction_state_is_read_as_printed() -> None:
    source = changed(PLAIN, ("StatusCURRENT", "StatusCORRECTED"), ("count0", "count2"))
    page = parse(source, "page")
    assert (page.correction_state, page.correction_count) == ("CORRECTED", 2)


def test_a_page_may_name_its_kind() -> None:
    page = parse(changed(PLAIN, ("DOI: 10", "Kind: mathematical\nDOI: 10")), "page")
    assert page.kind is Kind.MATHEMATICAL


def test_the_mean_stays_exact() -> None:
    page = parse(changed(PLAIN, ("8.50/10", "8.07/10")), "page")
    assert page.review_mean == Decimal("8.07")
