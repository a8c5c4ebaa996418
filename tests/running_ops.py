"""A real Ops service inside the test process, on a real socket, and a client that speaks to it."""

import asyncio
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import httpx
import uvicorn
from fastapi import FastAPI

from ops_service.app import create_app
from ops_service.auth import tokens
from ops_service.http.server import options
from ops_service.principals import SCOPES, SERVER
from ops_service.settings import Settings
from portal_hooks.instants import format_instant, now_instant
from portal_hooks.signing import headers_for
from projections.database.database import Database

SOURCE = "vm112-portal"
KEY = b"k" * 32
OTHER_SOURCE = "second-portal"
OTHER_KEY = b"o" * 32

INGRESS = "/api/v1/webhooks/onboard"

PLAIN_HTTP = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For `verify` of a client on loopback: it would otherwise read every authority's certificate, for 70 ms."""


def event(event_type: str, session_id: str, **fields: Any) -> dict[str, Any]:
    """A native envelope; the given fields replace or join the usual ones."""
    usual = {
        "event_id": uuid4().hex,
        "event_type": event_type,
        "session_id": session_id,
        "occurred_at": format_instant(now_instant()),
    }
    return {**usual, **fields}


class RunningOps:
    """Speaks to a running service as a portal and as an operator."""

    def __init__(self, url: str, database: Database, app: FastAPI) -> None:
        self.url = url
        self.app = app
        self.database = database
        with database.write() as connection:
            issued = {
                scope: tokens.create(connection, f"test-{scope}", scope, SERVER, now_instant())
                for scope in SCOPES
            }
        self.tokens = issued
        self.http = httpx.Client(base_url=url, timeout=30, headers=self.bearer("admin"), verify=PLAIN_HTTP)

    def bearer(self, scope: str) -> dict[str, str]:
        """The header of a token with this scope."""
        return {"Authorization": f"Bearer {self.tokens[scope]}"}

    def get(self, path: str, **params: Any) -> Any:
        """The JSON of a successful GET."""
        response = self.http.get(path, params=params)
        assert response.status_code == 200, response.text
        return response.json()

    def send(self, value: dict[str, Any], **options: Any) -> httpx.Response:
        """One signed event."""
        webhook_id = str(value.get("event_id", value.get("id", "unknown")))
        return self.send_bytes(json.dumps(value).encode(), webhook_id, **options)

    def send_batch(self, values: list[Any], **options: Any) -> httpx.Response:
        """One signed batch."""
        return self.send_bytes(json.dumps(values).encode(), uuid4().hex, path=f"{INGRESS}/batch", **options)

    def send_bytes(
        self,
        body: bytes,
        webhook_id: str,
        *,
        path: str = INGRESS,
        key: bytes = KEY,
        media_type: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Any signed bytes; `headers` join or replace the usual ones."""
        usual = {"content-type": media_type, **headers_for(key, webhook_id, body, int(time.time()))}
        return self.http.post(path, content=body, headers={**usual, **(headers or {})})


def settings_for(database_url: str, **changes: Any) -> Settings:
    """Settings of a test's service: two sources, nothing from the environment but what is asked."""
    usual = {"database_url": database_url, "webhook_secrets": ((SOURCE, KEY), (OTHER_SOURCE, OTHER_KEY))}
    return Settings(_env_file=None, **{**usual, **changes})


@contextmanager
def running_ops(database_url: str, **changes: Any) -> Iterator[RunningOps]:
    """Run the service on a free port until the block ends."""
    app = create_app(settings_for(database_url, **changes))
    config = uvicorn.Config(app, port=0, log_level="warning", lifespan="on", **options())
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), name="test-ops", daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the service did not start"
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    database = Database(database_url)
    ops = RunningOps(f"http://127.0.0.1:{port}", database, app)
    try:
        yield ops
    finally:
        ops.http.close()
        database.dispose()
        server.should_exit = True
        thread.join()
