"""Where is everything?  Every path of the service, and the function that builds it.

Every constant here is served; no template or view model may write a path by hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote, urlencode

from ledger.vocabulary import HANDLE_PREFIX
from projections.contracts import CONTRACTS

# A record is named by its id, its handle (with or without prefix) or its DOI, which holds slashes:
# so every name is a path, and the longer patterns must be registered before the shorter ones.
NAME: Final = "{address:path}"

# ---------------------------------------------------------------- pages

INDEX: Final = "/"
RECORD_PAGE: Final = f"/records/{NAME}"
RECORD_CORRECTIONS_PAGE: Final = f"/records/{NAME}/corrections"
RECORD_DIFF_PAGE: Final = f"/records/{NAME}/diff"
RECORD_HISTORY_PAGE: Final = f"/records/{NAME}/history"
CORRECTIONS_PAGE: Final = "/corrections"
FINDINGS_PAGE: Final = "/findings"
CONFLICTS_PAGE: Final = "/conflicts"
ABOUT_PAGE: Final = "/about"
VERIFICATION_PAGE: Final = "/verification"
STATIC: Final = "/static"
PROBLEMS: Final = "/problems"
PROBLEM: Final = "/problems/{code}"
SCHEMAS: Final = "/schemas"
SCHEMA: Final = "/schemas/{name}"

# ---------------------------------------------------------------- the API

RECORDS: Final = "/v1/records"
RECORD: Final = f"{RECORDS}/{NAME}"
HISTORY: Final = f"{RECORD}/history"
DIFF: Final = f"{RECORD}/diff"
RECORD_CORRECTIONS: Final = f"{RECORD}/corrections"
RECORD_FINDINGS: Final = f"{RECORD}/findings"
EVALUATIONS: Final = f"{RECORD}/evaluations"
SUBMISSIONS: Final = f"{RECORD}/submissions"
ARTIFACTS: Final = f"{RECORD}/artifacts"
GATE_EVALUATIONS: Final = f"{RECORD}/gate-evaluations"
REGISTRATIONS: Final = f"{RECORD}/registrations"
REVIEWS: Final = f"{RECORD}/reviews"
CLAIMS: Final = f"{RECORD}/claims"
SUPERSESSION: Final = f"{RECORD}/supersession"
ARTIFACT: Final = f"{ARTIFACTS}/{{digest}}"
DOCUMENTS: Final = {name: f"{RECORD}/{each.file}" for name, each in CONTRACTS.items()}
"""The documents of a record under the public contracts, by the contract's name."""

ERASURE: Final = "/v1/events/{position}/erase"
RECEIPT: Final = "/v1/events/{position}/receipt"
LOG_STATUS: Final = "/v1/log/status"
LOG_CONSISTENCY: Final = "/v1/log/consistency"
CORRECTIONS: Final = "/v1/corrections"
EVENTS: Final = "/v1/events"
FINDINGS: Final = "/v1/findings"
CONFLICTS: Final = "/v1/conflicts"
STATUS: Final = "/v1/status"
OPENAPI: Final = "/v1/openapi.json"

# ---------------------------------------------------------------- the signed log, for any C2SP tool

CHECKPOINT: Final = "/log/checkpoint"
TILE: Final = "/log/tile/{place:path}"
VKEY: Final = "/log/vkey"

# ---------------------------------------------------------------- elsewhere

HEALTHZ: Final = "/healthz"
READYZ: Final = "/readyz"
METRICS: Final = "/metrics"

DOI_RESOLVER: Final = "https://doi.org/"

IN_PATHS: Final = {
    "address": {
        "schema": {"type": "string", "minLength": 1},
        "description": "A record, by its id, its handle (with or without its prefix) or its DOI.",
        "example": "SRCH:B0E046B6",
    },
    "digest": {
        "schema": {"type": "string", "minLength": 1},
        "description": "The digest of an artifact's bytes, `sha256:` and 64 hexadecimal digits.",
    },
    "position": {
        "schema": {"type": "integer", "minimum": 1},
        "description": "Where an event stands in the log.",
    },
}
"""What stands in a path of the API, for its description."""

Parameters = Mapping[str, str | int | Sequence[str | int] | None]


def name(id_: str) -> str:
    """Return a record's name as it stands in a path, quoted; a handle without its prefix."""
    return quote(id_.removeprefix(HANDLE_PREFIX), safe="/")


def filled(pattern: str, id_: str) -> str:
    """Return a pattern with the record's name in it: ``filled(HISTORY, handle)``."""
    return pattern.replace(NAME, name(id_))


def with_query(path: str, parameters: Parameters) -> str:
    """Return the path with a query string; parameters that are None or empty are left out."""
    kept = {key: value for key, value in parameters.items() if value not in (None, "", (), [])}
    return f"{path}?{urlencode(kept, doseq=True)}" if kept else path


def index(**parameters: str | int | Sequence[str | int] | None) -> str:
    """Return the address of the index under a search and filters."""
    return with_query(INDEX, parameters)


def record_page(id_: str) -> str:
    """Return the address of a record's page."""
    return filled(RECORD_PAGE, id_)


def record_corrections_page(id_: str) -> str:
    """Return the address of the page with a record's correction history."""
    return filled(RECORD_CORRECTIONS_PAGE, id_)


def record_history_page(id_: str, before: int | None = None) -> str:
    """Return the address of a record's timeline, its newest part or that before a version."""
    return with_query(filled(RECORD_HISTORY_PAGE, id_), {"before": before})


def record_diff_page(id_: str, **points: str | int | None) -> str:
    """Return the address of the page with what changed on a record between two points."""
    return with_query(filled(RECORD_DIFF_PAGE, id_), points)


def corrections_page(**parameters: str | int | Sequence[str | int] | None) -> str:
    """Return the address of the page of all corrections."""
    return with_query(CORRECTIONS_PAGE, parameters)


def findings_page(**parameters: str | int | Sequence[str | int] | None) -> str:
    """Return the address of the page of all findings."""
    return with_query(FINDINGS_PAGE, parameters)


def conflicts_page(**parameters: str | int | Sequence[str | int] | None) -> str:
    """Return the address of the page of conflicts, of all records or of one."""
    return with_query(CONFLICTS_PAGE, parameters)


def receipt(position: int) -> str:
    """Return the address of an event's receipt."""
    return RECEIPT.replace("{position}", str(position))


def problem(code: str) -> str:
    """Return the address of the page that explains a refusal's code."""
    return PROBLEM.replace("{code}", quote(code, safe=""))


def static(file: str, fingerprint: str | None = None) -> str:
    """Return the address of a static file; the fingerprint changes when its bytes do."""
    return with_query(f"{STATIC}/{quote(file)}", {"v": fingerprint})


def record(id_: str) -> str:
    """Return the address of a record's public view."""
    return filled(RECORD, id_)


def history(id_: str) -> str:
    """Return the address of a record's events."""
    return filled(HISTORY, id_)


def diff(id_: str, **points: str | int | None) -> str:
    """Return the address of what changed on a record between two points."""
    return with_query(filled(DIFF, id_), points)


def record_corrections(id_: str) -> str:
    """Return the address of a record's correction history."""
    return filled(RECORD_CORRECTIONS, id_)


def evaluations(id_: str) -> str:
    """Return the address of a record's evaluations."""
    return filled(EVALUATIONS, id_)


def record_findings(id_: str) -> str:
    """Return the address of the findings on a record."""
    return filled(RECORD_FINDINGS, id_)


def document(contract: str, id_: str) -> str:
    """Return the address of a record's document under a contract, by the contract's name."""
    return filled(DOCUMENTS[contract], id_)


def schema(contract: str) -> str:
    """Return the address of a contract's schema."""
    return SCHEMA.replace("{name}", quote(contract, safe=""))


def artifact(id_: str, digest: str) -> str:
    """Return the address of the bytes of a record's artifact."""
    return filled(ARTIFACT, id_).replace("{digest}", quote(digest, safe=":"))


def records(**parameters: str | int | Sequence[str | int] | None) -> str:
    """Return the address of the list of records."""
    return with_query(RECORDS, parameters)


def corrections(**parameters: str | int | Sequence[str | int] | None) -> str:
    """Return the address of the list of all corrections."""
    return with_query(CORRECTIONS, parameters)


def findings(**parameters: str | int | Sequence[str | int] | None) -> str:
    """Return the address of the list of all findings."""
    return with_query(FINDINGS, parameters)


def doi(value: str) -> str:
    """Return the address at which a DOI resolves."""
    return DOI_RESOLVER + quote(value, safe="/:;()._-")
