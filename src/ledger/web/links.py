"""Which addresses does a document of a record name?  All of them, absolute, for one record.

Built from the paths of ``ledger.web.urls`` and the ledger's public address, and from nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ledger.web import urls
from projections.contracts import CONTRACTS
from projections.contracts.document import Links
from projections.contracts.manifest import PaperManifest


def links(base_url: str, view: Mapping[str, Any], asked: Mapping[str, str] | None = None) -> Links:
    """Return the addresses for a record's documents under the ledger's public address.

    ``asked`` are the parameters of a past moment, which the addresses of its documents keep.
    """
    base, record_id = base_url.rstrip("/"), view["record_id"]
    past = asked or {}
    return Links(
        page=base + urls.with_query(urls.record_page(view["handle"]), past),
        view=base + urls.with_query(urls.record(record_id), past),
        history=base + urls.history(record_id),
        evaluations=base + urls.with_query(urls.evaluations(record_id), past),
        corrections=base + urls.with_query(urls.record_corrections(record_id), past),
        findings=base + urls.with_query(urls.record_findings(record_id), past),
        documents={
            name: base + urls.with_query(urls.document(name, record_id), past) for name in CONTRACTS
        },
        schemas=schemas(base_url),
        manifest_at=lambda version: (
            base
            + urls.with_query(urls.document(PaperManifest.NAME, record_id), {"version": version})
        ),
        artifact=lambda digest: base + urls.artifact(record_id, digest),
        record=lambda other: base + urls.record_page(other),
        doi=urls.doi,
    )


def schemas(base_url: str) -> dict[str, str]:
    """Return the address of the schema of every contract, by the contract's name."""
    return {name: base_url.rstrip("/") + urls.schema(name) for name in CONTRACTS}
