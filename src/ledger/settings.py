"""What can be set?  Every setting: its name, its default, one sentence.

Read from the environment once, and nowhere else in the house.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

SQLITE: Final = "sqlite:///"


class Settings(BaseSettings):
    """The settings of a ledger; each is read from the environment with the prefix ``LEDGER_``."""

    model_config = SettingsConfigDict(env_prefix="LEDGER_", frozen=True)

    database_url: str = Field(
        default="sqlite:///ledger.db",
        description="Where the log is kept: sqlite:///relative.db or sqlite:////absolute.db.",
    )
    data_dir: Path = Field(
        default=Path("ledger-data"), description="The folder for artifact bytes; made when missing."
    )
    base_url: str = Field(
        default="http://127.0.0.1:8000", description="The public address of this ledger."
    )
    artifact_bytes_max: int = Field(
        default=100 * 1024 * 1024, ge=1, description="The largest artifact taken, in bytes."
    )
    queue_max: int = Field(
        default=1_000, ge=1, description="How many appends may wait before new ones are refused."
    )
    wait_s: float = Field(
        default=2.0, ge=0, description="How long a read waits for a view to catch up, in seconds."
    )

    @field_validator("database_url")
    @classmethod
    def _a_database_we_speak(cls, url: str) -> str:
        if not url.startswith(SQLITE) or len(url) == len(SQLITE):
            message = "is not of the form sqlite:///path"
            raise ValueError(message)
        return url

    @property
    def database_path(self) -> Path:
        """The file of the SQLite database."""
        return Path(self.database_url.removeprefix(SQLITE))
