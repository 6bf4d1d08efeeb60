"""⑥ The server: settings in, an application out. Nothing happens at import, nothing is opened before it starts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from app import auth, errors, openapi
from app.api import (
    comparisons,
    curves,
    datasets,
    decisions,
    examples,
    exports,
    health,
    jobs,
    projects,
    recorded_datasets,
    recording,
    records,
    reviews,
    runs,
    scores,
    suites,
    taggings,
    tags,
    uploads,
)
from app.api.deletion import sweep
from app.api.problems import EVERYWHERE, problems
from app.api.urls import API
from app.columns import Columns
from app.deps import PrincipalDep, Server
from app.middleware import BodyLimit, HostGuard, RequestContext
from app.pages import Dashboard
from app.payloads import Payloads
from app.settings import AppSettings
from app.version import VERSION
from store import projects as project_store
from store.engine import Database, check_migrated, migrate, open_database, transaction

OF_PROJECT = (
    uploads,
    recorded_datasets,
    datasets,
    examples,
    decisions,
    suites,
    recording,
    records,
    reviews,
    runs,
    curves,
    taggings,
    comparisons,
    exports,  # before tags: `tags/export` is no index
    tags,
    scores,
    jobs,
)


def create_app(settings: AppSettings, database: Database | None = None) -> FastAPI:
    """The application.

    Parameters
    ----------
    database
        Opened and prepared by the caller, who closes it; opened at the start and closed at the end when not given.
    """

    app = FastAPI(
        title="Sondage", version=VERSION, lifespan=_lifespan, openapi_url=None, docs_url=None, redoc_url=None
    )
    app.state.given = (settings, database)
    errors.install(app)
    openapi.install(app)
    _add_routes(app)
    _add_middleware(app, settings)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings, database = app.state.given
    opened = await run_in_threadpool(open_prepared, settings) if database is None else database
    await run_in_threadpool(sweep, settings, opened)
    app.state.server = Server(
        settings, opened, Columns(max_bytes=settings.score_cache_bytes), Payloads(settings.data_dir)
    )
    try:
        yield
    finally:
        if database is None:
            await run_in_threadpool(opened.close)


def open_prepared(settings: AppSettings) -> Database:
    """The database with its schema and its default project, fit to be served to those who can reach it.

    Raises
    ------
    Conflict
        An external database is not migrated.
    Forbidden
        Others can reach the server, and there is no living key.
    Unavailable, DataFolderError, InvalidInput
        As `store.engine.open_database`.
    """
    database = open_database(settings.database_url, settings.data_dir)
    try:
        prepare(database, settings)
    except BaseException:
        database.close()
        raise
    return database


def prepare(database: Database, settings: AppSettings) -> None:
    """Migrate our own embedded server, and only look at any other: its operator decides when it changes."""
    if database.embedded is not None:
        migrate(database.engine)
    else:
        check_migrated(database.engine)
    with transaction(database.engine) as session:
        project_store.ensure(session)
        if not settings.is_open:
            auth.refuse_to_listen_without_keys(session, host=settings.host)


def _add_routes(app: FastAPI) -> None:
    common = problems(*EVERYWHERE)
    for noun in (health, projects):
        app.include_router(noun.router, prefix=API, responses=common)
    for noun in OF_PROJECT:
        app.include_router(noun.router, prefix=API + "/projects/{project}", responses=common)

    @app.get(API + "/openapi.json", include_in_schema=False)
    def document(principal: PrincipalDep) -> dict[str, object]:
        return app.openapi()

    app.router.default = Dashboard()


def _add_middleware(app: FastAPI, settings: AppSettings) -> None:
    """The last one added is the outermost."""
    app.add_middleware(
        BodyLimit, max_body_bytes=settings.max_body_bytes, max_upload_bytes=settings.max_upload_bytes
    )
    any_name = not settings.is_open and not settings.allowed_hosts
    app.add_middleware(HostGuard, names=settings.allowed_hosts, any_name=any_name)
    app.add_middleware(RequestContext)
