"""A rebuild in a process of its own, which kills itself at a chosen moment with no chance to tidy up.

    python -m tests.faults.rebuild_steps "cut over"      after a labelled step
    python -m tests.faults.rebuild_steps 17              at the 17th moment: before or after a statement, or
                                                         before a commit; at the end when there are fewer
    python -m tests.faults.rebuild_steps "replayed" pooled        the same, with processes that read the log
    python -m tests.faults.rebuild_steps "replayed" loses-worker  one of those is killed; the command goes on

OPS_DATABASE_URL names the database. Events must be coming in: the rebuild waits for some to catch up with.
The first line printed tells the processes that it had begun at that moment, and those they had begun.
"""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple

from sqlalchemy import Engine, event

from projections.database.database import Database
from projections.log import sessions_touched
from projections.onboarding import sessions, state, tickets
from projections.rebuild import cli, rebuild, repair, scan, shadow

RANGE_EVENTS: Final = 20
CUTOVER_SESSIONS: Final = 5
WAIT_SECONDS: Final = 30


class Step(NamedTuple):
    """A moment of the rebuild, and what a rebuild that ends there has done."""

    owner: ModuleType | type
    function: str
    call: int = 1
    before: bool = False
    leaves_shadow: bool = True
    is_cut_over: bool = False
    has_tickets: bool = False


STEPS: Final = {
    "nothing done": Step(rebuild, "_begin", before=True, leaves_shadow=False),
    "shadow made, not committed": Step(state, "record", leaves_shadow=False),
    "shadow made": Step(rebuild, "_begin"),
    "first range written, not committed": Step(sessions, "upsert"),
    "third range written, not committed": Step(sessions, "upsert", call=3),
    "replayed": Step(rebuild, "_fill"),
    "indexed": Step(rebuild, "_index"),
    "other shadow made, not committed": Step(shadow, "create", call=2),
    "derived": Step(rebuild, "_index_and_derive"),
    "catching up, not committed": Step(rebuild, "_refold_into_shadow"),
    "catching up": Step(rebuild, "_refold_into_shadow", call=2, before=True),
    "caught up": Step(rebuild, "_catch_up"),
    "about to swap": Step(rebuild, "_swap", before=True),
    "one of two swapped, not committed": Step(shadow, "swap"),
    "swapped, not committed": Step(rebuild, "_swap"),
    "cut over": Step(rebuild, "_cut_over", leaves_shadow=False, is_cut_over=True),
    "tickets mended, not committed": Step(tickets, "settle", leaves_shadow=False, is_cut_over=True),
    "all done": Step(rebuild, "settle_tickets", leaves_shadow=False, is_cut_over=True, has_tickets=True),
}

POOLED_STEPS: Final = {
    "workers starting": Step(ProcessPoolExecutor, "submit"),
    **{
        label: STEPS[label] for label in STEPS if label.startswith(("first range", "third range", "replayed"))
    },
}
"""A long log's rebuild has processes that read it at all of these but the last: it has just ended them."""


def die() -> None:
    """End this process at once: no handler, no rollback, no flush."""
    print(*_descendants(os.getpid()), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


def lose_worker() -> None:
    """Have one of the reading processes end as the kernel ends them when memory is short."""
    print(*_descendants(os.getpid()), flush=True)
    os.kill(multiprocessing.active_children()[0].pid or 0, signal.SIGKILL)


def at_step(step: Step, happens: Callable[[], None]) -> None:
    """Arrange what happens at a labelled step."""
    calls = count(1)

    def around(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        is_it = next(calls) == step.call
        if is_it and step.before:
            happens()
        result = function(*arguments, **options)
        if is_it and not step.before:
            happens()
        return result

    _wrap(step.owner, step.function, around)


def die_at_moment(number: int) -> None:
    """Arrange the end at the given moment of talking to the database."""
    moments = count(1)

    def passing(*_: Any) -> None:
        if next(moments) == number:
            die()

    for name in ("before_cursor_execute", "after_cursor_execute", "commit"):
        event.listen(Engine, name, passing)


def _descendants(pid: int) -> list[int]:
    listed = (file.read_text().split() for file in Path(f"/proc/{pid}/task").glob("*/children"))
    children = [int(child) for pids in listed for child in pids]
    return children + [one for child in children for one in _descendants(child)]


def _wrap(owner: ModuleType | type, name: str, around: Callable[..., Any]) -> None:
    function = getattr(owner, name)
    setattr(owner, name, lambda *arguments, **options: around(function, *arguments, **options))


def _wait_for_ingest(derive: Callable[[Database], None], database: Database) -> None:
    """Have more to catch up with than the cutover does by itself."""
    derive(database)
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        with database.read() as connection:
            _, position = state.shadow_state(connection)
            if len(sessions_touched(connection, position or 0)) > 2 * CUTOVER_SESSIONS:
                return
        time.sleep(0.01)
    raise TimeoutError("no events are coming in")


def _main(moment: str, mode: str = "") -> None:
    scan.RANGE_EVENTS = RANGE_EVENTS  # type: ignore[misc]
    rebuild.CUTOVER_SESSIONS = CUTOVER_SESSIONS  # type: ignore[misc]
    repair.TOGETHER = CUTOVER_SESSIONS  # type: ignore[misc]
    _wrap(rebuild, "_index_and_derive", _wait_for_ingest)
    if mode:
        scan.LONG_LOG_EVENTS = 0  # type: ignore[misc]
        os.cpu_count = lambda: 2
    if mode == "loses-worker":
        at_step(POOLED_STEPS[moment], lose_worker)
        sys.argv[1:] = ["--quiet"]
        cli.main()
    if moment.isdigit():
        die_at_moment(int(moment))
    else:
        at_step((POOLED_STEPS if mode else STEPS)[moment], die)
    database = Database(os.environ["OPS_DATABASE_URL"])
    rebuild.rebuild(database, lambda _phase, _done, _total: None)
    die()


if __name__ == "__main__":
    _main(*sys.argv[1:])
