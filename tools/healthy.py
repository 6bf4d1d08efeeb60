"""Is this container's process alive? `python -m tools.healthy api` or `worker`; exit code 0 means yes.

The server is alive when its health route answers at all, be it with 401. A worker is alive when some worker has
lately given a sign of life in the database: with several workers, one that is dead among others is not told apart.
"""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta

PATIENCE = timedelta(seconds=60)


def main() -> int:
    match sys.argv[1:]:
        case ["api"]:
            healthy = api_answers(f"http://127.0.0.1:{_port()}/api/v1/health")
        case ["worker"]:
            healthy = worker_seen()
        case _:
            sys.stderr.write("usage: python -m tools.healthy api|worker\n")
            return 2
    return 0 if healthy else 1


def api_answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=4):  # noqa: S310  # always http, to this very machine
            return True
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code < 500
    except OSError:
        return False


def worker_seen() -> bool:
    from store import jobs
    from store.engine import open_database, transaction
    from store.settings import StoreSettings

    settings = StoreSettings()
    database = open_database(settings.database_url, settings.data_dir)
    try:
        with transaction(database.engine) as session:
            seen_at = jobs.worker_seen_at(session)
    finally:
        database.close()
    return seen_at is not None and datetime.now(UTC) - seen_at < PATIENCE


def _port() -> int:
    from app.settings import AppSettings

    return AppSettings().port


if __name__ == "__main__":
    sys.exit(main())
