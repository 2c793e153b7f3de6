"""Two small record pages, one in each dialect, for tests that change one thing about them."""

from __future__ import annotations

PLAIN = """\
Index\u00a0|\u00a0 Research\u00a0\u25be\u00a0|\u00a0 Verification\u00a0\u25be\u00a0|\u00a0About
SRCH:00C0FFEE

On Counting: A Short Title

Submitted: 9 June 2026
Review score: 8.50/10
Verification: L2, Source-grounded claims
Gate status: Falsified
Quality tier: Flagship candidate
Verified claims: 12
DOI: 10.5281/zenodo.123

Abstract

Abstract: We count things, and we stop in the middle of a wor

Research Question

How many things are there?

Verification Level

Paper levelL2, Source-grounded claims
Source-grounded claims7
Claim record sourceparsed source sections

A standing remark on levels.

Truth-Engine Gate Verdict

StatusFalsified
GateGate 2 \u2014 Verification (formal proof or sandbox reproduction)
Reason[Gate 3 RED-TEAM FALSIFIED] avg_attack_score=7.7/10. \
COUNTEREXAMPLE_HUNTER(8.5):It counts; badly ; \
CITATION_AUDITOR(7.2):Cites (itself) ; \
REPLICATION_ATTACKER(7.5):Not the same num
Evaluated2026-06-11T03:48:27.951721+00:00

A standing remark on verdicts.

Quality Tier

TierFlagship candidate
BasisEverything is high.

A standing remark on tiers.

Quality Dimensions

Evidence strength MEDIUM
Citation grounding MEDIUM
Uncertainty disclosure MEDIUM
Reproducibility status HIGH

A standing remark on dimensions.

Correction Record

StatusCURRENT
Correction count0
Manifest contractpaper-manifest-v1.1
Correction contractcorrection-record-v1

A standing remark on corrections.

Provenance

PublisherSome Publisher
Public provenanceL4, External archival record
Report artifactAvailable
External recordRegistered
Claim lineage7 aggregate source-grounded claims
Review methodThree programs
Quality guideHow to read it
Provenance contractsource-provenance-v1
NoteWritten by a program.
"""

TABLE = """\
On Counting: A Short Title
Abstract
Abstract: We count things.
Research Question
How many things are there?
Verification Level
| Paper level | L2, Source-grounded claims | |
| Source-grounded claims | 7 | |
| Claim record source | not publicly specified |
A standing remark on levels.
Truth-Engine Gate Verdict
| Status | Verified | |
| Gate | Gate 2 \u2014 Verification (formal proof or sandbox reproduction) | |
| Reason | Sealed-sandbox formula repro: Computed 0.10 matches expected 0.1 (tolerance=5.0%). | |
| Evaluated | 2026-06-21T11:30:12.774601+02:00 |
A standing remark on verdicts.
Quality Tier
| Tier | DOI grade | |
| Basis | Enough. |
Quality Dimensions
| Evidence strength | MEDIUM | |
| Reproducibility status | HIGH |
Correction Record
| Status | CURRENT |
| Correction count | 0 |
| Manifest contract | paper-manifest-v1.1 |
| Correction contract | correction-record-v1 |
Provenance
| Publisher | Some Publisher |
| Public provenance | L4, External archival record |
| Report artifact | Available |
| External record | Registered |
| Claim lineage | 7 aggregate source-grounded claims |
| Review method | Three programs |
| Provenance contract | source-provenance-v1 |
| Note | Written by a program. |"""


def changed(page: str, *changes: tuple[str, str]) -> bytes:
    """Return the page with every ``old`` replaced by ``new``; each old text must be there."""
    for old, new in changes:
        assert old in page, old
        page = page.replace(old, new)
    return page.encode()
