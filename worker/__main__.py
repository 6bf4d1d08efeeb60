"""`python -m worker`: takes jobs from the database and does them, one process each, until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys

from sondage.errors import SondageError
from store.engine import Database, check_migrated, migrate, open_database
from worker.service import serve
from worker.settings import WorkerSettings


def main() -> int:
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for chatty in ("procrastinate", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        settings = WorkerSettings()
        database = open_database(settings.database_url, settings.data_dir)
    except (SondageError, ValueError) as fault:
        sys.stderr.write(f"worker: {fault}\n")
        return 2
    try:
        _prepare(database)
        asyncio.run(serve(database, settings, arguments.parent_fd))
    except SondageError as fault:
        sys.stderr.write(f"worker: {fault}\n")
        return 1
    finally:
        database.close()
    return 0


def _prepare(database: Database) -> None:
    """Our own embedded server is migrated by whoever comes first; any other only by its operator."""
    if database.embedded is not None:
        migrate(database.engine)
    else:
        check_migrated(database.engine)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m worker", description=__doc__)
    parser.add_argument("--parent-fd", type=int, help="a pipe; the worker stops when its other end closes")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
