"""One signed request to Ops, and what its answer means. The only module that speaks HTTP."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Sequence
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

import httpx

from portal_hooks.first_visits import STARTED_ID_PREFIX
from portal_hooks.settings import BATCH_SUFFIX
from portal_hooks.signing import headers_for
from portal_hooks.spool.frames import Record

TIMEOUT_SECONDS: Final = 5.0
# A whole answer, however slowly it drips in.
ANSWER_SECONDS: Final = 30.0
MAX_ANSWER_BYTES: Final = 4 * 1024 * 1024

_TAKEN: Final = frozenset({"created", "duplicate"})
_REFUSED: Final = frozenset({"conflict", "invalid"})
_logger = logging.getLogger(__name__)


class DeliveryFailure(StrEnum):
    """Why a whole request did not come through."""

    UNREACHABLE = "unreachable"
    """Nothing wrong with what was sent, as far as one can tell: later, the same again."""
    SUSPECT = "suspect"
    """Something in it may be what Ops stumbles over: later, in smaller parts."""
    REFUSED = "refused"
    """Ops will never take it as it is."""
    UNAUTHORISED = "unauthorised"
    GONE = "gone"


class Answer(NamedTuple):
    """What became of one request."""

    failure: DeliveryFailure | None
    refusals: Sequence[str | None] = ()
    """Where the request came through, for each event why it was refused, or None where it was taken."""
    reason: str = ""
    retry_after: float = 0.0
    server_time: float | None = None
    """Unix seconds, from the answer's `Date`."""


class Client:
    """Posts batches to one address. Not thread-safe."""

    def __init__(
        self,
        batch_url: str,
        key: bytes,
        *,
        timeout: float = TIMEOUT_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.batch_url = batch_url
        self._key = key
        self._clock = clock
        # Reading all certificate authorities takes a while; without TLS there is nothing to verify with them.
        needs_tls = batch_url.startswith("https:")
        # The address is on the LAN: a proxy set for the portal's other traffic must not catch it.
        self._client = httpx.Client(timeout=timeout, trust_env=False, verify=needs_tls)

    def fingerprint(self) -> str:
        """Changes with the address or the secret, and tells neither."""
        return hashlib.sha256(self.batch_url.encode() + b"\0" + self._key).hexdigest()[:16]

    def post(self, records: Sequence[Record]) -> Answer:
        """Send the events in order. Whatever goes wrong is an answer too; raises nothing."""
        body = b"[" + b",".join(record.body for record in records) + b"]"
        try:
            response, content = self._exchange(_delivery_id(records), body)
        except Exception as error:  # whatever it was, a dead thread would stop every later event
            return Answer(DeliveryFailure.UNREACHABLE, reason=f"{type(error).__name__}: {error}")
        server_time = _http_date(response.headers.get("date", ""))
        answer = _judge(response, content, records)
        retry_after = _retry_after(response.headers.get("retry-after", ""), self._clock())
        return answer._replace(server_time=server_time, retry_after=retry_after)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _exchange(self, webhook_id: str, body: bytes) -> tuple[httpx.Response, bytes]:
        headers = headers_for(self._key, webhook_id, body, int(self._clock()))
        # Compressed, a small answer could unpack to any size.
        headers |= {"content-type": "application/json", "accept-encoding": "identity"}
        deadline = time.monotonic() + ANSWER_SECONDS
        content = bytearray()
        with self._client.stream("POST", self.batch_url, content=body, headers=headers) as response:
            for part in response.iter_raw():
                content += part
                if len(content) > MAX_ANSWER_BYTES:
                    raise ValueError(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
                if time.monotonic() > deadline:
                    raise TimeoutError(f"the answer took longer than {ANSWER_SECONDS:.0f} seconds")
        return response, bytes(content)


def _delivery_id(records: Sequence[Record]) -> str:
    """The same for the same events, so that a repeated delivery can be recognised."""
    ids = "\n".join(record.event_id for record in records)
    return f"batch:{hashlib.sha256(ids.encode()).hexdigest()[:32]}"


def _judge(response: httpx.Response, content: bytes, records: Sequence[Record]) -> Answer:
    status = response.status_code
    if response.is_success:
        return _read_results(content, records)
    reason = f"HTTP {status}: {content[:200].decode(errors='replace')}"
    if response.next_request is not None:
        address = str(response.next_request.url).removesuffix(BATCH_SUFFIX)[:200]
        reason = f"HTTP {status}: redirected, set OPS_WEBHOOK_URL to {address} if that is Ops' address"
    if status in (401, 403):
        return Answer(DeliveryFailure.UNAUTHORISED, reason=reason)
    if status == 410:
        return Answer(DeliveryFailure.GONE, reason=reason)
    if status in (409, 413, 422):
        return Answer(DeliveryFailure.REFUSED, reason=reason)
    if status in (400, 415) or (status >= 500 and status not in (502, 503, 504)):
        return Answer(DeliveryFailure.SUSPECT, reason=reason)
    return Answer(DeliveryFailure.UNREACHABLE, reason=reason)


def _read_results(content: bytes, records: Sequence[Record]) -> Answer:
    """Believe a 2xx only where it names every event: a wrong address, for instance, may answer 200 too."""
    try:
        results = json.loads(content)["results"]
        if len(results) != len(records):
            raise ValueError
        refusals = [_refusal(result, record) for result, record in zip(results, records, strict=True)]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        text = content[:200].decode(errors="replace")
        return Answer(
            DeliveryFailure.UNREACHABLE, reason=f"a success that does not name what was sent: {text}"
        )
    return Answer(None, refusals)


def _refusal(result: dict[str, Any], record: Record) -> str | None:
    status, event_id = result["status"], result.get("event_id")
    if status in _TAKEN and event_id == record.event_id:
        return None
    if status == "conflict" and event_id == record.event_id and event_id.startswith(STARTED_ID_PREFIX):
        _logger.debug("Ops has a `started` of session %s already and keeps that", record.session_id)
        return None
    if status in _REFUSED and event_id in (record.event_id, None):
        return f"{status}: {result.get('detail', 'no detail')}"[:2000]
    raise ValueError


def _retry_after(text: str, now: float) -> float:
    """Seconds, given as such or as a date."""
    if text.isascii() and text.isdigit():
        return float(text[:12])
    moment = _http_date(text)
    return max(0.0, moment - now) if moment is not None else 0.0


def _http_date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
