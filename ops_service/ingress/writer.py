"""The single writer: one thread that commits what is waiting in one transaction (group commit).

Handlers on the event loop submit and wait; they are answered after the commit, never before it.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Final

from sqlalchemy import Connection

from projections.database.database import Database, DatabaseUnavailable
from projections.envelope import Delivery
from projections.log import Receipt
from projections.onboarding.projector import project

logger = logging.getLogger(__name__)

CAPACITY: Final = 4_096
"""Deliveries that may wait; beyond it callers are told to come again."""

GROUP_SIZE: Final = 512
"""Deliveries that one transaction takes, unless a single batch brings more."""


class Overloaded(Exception):
    """Too many deliveries are waiting, or the service is stopping; nothing was taken."""


@dataclass(slots=True)
class _Job:
    deliveries: Sequence[Delivery]
    waiter: asyncio.Future[list[Receipt]]
    beside: Callable[[Connection], None] | None = None
    outcome: list[Receipt] | Exception | None = None

    @property
    def size(self) -> int:
        return len(self.deliveries) or 1


class Writer:
    """Owns the writing thread. `start` and `submit` belong to the event loop that `start` ran in."""

    def __init__(
        self, database: Database, observe_group: Callable[[Sequence[Receipt]], None] = lambda _receipts: None
    ) -> None:
        """`observe_group` is told what became of each committed group, on the writer's thread."""
        self._database = database
        self._observe_group = observe_group
        self._handed_over: SimpleQueue[list[_Job] | None] = SimpleQueue()
        self._backlog: deque[_Job] = deque()
        """Of the writing thread alone."""
        self._collected: list[_Job] = []
        self._thread = threading.Thread(target=self._run, name="ops-writer")
        self._loop: asyncio.AbstractEventLoop
        self._accepting = False
        self.waiting = 0
        """Deliveries submitted and not yet answered."""

    def start(self) -> None:
        """Start the thread. Call once, from the event loop."""
        self._loop = asyncio.get_running_loop()
        self._accepting = True
        self._thread.start()

    async def stop(self) -> None:
        """Take nothing more, commit all that waits, end the thread."""
        self._accepting = False
        self._hand_over()
        self._handed_over.put(None)
        await asyncio.to_thread(self._thread.join)

    async def submit(self, deliveries: Sequence[Delivery]) -> list[Receipt]:
        """Append and project the deliveries in one transaction; returns once that is durable.

        Raises Overloaded or DatabaseUnavailable.
        """
        return await self._put(_Job(deliveries, self._loop.create_future()))

    async def keep(self, beside: Callable[[Connection], None]) -> None:
        """Run `beside` in the next transaction; returns once that is durable.

        Raises Overloaded or DatabaseUnavailable.
        """
        await self._put(_Job((), self._loop.create_future(), beside))

    async def _put(self, job: _Job) -> list[Receipt]:
        if not self._accepting or self.waiting + job.size > CAPACITY:
            raise Overloaded
        self.waiting += job.size
        # The other requests of this turn of the loop shall be in the same group.
        if not self._collected:
            self._loop.call_soon(self._hand_over)
        self._collected.append(job)
        return await job.waiter

    def _hand_over(self) -> None:
        self._handed_over.put(self._collected)
        self._collected = []

    def _run(self) -> None:
        running = True
        while running or self._backlog:
            running = self._take() and running
            jobs = self._next_group()
            if jobs:
                self._commit(jobs)
                self._loop.call_soon_threadsafe(self._answer, jobs)

    def _take(self) -> bool:
        """Put what was handed over behind the backlog, waiting while there is none. False after `stop`."""
        try:
            while True:
                jobs = self._handed_over.get(block=not self._backlog)
                if jobs is None:
                    return False
                self._backlog += jobs
        except Empty:
            return True

    def _next_group(self) -> list[_Job]:
        jobs: list[_Job] = []
        size = 0
        while self._backlog and size < GROUP_SIZE:
            jobs.append(self._backlog.popleft())
            size += jobs[-1].size
        return jobs

    def _commit(self, jobs: Sequence[_Job]) -> None:
        try:
            self._commit_together(jobs)
        except DatabaseUnavailable as error:
            _fail(jobs, error)
        except Exception as error:
            if len(jobs) == 1:
                logger.exception("a delivery could not be stored")
                _fail(jobs, error)
                return
            # One of them breaks the transaction: each by itself, so that the others are not harmed.
            for job in jobs:
                self._commit([job])

    def _commit_together(self, jobs: Sequence[_Job]) -> None:
        deliveries = [delivery for job in jobs for delivery in job.deliveries]
        with self._database.write() as connection:
            receipts = project(connection, deliveries)
            for job in jobs:
                if job.beside:
                    job.beside(connection)
        self._observe_group(receipts)
        in_order = iter(receipts)
        for job in jobs:
            job.outcome = [next(in_order) for _ in job.deliveries]

    def _answer(self, jobs: Sequence[_Job]) -> None:
        for job in jobs:
            self.waiting -= job.size
            if job.waiter.done():
                if isinstance(job.outcome, Exception):
                    logger.error("what nobody waits for any more could not be stored: %s", job.outcome)
                continue
            if isinstance(job.outcome, list):
                job.waiter.set_result(job.outcome)
            elif job.outcome is not None:
                job.waiter.set_exception(job.outcome)


def _fail(jobs: Sequence[_Job], error: Exception) -> None:
    for job in jobs:
        job.outcome = error
