"""Settings that the server and the worker share. Each process has one settings class that extends this."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class StoreSettings(BaseSettings):
    """Where things are kept. Read once at the entry point and passed down."""

    model_config = SettingsConfigDict(env_prefix="SONDAGE_", extra="ignore")

    data_dir: Path = Field(
        default=Path("data"),
        description="Folder of payloads, checkpoints and, without a database address, of the embedded Postgres.",
    )
    database_url: str | None = Field(
        default=None,
        description="Address of a Postgres 15 or newer; the embedded server is used when unset.",
    )
