"""Who listens: how many streams each has, and whether they still may, asked once for all streams of one."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

from ops_service.principals import Principal

Key = TypeVar("Key")


class TooManyOfOne(Exception):
    """This principal has as many streams open as one may."""


class Listener(NamedTuple):
    """Whose stream it is, and by which credential they came."""

    principal: Principal
    credential: bytes
    """Its hash: a token that was made anew under an old name is another."""

    @property
    def who(self) -> tuple[str, str]:
        """The same from every address and session."""
        return self.principal.kind, self.principal.name


class Audience:
    """Everything belongs to one event loop."""

    def __init__(self, most_of_one: int) -> None:
        """`most_of_one` bounds the streams of one principal."""
        self._most_of_one = most_of_one
        self._streams: Counter[tuple[str, str]] = Counter()
        self._listening: Counter[Listener] = Counter()
        self._asked: dict[Listener, tuple[int, asyncio.Future[bool]]] = {}

    def enter(self, listener: Listener) -> None:
        """One more stream; it must `leave`. Raises TooManyOfOne."""
        if self._streams[listener.who] >= self._most_of_one:
            raise TooManyOfOne
        self._streams[listener.who] += 1
        self._listening[listener] += 1

    def leave(self, listener: Listener) -> None:
        """The stream has ended."""
        _take_one(self._streams, listener.who)
        _take_one(self._listening, listener)
        if listener not in self._listening:
            self._asked.pop(listener, None)

    async def may_listen(self, listener: Listener, number: int, ask: Callable[[], Awaitable[bool]]) -> bool:
        """The answer of an `ask` that began when the feed had come to `number`, or later."""
        asked = self._asked.get(listener)
        if asked is None or asked[0] < number:
            asked = number, asyncio.ensure_future(ask())
            self._asked[listener] = asked
        # A client that goes away must not take the answer from the others.
        return await asyncio.shield(asked[1])


def _take_one(counter: Counter[Key], key: Key) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
