"""A portal as gunicorn loads it: the hooks are made at import, which with --preload is before the fork."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from portal_hooks import OnboardHooks

hooks = OnboardHooks.from_env()


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Emit one event; the answer names it and the worker that did it."""
    query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
    event_id = hooks.emit("test.counted", query["session"], data={"n": int(query["n"])})
    body = json.dumps({"pid": os.getpid(), "event_id": event_id}).encode()
    start_response("200 OK", [("content-type", "application/json"), ("content-length", str(len(body)))])
    return [body]
