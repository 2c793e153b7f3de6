"""What have all public contracts in common?  A document's shape, its addresses and its schema.

Pure: a document follows from a record's public view and the addresses; it never reads a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import to_json

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

View = Mapping[str, Any]
"""A record's public view, as ``public_view.document`` makes it."""

Url = Annotated[str, Field(json_schema_extra={"format": "uri"})]
Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Day = Annotated[str, Field(json_schema_extra={"format": "date"})]
Uuid = Annotated[str, Field(json_schema_extra={"format": "uuid"})]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Figure = Annotated[
    str,
    Field(pattern=r"^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$", description="Exact, as text."),
]
Count = Annotated[int, Field(ge=0)]

# Written out and not taken from the code's own lists: a contract never follows them by itself.
Status = Literal["UNVERIFIED", "VERIFIED", "FALSIFIED"]
GateId = Literal["gate-2", "gate-3"]
TierName = Literal[
    "FLAGSHIP_CANDIDATE", "DOI_GRADE", "PUBLIC_RECORD", "WATCHLIST", "QUARANTINE_CANDIDATE"
]
Grade = Literal["UNASSESSED", "LOW", "MEDIUM", "HIGH"]
State = Literal["CURRENT", "CORRECTED", "SUPERSEDED"]
Basis = Literal["checked", "stated"]
Shown = Literal["derived", "stated"]
PolicyName = Literal["v1", "v2"]


@dataclass(frozen=True, slots=True)
class Links:
    """Every address that the documents of one record may name, absolute.

    ``documents`` and ``schemas`` are by the contract's name, ``manifest_at`` is by the version that
    was shown, ``artifact`` by digest, ``record`` by the id of another record.
    """

    page: str
    view: str
    history: str
    evaluations: str
    corrections: str
    findings: str
    documents: Mapping[str, str]
    schemas: Mapping[str, str]
    manifest_at: Callable[[int], str]
    artifact: Callable[[str], str]
    record: Callable[[str], str]
    doi: Callable[[str], str]


class Part(BaseModel):
    """A part of a document: frozen, and nothing in it that the contract does not name."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, serialize_by_alias=True
    )


class Work(Part):
    """The record that the document is about, and the version of it that the document shows."""

    record_id: Uuid
    handle: str
    title: str
    version: Annotated[int, Field(ge=1)]
    doi: str | None
    page_url: Url
    view_url: Url


class Document(Part):
    """A document under a public contract: it names the schema that it fits."""

    NAME: ClassVar[str]
    FILE: ClassVar[str]

    schema_: Url = Field(alias="schema")
    schema_version: str
    contract_version: str
    work: Work
    generated_from: str = Field(description="What the document was derived from.")

    @classmethod
    def made(cls, view: View, links: Links, **members: Any) -> Self:
        """Return the document of a view with these members; what does not fit is a fault."""
        whole = {
            "schema": links.schemas[cls.NAME],
            "schema_version": cls.NAME.rpartition("-v")[2],
            "contract_version": cls.NAME,
            "work": {
                "record_id": view["record_id"],
                "handle": view["handle"],
                "title": view["title"],
                "version": view["version"],
                "doi": view["doi"],
                "page_url": links.page,
                "view_url": links.view,
            },
            "generated_from": (
                f"The public view of {view['handle']} at version {view['version']}, "
                f"under policy {view['policy']['version']}."
            ),
        }
        return cls.model_validate(whole | members)

    def encoded(self) -> bytes:
        """Return the document as bytes to serve: compact UTF-8 JSON, members in fixed order."""
        return to_json(self, by_alias=True)


class _Plain(GenerateJsonSchema):
    """Makes schemas without the titles that pydantic derives from names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        del schema
        return False


def json_schema(model: type[Document], url: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a contract that is served under ``url``."""
    described = model.model_json_schema(mode="serialization", schema_generator=_Plain)
    described["properties"]["schema"] |= {"const": url}
    return {"$schema": DIALECT, "$id": url, **described, "title": model.NAME}


def artifact_types(view: View) -> list[str]:
    """Return the roles of the attached artifacts, each once, sorted."""
    return sorted({artifact["role"] for artifact in view["artifacts"]})


def fetchable(artifact: Mapping[str, Any]) -> bool:
    """Whether the ledger serves the bytes of an artifact to everybody."""
    checked, public = artifact["basis"] == "checked", artifact["visibility"] == "public"
    return bool(artifact["digest"] and checked and public)
