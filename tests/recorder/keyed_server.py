"""A real server in this process that demands keys, on a database of its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from app.main import create_app, prepare
from store import keys
from store.engine import Database, transaction
from tests.api.worlds import make_settings


@dataclass(frozen=True)
class KeyedServer:
    url: str
    database: Database

    def key(self, scopes: Sequence[str]) -> str:
        with transaction(self.database.engine) as session:
            return keys.create(session, name="someone", scopes=scopes).secret


@contextmanager
def serving(database: Database, folder: Path) -> Iterator[KeyedServer]:
    """Under a name of its own, as behind a proxy: keys are demanded, and the loopback names are answered too."""
    settings = make_settings(folder, allowed_hosts=["sondage.example"])
    with transaction(database.engine) as session:
        keys.create(session, name="operator", scopes=["admin"])
    prepare(database, settings)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(create_app(settings, database), log_level="warning", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        yield KeyedServer(f"http://127.0.0.1:{listener.getsockname()[1]}", database)
        server.should_exit = True
        thread.join(timeout=10)
