"""The public contracts: what was promised stays, every document fits, and the schemas bite.

A golden schema is named by its contract, for a ledger at https://ledger.example.  To add one: write
what ``contract.schema`` gives, with an indent of 2 and a newline, and its line in SHA256SUMS.
"""

from __future__ import annotations

import hashlib
import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from given import GATES
from given_contracts import BASE, documents, errors, fits, mutants, schema, written
from given_histories import histories
from golden_events import GOLDEN as EVENTS
from ledger.content import ClaimCounts
from ledger.events import ClaimsCounted, Event
from ledger.in_force import InForce
from ledger.vocabulary import (
    ArtifactRole,
    AskedBy,
    AttackerRole,
    ClaimSource,
    CorrectionType,
    Gate,
    Kind,
    Method,
    Nature,
    Outcome,
    PolicyVersion,
    Status,
    Visibility,
)
from ledger.web.links import links
from projections import public_view, selection
from projections.contracts import CONTRACTS, math_result
from projections.contracts.tiers import THRESHOLDS, Threshold
from projections.policy import DIMENSIONS, Grade, Inputs, Level, Tier, derive
from projections.verdict import ReasonCode, State
from view_facts import RECORD, submitted

GOLDEN = Path(__file__).parent / "golden" / "contracts"

REQUIRED = {
    "gate-verdict-v1": "status label definition reason evaluated_at gate enforcement",
    "correction-record-v1": "contract_updated generated_from publisher work manifest "
    "correction_state correction_count last_corrected_at correction_events "
    "known_superseded_manifest_urls policy interpretation limitations",
    "quality-tiers-v1": "tier basis generated_from inputs thresholds enforcement limitations",
    "verification-levels-v1": "paper_level paper_level_key paper_level_label basis generated_from "
    "claim_summary artifact_types levels unsupported_upper_levels enforcement limitations",
    "quality-dimensions-v1": "dimensions interpretation limitations",
    "math-result-v1": "publisher result verification artifact_set interpretation limitations",
    "paper-manifest-v1.1": "work publisher verification_level gate_verdict quality_tier "
    "quality_dimensions correction_record provenance documents",
    "source-provenance-v1": "publisher public_provenance external_record claim_lineage artifacts",
}
PARTS = {
    ("correction-record-v1", "Manifest"): "schema contract_version contract_updated "
    "current_manifest_url correction_record_url",
    ("correction-record-v1", "CorrectionEvent"): "event_id corrected_at correction_type "
    "public_note affected_fields",
    ("correction-record-v1", "CorrectionPolicy"): "corrections_are_additive "
    "no_silent_public_rewrites private_operational_logs_public basis",
    ("quality-tiers-v1", "TierInputs"): "review_score verified_claim_count artifact_types "
    "reproducibility_level",
    ("verification-levels-v1", "ClaimSummary"): "source_grounded_claims aggregate_claim_records "
    "claim_record_source per_claim_public_records per_claim_public_record_count "
    "cross_source_corroborated_claims artifact_inspected_claims sandbox_executed_claims "
    "independently_reproduced_claims externally_reviewed_or_formally_verified_claims",
    ("quality-dimensions-v1", "Dimensions"): " ".join(DIMENSIONS),
    ("quality-dimensions-v1", "DimensionShown"): "score level basis definition",
    ("math-result-v1", "Result"): "id problem_id problem_name domain statement status url doi",
    ("math-result-v1", "Verification"): "state label proof_claim method result n_cases "
    "counterexample_available cpu_seconds lean4_source_public",
    ("math-result-v1", "Attached"): "type label url format",
}
"""What the contracts of the published pages require; ours may say more, and never less."""


# ------------------------------------------------------------ a contract is never changed


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_schema_comes_out_as_it_was_first_served(name: str) -> None:
    assert (GOLDEN / f"{name}.schema.json").read_text(encoding="utf-8") == written(name), (
        "A contract that was served is never edited: give the new shape a new version and name."
    )


def test_no_golden_schema_was_ever_changed_or_removed() -> None:
    lines = (GOLDEN / "SHA256SUMS").read_text(encoding="ascii").splitlines()
    sums = {name: digest for digest, name in (line.split("  ") for line in lines)}
    files = {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in GOLDEN.glob("*.json")}
    assert files == sums
    assert len(sums) == len(lines)
    assert {f"{name}.schema.json" for name in CONTRACTS} <= set(sums)


# ------------------------------------------------------------ the shapes


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_schema_is_one_of_2020_12_and_leaves_nothing_open(name: str) -> None:
    whole = schema(name)
    jsonschema.Draft202012Validator.check_schema(whole)
    assert whole["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert whole["$id"] == whole["properties"]["schema"]["const"] == f"{BASE}/schemas/{name}"
    assert whole["properties"]["contract_version"]["const"] == name
    assert whole["properties"]["schema_version"]["const"] == name.rpartition("-v")[2]
    shapes = [whole, *whole["$defs"].values()]
    for shape in shapes:
        assert shape["type"] == "object", shape
        assert shape["additionalProperties"] is False
        assert set(shape["required"]) == set(shape["properties"])


def test_every_required_member_of_the_published_contracts_is_required() -> None:
    assert set(REQUIRED) == set(CONTRACTS)
    for name, members in REQUIRED.items():
        common = {"schema", "schema_version", "contract_version"}
        assert common | set(members.split()) <= set(schema(name)["required"]), name
    for (name, part), members in PARTS.items():
        assert set(members.split()) <= set(schema(name)["$defs"][part]["required"]), part


ENUMERATIONS: list[tuple[str, str, str, Any]] = [
    # contract, part ("" for the document), member, and the list that it has to be
    ("gate-verdict-v1", "", "status", Status),
    ("gate-verdict-v1", "", "gate_id", Gate),
    ("gate-verdict-v1", "", "reason_code", get_args(ReasonCode)),
    ("correction-record-v1", "", "correction_state", ("CURRENT", "CORRECTED", "SUPERSEDED")),
    ("correction-record-v1", "", "standing", public_view.GRAVITY),
    ("correction-record-v1", "CorrectionEvent", "correction_type", CorrectionType),
    ("correction-record-v1", "CorrectionEvent", "nature", Nature),
    ("correction-record-v1", "Erasure", "asked_by", AskedBy),
    ("quality-tiers-v1", "", "tier", Tier),
    ("quality-tiers-v1", "", "policy_version", PolicyVersion),
    ("quality-tiers-v1", "TierInputs", "reproducibility_level", Grade),
    ("quality-dimensions-v1", "DimensionShown", "level", Grade),
    ("verification-levels-v1", "ClaimSummary", "claim_record_source", ClaimSource),
    ("math-result-v1", "Verification", "state", tuple(math_result.LABELS)),
    ("math-result-v1", "Verification", "method", Method),
    ("math-result-v1", "Result", "status", Status),
    (
        "math-result-v1",
        "Attached",
        "type",
        {"manifest", "external_record", *(role.replace("-", "_") for role in ArtifactRole)},
    ),
    ("source-provenance-v1", "", "kind", Kind),
    ("source-provenance-v1", "Artifact", "role", ArtifactRole),
    ("source-provenance-v1", "Artifact", "visibility", Visibility),
    ("paper-manifest-v1.1", "Evaluation", "outcome", Outcome),
    ("paper-manifest-v1.1", "Evaluation", "state", get_args(State)),
    ("paper-manifest-v1.1", "Attack", "role", AttackerRole),
]


@pytest.mark.parametrize(("name", "part", "member", "values"), ENUMERATIONS)
def test_an_enumeration_has_every_value_that_there_is(
    name: str, part: str, member: str, values: Any
) -> None:
    shape = schema(name)["$defs"][part] if part else schema(name)
    found = shape["properties"][member]
    for choice in found.get("anyOf", [found]):
        if "enum" in choice:
            assert set(choice["enum"]) == {str(value) for value in values}
            return
    pytest.fail(f"{member} is no enumeration")


def test_the_ladder_and_the_dimensions_are_whole() -> None:
    levels = schema("verification-levels-v1")
    assert (levels["properties"]["paper_level"]["minimum"], len(Level)) == (0, 8)
    assert levels["properties"]["paper_level"]["maximum"] == max(Level)
    assert set(schema("quality-dimensions-v1")["$defs"]["Dimensions"]["properties"]) == set(
        DIMENSIONS
    )


# ------------------------------------------------------------ every document fits, and bites

thorough = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def view_of(events: tuple[Event, ...], policy: PolicyVersion) -> dict[str, Any]:
    in_force = InForce(gates=GATES, policies={"checked": policy, "stated": policy})
    return public_view.fold(events, in_force)


@thorough
@given(histories(), st.sampled_from(PolicyVersion))
def test_every_document_of_any_record_fits_its_schema(
    events: tuple[Event, ...], policy: PolicyVersion
) -> None:
    view = view_of(events, policy)
    made = documents(view)
    assert set(CONTRACTS) - set(made) <= {"math-result-v1"}
    for name, document in made.items():
        assert document["contract_version"] == name
        assert errors(document, name) == []
    listed = {each["contract"]: each for each in made["paper-manifest-v1.1"]["documents"]}
    assert {name for name, each in listed.items() if each["url"]} == set(made) - {
        "paper-manifest-v1.1"
    }
    assert all((each["url"] is None) == bool(each["not_applicable"]) for each in listed.values())


@settings(thorough, max_examples=40)
@given(histories(), st.data())
def test_what_was_in_effect_at_a_moment_has_documents_that_fit(
    events: tuple[Event, ...], data: st.DataObject
) -> None:
    first, *others = events
    in_effect = [first, *(event for event in others if data.draw(st.booleans()))]
    body = selection.body(selection.folded(in_effect), InForce(gates=GATES))
    for name, document in documents(json.loads(body)).items():
        assert errors(document, name) == []


@settings(thorough, max_examples=8)
@given(histories(), st.sampled_from(PolicyVersion))
def test_nothing_can_be_added_left_out_or_mistyped(
    events: tuple[Event, ...], policy: PolicyVersion
) -> None:
    for name, document in documents(view_of(events, policy)).items():
        if name == "paper-manifest-v1.1":
            # A policy that is not there needs no answer of its own.
            document["policy"]["others"] = {}
            document["evaluations"] = document["evaluations"][:2]
        for what, mutant in mutants(document):
            if what.startswith(("policy/others", "policy/version")) and "without" in what:
                continue
            assert not fits(mutant, name), (name, what)


WRONG: list[tuple[str, str, Any]] = [
    ("gate-verdict-v1", "status", "PROBABLY"),
    ("gate-verdict-v1", "evaluated_at", "yesterday"),
    ("gate-verdict-v1", "evaluated_at", "2026-07-02"),
    ("gate-verdict-v1", "schema", "https://elsewhere.example/schemas/gate-verdict-v1"),
    ("gate-verdict-v1", "contract_version", "gate-verdict-v2"),
    ("gate-verdict-v1", "evaluations_url", "not an address"),
    ("correction-record-v1", "correction_count", -1),
    ("correction-record-v1", "correction_state", "FINE"),
    ("correction-record-v1", "last_corrected_at", "2026-02-30"),
    ("correction-record-v1", "known_superseded_manifest_urls", ["no address"]),
    ("quality-tiers-v1", "tier", "GOLD"),
    ("verification-levels-v1", "paper_level", 8),
    ("verification-levels-v1", "paper_level", "2"),
    ("source-provenance-v1", "content_digest", "sha256:0"),
    ("paper-manifest-v1.1", "schema_version", "1"),
]


@pytest.mark.parametrize(("name", "member", "value"), WRONG)
def test_a_value_that_is_wrong_is_found(name: str, member: str, value: Any) -> None:
    document = sample(name)
    assert fits(document, name)
    assert not fits(document | {member: value}, name)


def test_an_erasure_is_said_in_manifest_and_correction_record() -> None:
    erased = EVENTS["payload.erased.1.json"].model_copy(
        update={"originator_id": RECORD, "originator_version": 2}
    )
    view = view_of((submitted()(RECORD, 1), erased), PolicyVersion.V2)
    made = documents(view)
    for name in ("paper-manifest-v1.1", "correction-record-v1"):
        (told,) = made[name]["erasures"]
        assert told["members"] == ["/content/abstract/text", "/content/note"]
        assert (told["asked_by"], told["recorded_as"]) == ("data-subject", 2)
        assert errors(made[name], name) == []
        assert not fits(made[name] | {"erasures": [told | {"asked_by": "nobody"}]}, name)


def test_the_three_counters_are_not_one() -> None:
    document = sample("verification-levels-v1")
    summary = document["claim_summary"]
    assert summary["aggregate_claim_records"] == 6
    assert (summary["source_grounded_claims"], summary["independently_verified_claims"]) == (5, 4)
    more = document | {"claim_summary": summary | {"per_claim_public_records": ["a claim"]}}
    assert not fits(more, "verification-levels-v1")


def sample(name: str) -> dict[str, Any]:
    opened = submitted()(RECORD, 1)
    counted = ClaimsCounted(
        originator_id=RECORD,
        originator_version=2,
        actor="pipeline",
        claims=ClaimCounts(extracted=6, grounded=5, verified=4),
        claim_source=ClaimSource.PARSED,
        counted_on=date(2026, 7, 2),
    )
    return documents(view_of((opened, counted), PolicyVersion.V2))[name]


# ------------------------------------------------------------ what they say is so


def _applies(rule: Threshold, given_: Inputs, claims: int, reproducibility: Grade) -> bool:
    asks_score = (rule.review_score_min, rule.review_score_below) != (None, None)
    if given_.score is None and asks_score:
        return False
    score = given_.score if given_.score is not None else Decimal(0)
    return all(
        (
            rule.review_score_min is None or score >= Decimal(str(rule.review_score_min)),
            rule.review_score_below is None or score < Decimal(str(rule.review_score_below)),
            rule.claims_min is None or claims >= rule.claims_min,
            rule.reproducibility_level in (None, reproducibility.value),
            rule.falsified is None or rule.falsified == (given_.status is Status.FALSIFIED),
        )
    )


@settings(max_examples=400)
@given(
    st.builds(
        Inputs,
        score=st.none() | st.decimals(0, 10, places=2) | st.sampled_from([Decimal("7.5")]),
        grounded=st.none() | st.integers(0, 7),
        verified=st.none() | st.integers(0, 7),
        registered=st.booleans(),
        status=st.sampled_from(Status),
        bundled=st.booleans(),
    ),
    st.sampled_from(PolicyVersion),
)
def test_the_thresholds_are_those_of_the_policy(inputs: Inputs, policy: PolicyVersion) -> None:
    derived = derive(policy, inputs)
    claims = inputs.verified or 0
    if policy is PolicyVersion.V1 and inputs.verified is None:
        claims = inputs.grounded or 0
    reproducibility = derived.dimensions["reproducibility_status"]
    rules = THRESHOLDS[policy.value]
    found = next(r for r in rules if _applies(r, inputs, claims, reproducibility))
    assert found.tier == derived.tier.value


def test_a_base_address_may_end_in_a_slash() -> None:
    view = {"record_id": "x", "handle": "SRCH:00000001"}
    assert links(f"{BASE}/", view).page == links(BASE, view).page == f"{BASE}/records/00000001"
