"""What can be set?  Every setting: its name, its default, one sentence.

Read from the environment once, and nowhere else in the house.
"""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

SQLITE: Final = "sqlite:///"
POSTGRESQL: Final = ("postgresql", "postgres")

# Several hosts stand side by side, each with its port: a.example:5432,b.example:5432,[::1]:5433.
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:@,/\[\]]*)(:[0-9]{1,5})?")
_ADDRESS: Final = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")
_SHOWN: Final = frozenset({"dbname", "host", "hostaddr", "port", "target_session_attrs", "user"})
"""Parameters of a URL that may be shown; any other may hold a secret."""


class ProjectorPlace(StrEnum):
    """Where the views are kept up to date: inside each ``ledger serve``, or by others alone."""

    INSIDE = "inside"
    APART = "apart"


class WitnessPolicy(StrEnum):
    """What becomes of a checkpoint that too few witnesses have cosigned."""

    NONE = "none"
    BEST_EFFORT = "best-effort"
    REQUIRED = "required"


class LogFormat(StrEnum):
    """How a line of the program's log looks."""

    TEXT = "text"
    JSON = "json"


class Settings(BaseSettings):
    """The settings of a ledger; each is read from the environment with the prefix ``LEDGER_``."""

    # A refused value is never repeated: it may be a URL with a password in it.
    model_config = SettingsConfigDict(env_prefix="LEDGER_", frozen=True, hide_input_in_errors=True)

    database_url: str = Field(
        default="sqlite:///ledger.db",
        repr=False,
        description="Where the log is kept: sqlite:///relative.db, sqlite:////absolute.db, or a "
        "PostgreSQL URL as libpq takes it, such as postgresql://user@host1,host2/database.",
    )
    data_dir: Path = Field(
        default=Path("ledger-data"),
        description="The folder for artifact bytes; made when missing, shared by all processes.",
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
    timeout_s: float = Field(
        default=5.0,
        gt=0,
        le=600,
        description="The longest wait for a PostgreSQL server to connect or answer, in seconds.",
    )
    idempotency_days: int = Field(
        default=30, ge=1, le=36_500, description="How many days an Idempotency-Key holds."
    )
    projector: ProjectorPlace = Field(
        default=ProjectorPlace.INSIDE,
        description="inside: every `ledger serve` can keep the views up to date; "
        "apart: only `ledger project` does.",
    )
    lag_max: int = Field(
        default=10_000,
        ge=0,
        description="How many events a view may be behind before /readyz answers 503.",
    )
    log_key_file: Path | None = Field(
        default=None,
        description="The file with the key that signs the log's checkpoints; empty for log.key in "
        "the folder LEDGER_DATA_DIR.",
    )
    log_origin: str | None = Field(
        default=None,
        description="The name that the log's key has to have; empty for the one it has. A new key "
        "is named after LEDGER_BASE_URL.",
    )
    witness_policy: WitnessPolicy = Field(
        default=WitnessPolicy.NONE,
        description="none: ask no witness; best-effort: publish also what too few have cosigned; "
        "required: publish nothing else than what enough have cosigned.",
    )
    witness_file: Path | None = Field(
        default=None,
        description="The file that names the witnesses, as C2SP tlog-policy writes it.",
    )
    witness_timeout_s: float = Field(
        default=2.0,
        gt=0,
        le=600,
        description="How long a checkpoint waits for its witnesses, in seconds.",
    )
    log_format: LogFormat = Field(
        default=LogFormat.TEXT, description="text: lines for people; json: one JSON object a line."
    )

    @field_validator("log_key_file", "log_origin", "witness_file", mode="before")
    @classmethod
    def _nothing_when_empty(cls, text: object) -> object:
        return text or None

    @field_validator("database_url")
    @classmethod
    def _a_database_we_speak(cls, url: str) -> str:
        sqlite = url.startswith(SQLITE) and len(url) > len(SQLITE)
        if not sqlite and _shown(url) is None:
            message = "is not of the form sqlite:///path or postgresql://user@host/database"
            raise ValueError(message)
        return url

    @field_validator("base_url")
    @classmethod
    def _an_address_to_link_to(cls, url: str) -> str:
        # Links and the name of the log begin with it, and that name can never be changed.
        if not _ADDRESS.fullmatch(url):
            message = "is not of the form https://ledger.example.org"
            raise ValueError(message)
        return url

    @property
    def log_key(self) -> Path:
        """The file of the log's key."""
        return self.log_key_file or self.data_dir / "log.key"

    @property
    def log_name(self) -> str:
        """The origin of a log whose key is made now: an address without its scheme."""
        return self.log_origin or f"{self.base_url.partition('://')[2].rstrip('/')}/log"

    @property
    def is_sqlite(self) -> bool:
        """Whether the log is kept in a SQLite file, and not by a PostgreSQL server."""
        return self.database_url.startswith(SQLITE)

    @property
    def database_path(self) -> Path:
        """The file of the SQLite database; raises ValueError when the log is not kept in one."""
        if not self.is_sqlite:
            message = f"{self.database_shown} is not a file"
            raise ValueError(message)
        return Path(self.database_url.removeprefix(SQLITE))

    @property
    def database_shown(self) -> str:
        """The database as logs and messages may name it: a path, or a URL without secrets."""
        return str(self.database_path) if self.is_sqlite else _shown(self.database_url) or ""


def _shown(url: str) -> str | None:
    """Return a PostgreSQL URL without what may be secret; None if libpq might read it otherwise."""
    try:
        parts = urlsplit(url)
        given = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        return None
    credentials, _, hosts = parts.netloc.rpartition("@")
    if (
        parts.scheme not in POSTGRESQL
        or not url.startswith(f"{parts.scheme}://")
        or not (parts.netloc or parts.path.strip("/") or given)
        or parts.fragment
        or "@" in credentials
        or "/" in parts.path[1:]
        or not all(_HOST.fullmatch(host) for host in hosts.split(","))
    ):
        return None
    user, _, _password = credentials.partition(":")
    where = f"{user}@{hosts}" if user else hosts
    kept = urlencode([(name, value) for name, value in given if name in _SHOWN], safe="/,:")
    return f"{parts.scheme}://{where}{parts.path}" + (f"?{kept}" if kept else "")
