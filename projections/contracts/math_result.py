"""What does a mathematical record state, and how far was it proved or refuted?  math-result-v1.

Only for records of the kind ``mathematical`` that something was evaluated on: a state without any
evidence would be invented.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from projections.contracts.document import (
    Count,
    Document,
    Links,
    Part,
    Status,
    Url,
    Uuid,
    View,
    fetchable,
)

Proved = Literal[
    "FALSIFIED", "COMPUTATIONAL_EVIDENCE", "FORMAL_PROOF_ATTEMPTED", "FORMAL_PROOF_VERIFIED"
]

LABELS: Final = {
    "FALSIFIED": "Falsified",
    "COMPUTATIONAL_EVIDENCE": "Computational evidence",
    "FORMAL_PROOF_ATTEMPTED": "Formal proof attempted",
    "FORMAL_PROOF_VERIFIED": "Formal proof verified",
}
PROOF_CLAIMS: Final = {
    "FALSIFIED": "A gate failed; nothing is claimed to be proved.",
    "COMPUTATIONAL_EVIDENCE": "Cases were computed; a proof is not claimed.",
    "FORMAL_PROOF_ATTEMPTED": "A formal proof was attempted and does not settle the statement.",
    "FORMAL_PROOF_VERIFIED": "A Lean 4 proof type-checks.",
}
INTERPRETATION: Final = (
    "A verified formal proof proves what its source states in Lean 4, which people have to compare "
    "with the statement in words. Computed cases prove nothing about those that were not computed."
)
LIMITATIONS: Final = (
    (
        "The ledger keeps no catalogue of problems: problem_id and domain are null, and the name "
        "is the record's title."
    ),
    "The ledger is not told how much time an evaluation took: cpu_seconds is null.",
    "Only evaluations that count for the current submission are looked at.",
)
OTHER_KIND: Final = "The record is not of the kind mathematical."
NOTHING_EVALUATED: Final = "No evaluation of a kind that this contract speaks of counts yet."

_CASES: Final = ("sandbox", "counterexample")


class Result(Part):
    """The mathematical statement and what became of it."""

    id: Uuid
    problem_id: str | None
    problem_name: str
    domain: str | None
    statement: str | None = Field(
        description="The research question, else the abstract; null: there is neither."
    )
    status: Status
    url: Url
    doi: str | None


class Verification(Part):
    """How far the statement was proved or refuted."""

    state: Proved
    label: str
    proof_claim: str
    method: Literal["lean4", "sandbox", "red-team", "counterexample"] | None
    result: str
    n_cases: Count | None = Field(
        description="How many cases were computed, a sandbox run being one; null: not told."
    )
    counterexample_available: bool
    cpu_seconds: Annotated[float, Field(ge=0)] | None
    lean4_source_public: bool


class Attached(Part):
    """Something that belongs to the result; url is null where the bytes are not public here."""

    type: Literal[
        "manifest",
        "external_record",
        "proof_source",
        "repro_script",
        "repro_results",
        "report",
        "counterexample",
        "dataset",
        "other",
    ]
    label: str
    url: Url | None
    format: str | None


class MathResult(Document):
    """The result of a mathematical record and the state of its verification."""

    NAME: ClassVar[str] = "math-result-v1"
    FILE: ClassVar[str] = "math-result.json"

    schema_version: Literal["1"]
    contract_version: Literal["math-result-v1"]
    publisher: str
    result: Result
    verification: Verification
    artifact_set: tuple[Attached, ...]
    interpretation: str
    limitations: tuple[str, ...]


def not_applicable(view: View) -> str | None:
    """Return why there is no such document for a record, None where there is one."""
    if view["kind"] != "mathematical":
        return OTHER_KIND
    return None if _state(view) else NOTHING_EVALUATED


def math_result(view: View, links: Links) -> MathResult:
    """Return the result of a mathematical record; raises ValueError where there is none."""
    state = _state(view)
    if state is None or view["kind"] != "mathematical":
        raise ValueError(not_applicable(view))
    abstract = view["abstract"]["text"] if view["abstract"] else None
    return MathResult.made(
        view,
        links,
        publisher=view["publisher"],
        result={
            "id": view["record_id"],
            "problem_id": None,
            "problem_name": view["title"],
            "domain": None,
            "statement": view["research_question"] or abstract,
            "status": view["verdict"]["status"],
            "url": links.page,
            "doi": view["doi"],
        },
        verification={
            "state": state,
            "label": LABELS[state],
            "proof_claim": PROOF_CLAIMS[state],
            "method": _method(view),
            "result": view["verdict"]["reason"]["text"],
            "n_cases": _cases(view),
            "counterexample_available": _public(view, "counterexample"),
            "cpu_seconds": None,
            "lean4_source_public": _public(view, "proof-source"),
        },
        artifact_set=list(_artifacts(view, links)),
        interpretation=INTERPRETATION,
        limitations=LIMITATIONS,
    )


def _counting(view: View) -> list[dict[str, Any]]:
    return [e for e in view["evaluations"] if e["state"] == "counting"]


def _deciding(view: View) -> dict[str, Any] | None:
    decided_by = view["verdict"]["evaluation_id"]
    return next((e for e in _counting(view) if e["evaluation_id"] == decided_by), None)


def _state(view: View) -> Proved | None:
    status, deciding = view["verdict"]["status"], _deciding(view)
    if status == "FALSIFIED":
        return "FALSIFIED"
    if status == "VERIFIED" and deciding and deciding["method"] == "lean4":
        return "FORMAL_PROOF_VERIFIED"
    methods = {e["method"] for e in _counting(view)}
    if "lean4" in methods:
        return "FORMAL_PROOF_ATTEMPTED"
    return "COMPUTATIONAL_EVIDENCE" if methods & {*_CASES} else None


def _method(view: View) -> str | None:
    """Return the method of the evaluation that decided, else of the last one that counts."""
    last = _deciding(view) or next(reversed(_counting(view)), None)
    return last["method"] if last else None


def _cases(view: View) -> int | None:
    """Return how many cases the evaluations that count computed, None if one does not say."""
    found = [e["evidence"] for e in _counting(view) if e["method"] in _CASES]
    told = [_cases_of(evidence) for evidence in found]
    return None if None in told else sum(filter(None, told))


def _cases_of(evidence: dict[str, Any] | None) -> int | None:
    if evidence is None:
        return None
    cases: int | None = 1 if evidence["kind"] == "sandbox" else evidence["cases_tried"]
    return cases


def _public(view: View, role: str) -> bool:
    return any(fetchable(a) for a in view["artifacts"] if a["role"] == role)


def _artifacts(view: View, links: Links) -> Iterator[dict[str, Any]]:
    manifest = links.documents["paper-manifest-v1.1"]
    yield {"type": "manifest", "label": "Manifest", "url": manifest, "format": "application/json"}
    for artifact in view["artifacts"]:
        yield {
            "type": artifact["role"].replace("-", "_"),
            "label": artifact["role"].replace("-", " ").capitalize(),
            "url": links.artifact(artifact["digest"]) if fetchable(artifact) else None,
            "format": artifact["media_type"],
        }
    if view["doi"]:
        where = links.doi(view["doi"])
        yield {"type": "external_record", "label": view["doi"], "url": where, "format": None}
