"""Which documents does a record's page link?  One under each public contract that applies to it.

Pure; the page of the schemas shows the same rows without a record.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ledger.web import urls
from projections.contracts import CONTRACTS, Contract, not_applicable


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A document under a contract; without one, ``why_not`` says why."""

    contract: str
    sentence: str
    file: str
    schema_href: str
    href: str | None = None
    why_not: str | None = None


def rows(
    view: Mapping[str, Any], asked: Mapping[str, str] | None = None
) -> tuple[DocumentRow, ...]:
    """Return the documents of a record; ``asked`` are the parameters of a past moment."""
    return tuple(_of(contract, view, asked or {}) for contract in CONTRACTS.values())


def contracts() -> tuple[DocumentRow, ...]:
    """Return all contracts, without addresses of documents."""
    return tuple(_row(contract) for contract in CONTRACTS.values())


def _of(contract: Contract, view: Mapping[str, Any], asked: Mapping[str, str]) -> DocumentRow:
    why_not = not_applicable(contract.name, view)
    href = urls.with_query(urls.document(contract.name, view["record_id"]), asked)
    return _row(contract, href=None if why_not else href, why_not=why_not)


def _row(contract: Contract, **told: str | None) -> DocumentRow:
    sentence = " ".join((inspect.getdoc(contract.model) or "").split())
    schema = urls.schema(contract.name)
    return DocumentRow(contract.name, sentence, contract.file, schema, **told)
