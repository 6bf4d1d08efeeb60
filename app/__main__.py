"""⑥ `python -m app`: serve, serve with a worker (`up`), keys, migrations, and the OpenAPI document."""

from __future__ import annotations

import argparse
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import uvicorn
from pydantic import ValidationError

from app import openapi
from app.main import create_app, open_prepared
from app.settings import AppSettings
from app.worker_process import WorkerProcess
from sondage.errors import InvalidInput, SondageError
from store import keys, projects
from store.engine import Database, check_migrated, migrate, open_database, transaction
from store.tables import SCOPES

INVALID, REFUSED = 2, 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0 done, 1 refused or failed, 2 wrong settings or arguments."""
    chosen = _parser().parse_args(arguments)
    try:
        return int(chosen.act(chosen, _settings(chosen)))
    except ValidationError as fault:
        _say_error("; ".join(_setting_fault(one["loc"], one["msg"]) for one in fault.errors()))
        return INVALID
    except InvalidInput as fault:
        _say_error(f"{fault.field}: {fault}" if fault.field else str(fault))
        return INVALID
    except SondageError as fault:
        _say_error(str(fault))
        return REFUSED


# ---- commands


def serve(chosen: argparse.Namespace, settings: AppSettings) -> int:
    """Until SIGINT or SIGTERM; then the requests that are under way are finished."""
    with _sigterm_ends(), _listening(settings) as listener, _opened(open_prepared, settings) as database:
        _log(settings)
        if not chosen.with_worker:
            return _run_server(settings, database, listener)
        with WorkerProcess():
            return _run_server(settings, database, listener)


def print_openapi(chosen: argparse.Namespace, settings: AppSettings) -> int:
    _say(openapi.as_text(create_app(AppSettings.model_construct()).openapi()), end="")
    return 0


def migrate_database(chosen: argparse.Namespace, settings: AppSettings) -> int:
    with _opened(_open, settings) as database:
        migrate(database.engine)
    _say("The database is at the newest revision.")
    return 0


def create_key(chosen: argparse.Namespace, settings: AppSettings) -> int:
    """The key goes to standard output alone, so that a script can take it."""
    with _opened(_open_migrated, settings) as database, transaction(database.engine) as session:
        project = None if chosen.project is None else projects.ensure(session, name=chosen.project)
        made = keys.create(
            session,
            name=chosen.name,
            scopes=[scope.strip() for scope in chosen.scopes.split(",") if scope.strip()],
            project_id=None if project is None else project.id,
        )
        number = made.key.id
    sys.stderr.write(
        f"Key {number} ({chosen.name}): {chosen.scopes}. It is shown this once and kept nowhere.\n"
    )
    _say(made.secret)
    return 0


def list_keys(chosen: argparse.Namespace, settings: AppSettings) -> int:
    with _opened(_open_migrated, settings) as database, transaction(database.engine) as session:
        for key in keys.listed(session):
            state = f"revoked {key.revoked_at:%Y-%m-%d}" if key.revoked_at else "living"
            project = "all projects" if key.project_id is None else f"project {key.project_id}"
            _say(f"{key.id}\t{key.prefix}…\t{key.name}\t{','.join(key.scopes)}\t{project}\t{state}")
    return 0


def revoke_key(chosen: argparse.Namespace, settings: AppSettings) -> int:
    with _opened(_open_migrated, settings) as database, transaction(database.engine) as session:
        keys.revoke(session, key_id=chosen.id)
    _say(f"Key {chosen.id} opens nothing any more.")
    return 0


# ---- what they stand on


def _settings(chosen: argparse.Namespace) -> AppSettings:
    """From the environment; `--host` and `--port` win."""
    given = {name: getattr(chosen, name, None) for name in ("host", "port")}
    return AppSettings(**{name: value for name, value in given.items() if value is not None})


def _open(settings: AppSettings) -> Database:
    return open_database(settings.database_url, settings.data_dir)


def _open_migrated(settings: AppSettings) -> Database:
    database = _open(settings)
    try:
        if database.embedded is not None:
            migrate(database.engine)
        else:
            check_migrated(database.engine)
    except BaseException:
        database.close()
        raise
    return database


@contextmanager
def _opened(open_it: Callable[[AppSettings], Database], settings: AppSettings) -> Iterator[Database]:
    database = open_it(settings)
    try:
        yield database
    finally:
        database.close()


@contextmanager
def _listening(settings: AppSettings) -> Iterator[socket.socket]:
    """The socket is bound before anything else is started: a port in use is told at once."""
    host = settings.host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, settings.port), family=family, backlog=2048)
    except OSError as fault:
        raise InvalidInput(
            f"cannot listen on {host}:{settings.port} ({fault.strerror}); choose another with --port or SONDAGE_PORT."
        ) from None
    with listener:
        yield listener


@contextmanager
def _sigterm_ends() -> Iterator[None]:
    """SIGTERM unwinds the stack as Ctrl-C does, so that the worker and the database are let go.

    Uvicorn handles both while it serves, and raises them again afterwards.
    """

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(0)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _run_server(settings: AppSettings, database: Database, listener: socket.socket) -> int:
    config = uvicorn.Config(
        create_app(settings, database),
        log_config=None,
        access_log=settings.log_level == "debug",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,
        timeout_keep_alive=30,
    )
    server = uvicorn.Server(config)
    host, port = listener.getsockname()[:2]
    name = f"[{host}]" if ":" in host else host
    logging.getLogger("app").info("serving http://%s:%s (data folder %s)", name, port, settings.data_dir)
    server.run(sockets=[listener])
    return 0 if server.started else REFUSED


def _log(settings: AppSettings) -> None:
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)


def _setting_fault(place: tuple[int | str, ...], words: str) -> str:
    name = "_".join(str(part) for part in place[:1]).upper()
    return f"SONDAGE_{name}: {words}"


def _say(words: str, end: str = "\n") -> None:
    sys.stdout.write(words + end)


def _say_error(words: str) -> None:
    sys.stderr.write(f"app: {words}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m app", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, with_worker, words in (
        ("serve", False, "serve the interface and the dashboard"),
        ("up", True, "serve, with a worker beside it"),
    ):
        command = commands.add_parser(name, help=words)
        command.add_argument("--host", help="address to listen on (SONDAGE_HOST)")
        command.add_argument("--port", type=int, help="port to listen on (SONDAGE_PORT)")
        command.set_defaults(act=serve, with_worker=with_worker)
    commands.add_parser("openapi", help="print the OpenAPI document").set_defaults(act=print_openapi)
    commands.add_parser("migrate", help="bring the database to the newest revision").set_defaults(
        act=migrate_database
    )
    _add_key_commands(commands.add_parser("keys", help="make, list and revoke keys"))
    return parser


def _add_key_commands(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="command")
    create = commands.add_parser("create", help="make a key and show it once")
    create.add_argument("--name", required=True, help="whose it is; stands beside decisions made with it")
    create.add_argument(
        "--scopes", default="read,record,review", help=f"some of {','.join(SCOPES)} (default: %(default)s)"
    )
    create.add_argument("--project", help="the only project it opens; made when it is not there")
    create.set_defaults(act=create_key)
    commands.add_parser("list", help="all keys, without their secrets").set_defaults(act=list_keys)
    revoke = commands.add_parser("revoke", help="end a key")
    revoke.add_argument("id", type=int, help="its number")
    revoke.set_defaults(act=revoke_key)


if __name__ == "__main__":
    sys.exit(main())
