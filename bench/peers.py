"""What our ingress is measured against, served as `ops-service serve` serves.

`python -m bench.peers NAME --port PORT` serves one of them.
"""

import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer
import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, Field
from pysqlite3 import dbapi2 as sqlite
from sqlalchemy import create_engine, event, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from ops_service.app import create_app
from ops_service.http import server
from ops_service.ingress import writer
from ops_service.settings import load
from portal_hooks.contract import STAGE_OF
from portal_hooks.signing import SignatureRejected, verify

NO_OP = "/bench/no-op"
PLAIN = "/bench/plain"


def no_op() -> FastAPI:
    """(a) The limit: our own app, with a route that only reads, parses and answers."""
    app = create_app()

    @app.post(NO_OP, status_code=201)
    async def answer(request: Request) -> JSONResponse:
        value = await request.json()
        return JSONResponse({"status": "created", "event_id": value["event_id"], "position": 1}, 201)

    return app


def commit_each() -> FastAPI:
    """(d) Our ingress, every delivery in a write transaction of its own."""
    writer.GROUP_SIZE = 1  # type: ignore[misc]
    return create_app()


class Base(DeclarativeBase):
    """The peer's models name the columns of our tables that it fills."""


class EventRow(Base):
    __tablename__ = "webhook_events"

    position: Mapped[int] = mapped_column(primary_key=True)
    source: Mapped[str]
    event_id: Mapped[str]
    event_type: Mapped[str]
    session_id: Mapped[str]
    occurred_at: Mapped[int]
    effective_at: Mapped[int]
    received_at: Mapped[int]
    domain: Mapped[str | None]
    payload: Mapped[str]
    content_hash: Mapped[bytes]


class SessionRow(Base):
    __tablename__ = "onboard_sessions"

    session_id: Mapped[str] = mapped_column(primary_key=True)
    source: Mapped[str]
    domain: Mapped[str | None]
    current_stage: Mapped[str | None]
    failure_count: Mapped[int]
    event_count: Mapped[int]
    first_event_at: Mapped[int]
    last_event_at: Mapped[int]


class EventIn(BaseModel):
    """The envelope, as a FastAPI project would declare it."""

    event_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_\-:]{1,128}$")]
    event_type: Annotated[str, Field(pattern=r"^[a-z0-9_.\-]{1,64}$")]
    session_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_\-:]{1,128}$")]
    occurred_at: AwareDatetime
    domain: str | None = None
    data: dict[str, Any] | None = None


def plain() -> FastAPI:
    """(c) What the framework's tutorials teach: a session per request, a commit per request."""
    settings = load()
    make_session = _session_maker(settings.database_url)
    app = FastAPI()

    async def signed_body(request: Request) -> bytes:
        body = await request.body()
        try:
            verify(request.scope["headers"], body, settings.webhook_secrets, time.time())
        except SignatureRejected as error:
            raise HTTPException(401) from error
        return body

    def session() -> Iterator[Session]:
        with make_session() as opened:
            yield opened

    @app.post(PLAIN, status_code=201)
    def receive(
        body: Annotated[bytes, Depends(signed_body)], session: Annotated[Session, Depends(session)]
    ) -> dict[str, Any]:
        received = EventIn.model_validate_json(body)
        position = _store(session, received, body.decode())
        return {"status": "created", "event_id": received.event_id, "position": position}

    return app


def _session_maker(url: str) -> sessionmaker[Session]:
    """Defaults but for the same pragmas as ours, and patience: without it most requests fail as locked."""
    engine = create_engine(url, module=sqlite, connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA journal_mode = wal")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA cache_size = -32768")

    return sessionmaker(engine)


def _store(session: Session, received: EventIn, payload: str) -> int:
    known = select(EventRow).where(EventRow.source == "bench", EventRow.event_id == received.event_id)
    found = session.scalar(known)
    if found is not None:
        return int(found.position)
    at = int(received.occurred_at.timestamp() * 1_000_000)
    values = received.model_dump(exclude={"occurred_at", "data"})
    row = EventRow(
        **values,
        source="bench",
        occurred_at=at,
        effective_at=at,
        received_at=time.time_ns() // 1000,
        payload=payload,
        content_hash=b"",
    )
    session.add(row)
    session.flush()
    _advance(session, received, at)
    session.commit()
    return int(row.position)


def _advance(session: Session, received: EventIn, at: int) -> None:
    row = session.get(SessionRow, received.session_id)
    if row is None:
        row = SessionRow(
            session_id=received.session_id,
            source="bench",
            domain=received.domain,
            failure_count=0,
            event_count=0,
            first_event_at=at,
        )
        session.add(row)
    row.event_count += 1
    row.last_event_at = at
    row.current_stage = STAGE_OF.get(received.event_type, "failed")


def serve(name: str, port: Annotated[int, typer.Option()]) -> None:
    """Serve the named peer."""
    peer = {"no-op": no_op, "commit-each": commit_each, "plain": plain}[name]
    uvicorn.run(peer(), port=port, **server.options())


if __name__ == "__main__":
    typer.run(serve)
