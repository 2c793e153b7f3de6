"""A record's page and its documents under the contracts say the same, field by field."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from given import GATES
from given_contracts import BASE, documents
from given_histories import histories
from ledger.events import Event
from ledger.in_force import InForce
from ledger.vocabulary import PolicyVersion
from ledger.web import record_page, wording
from ledger.web.fact import Fact, at_moment, counted, on_day
from projections import public_view
from projections.contracts import CONTRACTS

Json = dict[str, Any]

thorough = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def view_of(events: tuple[Event, ...], policy: PolicyVersion) -> tuple[Json, InForce]:
    in_force = InForce(gates=GATES, policies={"checked": policy, "stated": policy})
    view = json.loads(public_view.encoded(public_view.fold(events, in_force)))
    return view, in_force


def texts(facts: tuple[Fact, ...]) -> dict[str, str]:
    return {fact.label: fact.text for fact in facts}


@thorough
@given(histories(), st.sampled_from(PolicyVersion))
def test_the_page_says_what_the_documents_say(
    events: tuple[Event, ...], policy: PolicyVersion
) -> None:
    view, in_force = view_of(events, policy)
    page = record_page.build(record_page.Given(view, (), (), in_force))
    made = documents(view)
    _verdict(page, made["gate-verdict-v1"])
    _level(page, made["verification-levels-v1"])
    _quality(page, made["quality-tiers-v1"], made["quality-dimensions-v1"])
    _corrections(page, made["correction-record-v1"])
    _provenance(page, made["source-provenance-v1"])
    _head(page, made["paper-manifest-v1.1"])
    linked = {row.contract: row.href for row in page.documents if row.href}
    assert set(linked) == set(made)
    listed = made["paper-manifest-v1.1"]["documents"]
    assert {each["contract"]: each["url"] for each in listed if each["url"]} == {
        name: BASE + href for name, href in linked.items() if name != "paper-manifest-v1.1"
    }


def _verdict(page: record_page.RecordPage, told: Json) -> None:
    facts = texts(page.verdict.facts)
    assert (page.verdict.status, page.verdict.label) == (told["status"], told["label"])
    assert page.verdict.meaning == told["definition"]
    assert page.verdict.basis == told["basis"]
    assert (facts["Status"], facts["Gate"]) == (told["label"], told["gate"])
    assert facts["Reason"] == told["reason"]
    evaluated = at_moment("Evaluated", told["evaluated_at"], facts["Evaluated"])
    assert facts["Evaluated"] == evaluated.text
    assert facts["Decided by"].startswith("no gate") == (told["decided_by"] is None)
    assert len(page.evaluations) == told["evaluation_count"]


def _level(page: record_page.RecordPage, told: Json) -> None:
    facts, summary = texts(page.level), told["claim_summary"]
    assert facts["Paper level"] == f"L{told['paper_level']}, {told['paper_level_label']}"
    source = summary["claim_record_source"]
    assert facts["Claim record source"] == wording.CLAIM_SOURCES.get(source, "not stated")
    counters = texts(page.counters)
    for label, member in (
        ("Extracted claims", "aggregate_claim_records"),
        ("Source-grounded claims", "source_grounded_claims"),
        ("Independently verified claims", "independently_verified_claims"),
    ):
        assert counters[label] == counted(label, summary[member]).text
    ladder = [level["level"] for level in told["levels"]]
    above = [level["level"] for level in told["unsupported_upper_levels"]]
    assert ladder == list(range(8))
    assert above == list(range(told["paper_level"] + 1, 8))


def _quality(page: record_page.RecordPage, tier: Json, dimensions: Json) -> None:
    facts = texts(page.quality.tier)
    assert (facts["Tier"], facts["Basis"]) == (tier["label"], tier["basis"])
    assert facts["Policy"] == tier["policy_version"] == dimensions["policy_version"]
    assert page.quality.tier_source == tier["source"]
    told = dimensions["dimensions"].values()
    shown = [(each.label, each.level, each.stated) for each in page.quality.dimensions]
    assert shown == [
        (each["label"], each["level"], each["source"] == "stated")
        for each in told
        if each["level"] != "UNASSESSED"
    ]
    hidden = tuple(each["label"] for each in told if each["level"] == "UNASSESSED")
    assert page.quality.unassessed == hidden
    reproducibility = dimensions["dimensions"]["reproducibility_status"]["level"]
    assert tier["inputs"]["reproducibility_level"] == reproducibility


def _corrections(page: record_page.RecordPage, told: Json) -> None:
    facts = texts(page.corrections)
    assert facts["Status"] == told["correction_state"]
    assert facts["Correction count"] == str(told["correction_count"])
    assert told["correction_count"] == len(told["correction_events"])
    assert len(told["known_superseded_manifest_urls"]) == len(told["correction_events"])
    last = on_day("Last corrected", told["last_corrected_at"], "never")
    assert facts["Last corrected"] == last.text
    days = [event["corrected_at"] for event in told["correction_events"]]
    assert told["last_corrected_at"] == max(days, default=None)
    assert facts["Standing"] == wording.STANDINGS[told["standing"]]
    assert facts["Manifest contract"] == told["manifest"]["contract_version"]
    assert facts["Correction contract"] == told["contract_version"]


def _provenance(page: record_page.RecordPage, told: Json) -> None:
    facts = texts(page.provenance)
    public, external = told["public_provenance"], told["external_record"]
    assert facts["Publisher"] == told["publisher"]
    assert facts["Kind"] == wording.KINDS[told["kind"]]
    assert facts["Public provenance"] == f"L{public['level']}, {public['label']}"
    available = told["report_artifact_available"]
    assert facts["Report artifact"] == ("Available" if available else "Not available")
    registered = external["registered"]
    assert facts["External record"] == ("Registered" if registered else "Not registered")
    grounded = told["claim_lineage"]["source_grounded_claims"]
    assert facts["Claim lineage"].startswith("not known" if grounded is None else f"{grounded} ")
    assert facts["Review method"] == (told["review_method"] or "not stated")
    assert facts["Submission"] == str(told["submission"]["number"])
    assert facts["Digest as submitted"] == told["submission"]["digest"]
    assert facts["Digest as shown"] == told["content_digest"]
    assert facts["Provenance contract"] == told["contract_version"]
    assert facts["Note"] == (told["note"] or "none")
    rows = [(row.digest, row.href and BASE + row.href) for row in page.artifacts]
    assert rows == [(each["digest"], each["url"]) for each in told["artifacts"]]


def _head(page: record_page.RecordPage, told: Json) -> None:
    work, facts = told["work"], texts(page.head.facts)
    assert (page.head.handle, page.head.title) == (work["handle"], work["title"])
    assert page.head.version == work["version"]
    assert facts["Submitted"] == on_day("Submitted", told["submitted_on"], facts["Submitted"]).text
    mean = told["review"]["mean"] if told["review"] else None
    assert facts["Review score"] == (f"{wording.score(mean)}/10" if mean else "none")
    assert facts["Gate status"] == told["gate_verdict"]["label"]
    assert facts["Quality tier"] == told["quality_tier"]["label"]
    assert (page.abstract.text if page.abstract else None) == (
        told["abstract"]["text"] if told["abstract"] else None
    )
    assert page.research_question == told["research_question"]


@thorough
@given(histories(), st.sampled_from(PolicyVersion))
def test_the_manifest_is_the_view_and_every_other_document_is_part_of_it(
    events: tuple[Event, ...], policy: PolicyVersion
) -> None:
    view, _in_force = view_of(events, policy)
    made = documents(view)
    manifest = made["paper-manifest-v1.1"]
    renamed = {
        "level": "verification_level",
        "verdict": "gate_verdict",
        "tier": "quality_tier",
        "dimensions": "quality_dimensions",
        "source": "source_page",
    }
    elsewhere = {"record_id", "handle", "version", "title", "contracts"}
    different = {"corrections", "artifacts", "superseded_by"}
    for member in set(view) - elsewhere - different:
        assert manifest[renamed.get(member, member)] == view[member], member
    corrections = {**manifest["correction_record"]}
    assert corrections.pop("events") == made["correction-record-v1"]["correction_events"]
    assert corrections | {"entries": view["corrections"]["entries"]} == view["corrections"]
    assert manifest["artifacts"] == made["source-provenance-v1"]["artifacts"]
    assert [{**a, "url": None} for a in manifest["artifacts"]] == [
        {**a, "url": None} for a in view["artifacts"]
    ]
    successor = manifest["superseded_by"]
    assert (successor["record_id"] if successor else None) == view["superseded_by"]


def test_the_view_names_contracts_that_there_are() -> None:
    assert set(public_view.CONTRACTS.values()) <= set(CONTRACTS)
