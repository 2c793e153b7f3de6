"""Which views are there?  The roll-call of the read side, by name; nothing else.

The public view is written with the append; the others follow the log behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from projections import public_view
from projections.catalogue import Catalogue
from projections.conflicts import Conflicts
from projections.corrections import Corrections
from projections.findings import Findings

ROLL_CALL: Final[Mapping[str, Any]] = {
    public_view.NAME: public_view,
    Corrections.NAME: Corrections,
    Catalogue.NAME: Catalogue,
    Findings.NAME: Findings,
    Conflicts.NAME: Conflicts,
}
"""Name -> projection; each of them but the public view is a Projection of projections.table."""
