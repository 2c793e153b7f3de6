"""Where does a record come from, and where are its traces kept?  source-provenance-v1.

It tells who published it, what was registered and attached, and the source that an import read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal

from projections.contracts.document import (
    Basis,
    Count,
    Day,
    Digest,
    Document,
    Links,
    Part,
    Url,
    View,
    fetchable,
)

INTERPRETATION: Final = (
    "checked means that the ledger saw the evidence of a fact; stated, that a source said so. A "
    "registered external record says that the record is kept elsewhere, and not that it is true."
)
LIMITATIONS: Final = (
    "Claim lineage is a total: single claims and their sources are not public.",
    "A withheld artifact is named by its digest, and its bytes are not served: url is null.",
    "A text that was quoted names the work that it belongs to where the publisher named it.",
)


class PublicProvenance(Part):
    """The level of public provenance."""

    level: Literal[3, 4]
    label: str


class Submission(Part):
    """The current submission and the digest of its content."""

    number: Count
    digest: Digest


class ExternalRecord(Part):
    """The record at an outside registry; a source may say that there is one and not name it."""

    registered: bool
    doi: str | None
    url: Url | None


class ClaimLineage(Part):
    """The claims by what is known of their origin, as totals; null is "not known"."""

    source_grounded_claims: Count | None
    claim_record_source: Literal["parsed-source-sections", "not-publicly-specified"] | None


class Artifact(Part):
    """Attached bytes; url is null where the ledger does not serve them to everybody."""

    role: Literal[
        "proof-source",
        "repro-script",
        "repro-results",
        "report",
        "counterexample",
        "dataset",
        "other",
    ]
    digest: Digest | None
    media_type: str | None
    size_bytes: Count | None
    visibility: Literal["public", "withheld"]
    location: str | None
    basis: Basis
    url: Url | None


class Imported(Part):
    """The page that an import read: its digest, its name, and how it is laid out."""

    digest: Digest
    name: str
    dialect: Literal["plain", "table"]


class SourceProvenance(Document):
    """The provenance of a record."""

    NAME: ClassVar[str] = "source-provenance-v1"
    FILE: ClassVar[str] = "source-provenance.json"

    schema_version: Literal["1"]
    contract_version: Literal["source-provenance-v1"]
    publisher: str
    kind: Literal["synthesis", "mathematical", "empirical"]
    basis: Basis
    submitted_on: Day | None
    public_provenance: PublicProvenance
    report_artifact_available: bool
    external_record: ExternalRecord
    claim_lineage: ClaimLineage
    review_method: str | None
    submission: Submission
    content_digest: Digest
    abstract_quoted_from: str | None
    artifacts: tuple[Artifact, ...]
    imported_from: Imported | None
    note: str | None
    interpretation: str
    limitations: tuple[str, ...]


def source_provenance(view: View, links: Links) -> SourceProvenance:
    """Return the provenance of a record."""
    told, doi, source = view["provenance"], view["doi"], view["source"]
    return SourceProvenance.made(
        view,
        links,
        publisher=view["publisher"],
        kind=view["kind"],
        basis=view["basis"],
        submitted_on=view["submitted_on"],
        public_provenance={"level": told["level"], "label": told["label"]},
        report_artifact_available=told["report_artifact"],
        external_record={
            "registered": told["external_record"],
            "doi": doi,
            "url": links.doi(doi) if doi else None,
        },
        claim_lineage={
            "source_grounded_claims": told["claim_lineage"],
            "claim_record_source": view["claims"]["source"],
        },
        review_method=told["review_method"],
        submission=view["submission"],
        content_digest=view["content_digest"],
        abstract_quoted_from=view["abstract"]["quoted_from"] if view["abstract"] else None,
        artifacts=[artifact(each, links) for each in view["artifacts"]],
        imported_from=_imported(source) if source else None,
        note=view["note"],
        interpretation=INTERPRETATION,
        limitations=LIMITATIONS,
    )


def artifact(told: Mapping[str, Any], links: Links) -> dict[str, Any]:
    """Return an attached artifact with the address of its bytes, where they are public."""
    return {**told, "url": links.artifact(told["digest"]) if fetchable(told) else None}


def _imported(source: Mapping[str, Any]) -> dict[str, Any]:
    return {"digest": source["source"], "name": source["name"], "dialect": source["dialect"]}
