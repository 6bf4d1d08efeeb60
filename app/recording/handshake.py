"""③ Two versions meet: recorders say which protocol they speak, and get a clear answer when it is not ours."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Header, Response

from app.errors import ClientTooNew, ClientTooOld
from app.version import VERSION
from sondage.errors import InvalidInput
from sondage.wire import PROTOCOL

CLIENT = re.compile(r"\s*([^;]*?)\s*;\s*protocol\s*=\s*(\d{1,9})\s*")


async def handshake(
    response: Response,
    sondage_client: Annotated[
        str | None, Header(max_length=200, description="Of a recorder: `<version>; protocol=<n>`.")
    ] = None,
) -> None:
    """Refuse a recorder of another protocol before anything is stored. Without the header, no questions."""
    response.headers["Sondage-Protocol"] = str(PROTOCOL)
    if sondage_client is None:
        return
    match = CLIENT.fullmatch(sondage_client)
    if match is None:
        raise InvalidInput("Sondage-Client is `<version>; protocol=<n>`.", field="Sondage-Client")
    version, protocol = match[1] or "?", int(match[2])
    told = f"This recorder (sondage {version}) speaks protocol {protocol}, the server (sondage {VERSION}) {PROTOCOL}."
    kept = "What was recorded stays in its spool; `sondage sync` sends it then."
    if protocol > PROTOCOL:
        raise ClientTooNew(f"{told} Update the server. {kept}")
    if protocol < PROTOCOL:
        raise ClientTooOld(f"{told} Update the recorder: pip install -U sondage. {kept}")
