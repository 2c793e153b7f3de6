"""Which public contracts are there?  Each document of a record: its name, its file, how it is made.

A contract that was ever served is never edited: another shape gets another version and name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from projections.contracts import math_result
from projections.contracts.correction_record import CorrectionRecord, correction_record
from projections.contracts.dimensions import QualityDimensions, quality_dimensions
from projections.contracts.document import Document, Links, View, json_schema
from projections.contracts.levels import VerificationLevels, verification_levels
from projections.contracts.manifest import PaperManifest, paper_manifest
from projections.contracts.math_result import MathResult
from projections.contracts.provenance import SourceProvenance, source_provenance
from projections.contracts.tiers import QualityTiers, quality_tiers
from projections.contracts.verdict import GateVerdict, gate_verdict


@dataclass(frozen=True, slots=True)
class Contract:
    """One contract: the shape of its document, and the function that makes it of a view."""

    model: type[Document]
    make: Callable[[View, Links], Document]

    @property
    def name(self) -> str:
        """The name with the version, such as ``gate-verdict-v1``."""
        return self.model.NAME

    @property
    def file(self) -> str:
        """What the document is called below its record, such as ``gate-verdict.json``."""
        return self.model.FILE

    def schema(self, url: str) -> dict[str, Any]:
        """Return the JSON Schema that is served under ``url``."""
        return json_schema(self.model, url)


def not_applicable(name: str, view: View) -> str | None:
    """Return why a record has no document under a contract, None where it has one."""
    return math_result.not_applicable(view) if name == MathResult.NAME else None


def _manifest(view: View, links: Links) -> PaperManifest:
    return paper_manifest(view, links, not_applicable)


CONTRACTS: Final[Mapping[str, Contract]] = {
    contract.name: contract
    for contract in (
        Contract(PaperManifest, _manifest),
        Contract(GateVerdict, gate_verdict),
        Contract(CorrectionRecord, correction_record),
        Contract(QualityTiers, quality_tiers),
        Contract(VerificationLevels, verification_levels),
        Contract(QualityDimensions, quality_dimensions),
        Contract(MathResult, math_result.math_result),
        Contract(SourceProvenance, source_provenance),
    )
}
"""Name -> contract, the manifest first."""
