"""How long do tests let a ledger wait?  Longer than a busy machine stands still."""

from __future__ import annotations

from typing import Final

PATIENCE_S: Final = 120
"""For a database, a view or a receipt, where the waiting is not the matter; in seconds."""
