"""⑥ Settings of the server: `SONDAGE_…` variables, read once in `app/__main__.py` and passed down."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from store.settings import StoreSettings, split_list

MEBIBYTE = 1024**2
GIBIBYTE = 1024**3


class AppSettings(StoreSettings):
    """Where the server listens, to whom, and how much it takes in."""

    host: str = Field(
        default="127.0.0.1",
        description="Address to listen on. On any but a loopback address, keys are demanded.",
    )
    port: int = Field(default=8000, ge=0, le=65_535, description="Port to listen on; 0 takes a free one.")
    allowed_hosts: Annotated[list[str], NoDecode] = Field(
        default=[],
        description="Names, separated by commas, by which the server is reached from elsewhere, for instance "
        "through a proxy. When set, keys are demanded and no other name is answered but the loopback ones.",
    )
    max_body_bytes: int = Field(
        default=64 * MEBIBYTE, gt=0, description="Largest body of a request, uploads apart."
    )
    max_upload_bytes: int = Field(default=20 * GIBIBYTE, gt=0, description="Largest file of an upload.")
    upload_days: int = Field(
        default=7, gt=0, description="Days after which an upload is removed that no open job is to read."
    )
    score_cache_bytes: int = Field(
        default=512 * MEBIBYTE, gt=0, description="Memory for score columns that lists are sorted by."
    )
    reviewer: str = Field(
        default="", description="Name written beside decisions made without a key, on a loopback address."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="What is logged to the standard error output."
    )

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split_hosts(cls, value: Any) -> Any:
        return split_list(value)

    @property
    def is_open(self) -> bool:
        """Does it answer without keys? Only on a loopback address, and only by the machine's own names."""
        return is_loopback(self.host) and not self.allowed_hosts


def is_loopback(host: str) -> bool:
    """Does this name or address mean the machine itself? No name is looked up: only `localhost` counts."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
