"""Settings that the server and the worker share. Each process has one settings class that extends this."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


def split_list(value: Any, separators: str = ",") -> Any:
    """`a,b` from the environment as a list; anything but text is left to pydantic."""
    if not isinstance(value, str):
        return value
    for separator in separators[1:]:
        value = value.replace(separator, separators[0])
    return [part.strip() for part in value.split(separators[0]) if part.strip()]


class StoreSettings(BaseSettings):
    """Where things are kept, and what may be read. Read once at the entry point and passed down."""

    model_config = SettingsConfigDict(env_prefix="SONDAGE_", extra="ignore")

    data_dir: Path = Field(
        default=Path("data"),
        description="Folder of payloads, checkpoints and, without a database address, of the embedded Postgres.",
    )
    database_url: str | None = Field(
        default=None,
        description="Address of a Postgres 15 or newer; the embedded server is used when unset.",
    )
    source_roots: Annotated[list[Path], NoDecode] = Field(
        default=[],
        description="Folders below which datasets may be read by path, separated by commas or "
        f"`{os.pathsep}`; none by default, then only uploads are read.",
    )
    model_modules: Annotated[list[str], NoDecode] = Field(
        default=[],
        description="Python modules, separated by commas, that a recipe may name a model of your own from "
        "(`module:function`).",
    )

    @field_validator("source_roots", mode="before")
    @classmethod
    def _split_roots(cls, value: Any) -> Any:
        return split_list(value, "," + os.pathsep)

    @field_validator("model_modules", mode="before")
    @classmethod
    def _split_modules(cls, value: Any) -> Any:
        return split_list(value)
