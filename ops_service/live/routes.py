"""GET /api/v1/stream."""

from functools import partial
from typing import Annotated

from fastapi import Header, Query, Request

from ops_service.auth.guard import Watcher, credential_of, guarded_router, is_still
from ops_service.http.parameters import Position
from ops_service.http.problems import RETRY_AFTER_SECONDS, Problem, responses, unavailable
from ops_service.http.server import CONNECTION
from ops_service.live.audience import Listener, TooManyOfOne
from ops_service.live.feed import Feed, TooManyStreams
from ops_service.live.stream import Stream, StreamResponse

router = guarded_router("/api/v1/stream", "live")

After = Annotated[Position | None, Query(description="As Last-Event-ID, for a first request.")]
LastEventId = Annotated[
    Position | None,
    Header(description="The id of the last message that came; counts before `after`."),
]


@router.get("", status_code=200, response_class=StreamResponse, responses=responses(429))
async def stream(
    request: Request, watcher: Watcher, after: After = None, last_event_id: LastEventId = None
) -> StreamResponse:
    """What is written from now on, as server-sent events; after a cut, from where the client had come.

    - `event`: an event of the log; its id is the position. Data: `position`, `event_id`, `event_type`,
      `session_id`, `domain`. In the log's order, without gap or repeat.
    - `ticket`: an operator changed a ticket or wrote a note. Data: `ticket_id`, `session_id`.
    - `service`: what the health page shows has changed. Data: `changed`, of `rebuilt`, `verified`,
      `quarantined`, `rejected`.
    - `resync`: load anew what you show; the stream goes on from its id. Data: `position` and `reason`:
      `start` (no position was given), `gap` (more than 1,000 events were missed: `/api/v1/events?after=` has
      them), `ahead` (the log is shorter than the position given).

    `ticket` and `service` have no id and are not repeated after a cut: load anew what depends on them. A
    comment comes every 15 seconds. The stream ends when its credential does, and after a minute at most; come
    again with the last id. Listening keeps no session from becoming idle.
    """
    feed: Feed = request.app.state.feed
    _end_at_shutdown(request, feed)
    listener = Listener(watcher, credential_of(request))
    _enter(feed, listener)
    try:
        opening = await feed.opening(after if last_event_id is None else last_event_id)
    except BaseException:
        feed.leave(listener)
        raise
    told = Stream(feed, opening, listener, partial(is_still, watcher, request)).frames()
    return StreamResponse(feed, listener, told)


def _enter(feed: Feed, listener: Listener) -> None:
    try:
        feed.enter(listener)
    except TooManyStreams:
        raise unavailable("Too many streams are open; try again, or ask at intervals.") from None
    except TooManyOfOne:
        raise Problem(
            429,
            "You have as many streams open as one may have; close some, or ask at intervals.",
            headers={"Retry-After": RETRY_AFTER_SECONDS},
        ) from None


def _end_at_shutdown(request: Request, feed: Feed) -> None:
    """Have the server end the streams when it begins to stop: it waits for them before it tells the app."""
    extension = request.scope.get("extensions", {}).get(CONNECTION)
    if extension is not None:
        extension["http"].on_shutdown = feed.stop
        if extension["http"].is_stopping:  # it began while this request was judged
            feed.stop()
