"""The default database: a Postgres of its own in the data folder, started when it is needed.

`server.py` starts, asks and stops it; `folder.py` knows what lies where and refuses folders that are not ours;
`programs.py` finds the binaries and runs them under a user that is not root; `watchdog.py` ends the server when
its last user has gone; `locks.py` holds the file locks that all of this stands on.
docs/decisions/0001-embedded-postgres.md says why it is built like this.
"""

from store.embedded.server import EmbeddedServer

__all__ = ["EmbeddedServer"]
