"""Every error that Sondage raises on purpose.

::

    SondageError
    ├── InvalidInput            what was passed in is wrong; the message says what to do
    │   ├── InvalidRows         some rows of a larger input are wrong; `rows` lists them
    │   └── Unsupported         understood, but outside Sondage's scope
    ├── NotFound                there is no such thing under this name or number
    ├── Conflict                what is there already forbids it (a name taken, a run still going)
    ├── Forbidden               the key, the path or the setting does not allow it
    ├── Unavailable             the server or the database cannot be reached; trying again may help
    ├── StorageFull             no room is left on a disk of the server's; trying again at once does not help
    ├── DataFolderError         the data folder cannot be used; nothing in it was touched
    ├── JobFailed               a job ended in `failed`; the message is the job's own error
    └── JobAborted              a job was aborted, or its attempt was superseded by a newer one

They are raised low, where the fault is known, and know nothing of HTTP: `app/errors.py` turns each into a
status once. `code` is a stable word for programs; the message is for people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass


class SondageError(Exception):
    """Base of all errors raised on purpose."""

    code = "error"


class InvalidInput(SondageError):
    """What was passed in is wrong. `field` names the argument or setting, where one is to blame."""

    code = "invalid_input"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class RowError:
    """One rejected row: its position in what was sent (0-based), a stable code, and the reason in words."""

    index: int
    code: str
    message: str

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


class InvalidRows(InvalidInput):
    """Some rows are wrong and nothing was stored. `rows` holds the first of them, `num_rejected` counts all."""

    code = "invalid_rows"

    def __init__(self, message: str, rows: Sequence[RowError], *, num_rejected: int | None = None) -> None:
        super().__init__(message)
        self.rows = list(rows)
        self.num_rejected = len(self.rows) if num_rejected is None else num_rejected


class Unsupported(InvalidInput):
    """Understood, but outside Sondage's scope (detection, multi-label, token-level modelling)."""

    code = "unsupported"


class NotFound(SondageError):
    """There is no such thing under this name or number."""

    code = "not_found"


class Conflict(SondageError):
    """What is there already forbids it."""

    code = "conflict"


class Forbidden(SondageError):
    """The key, the path or the setting does not allow it."""

    code = "forbidden"


class Unavailable(SondageError):
    """The server or the database cannot be reached now; trying again may help."""

    code = "unavailable"


class StorageFull(SondageError):
    """No room is left on a disk: the database's, or the one with the data folder. Nothing was kept."""

    code = "storage_full"


class DataFolderError(SondageError):
    """The data folder cannot be used. Nothing in it was touched."""

    code = "data_folder"


class JobFailed(SondageError):
    """A job ended in `failed`. The message is the job's own error."""

    code = "job_failed"


class JobAborted(SondageError):
    """A job was aborted, or its attempt was superseded by a newer one."""

    code = "job_aborted"
