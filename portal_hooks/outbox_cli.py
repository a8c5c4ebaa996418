"""``ops-portal-outbox``: what waits for Ops, what was given up, and what to do about it."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from portal_hooks.delivery.breaker import Condition, EndpointState, ask_to_retry
from portal_hooks.delivery.client import Client
from portal_hooks.delivery.sender import Sender
from portal_hooks.delivery.threads import sender_lock
from portal_hooks.event_encoding import json_text
from portal_hooks.instants import format_instant
from portal_hooks.settings import ConfigurationError, HookSettings, read_settings, read_spool_limit
from portal_hooks.spool.backlog import PARKED
from portal_hooks.spool.dead_letters import DEAD, DeadLetter, DeadLetters
from portal_hooks.spool.frames import Record
from portal_hooks.spool.reader import Lane
from portal_hooks.spool.writer import LANES, Spool

_POLL_SECONDS: Final = 0.05
_LEFT_BEHIND, _WRONG_USE, _INTERRUPTED = 1, 2, 130


def main(arguments: list[str] | None = None) -> int:
    """Run one command. 0: done. 1: something waits still, or was not found. 2: wrong use or set-up.

    130: Ctrl-C.
    """
    parsed = _parser().parse_args(arguments)
    os.umask(0o077)  # what waits is customers' data
    try:
        command: Callable[[Path, argparse.Namespace], int] = parsed.command
        return command(_spool_dir(parsed), parsed)
    except (ConfigurationError, OSError) as error:
        print(f"ops-portal-outbox: {error}", file=sys.stderr)
        return _WRONG_USE
    except KeyboardInterrupt:
        print("ops-portal-outbox: interrupted; what waits stays on disk", file=sys.stderr)
        return _INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ops-portal-outbox", description="Events on their way to Ops.")
    parser.add_argument("--spool", metavar="FOLDER", help="the spool folder; else OPS_SPOOL_DIR")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    status = commands.add_parser("status", help="what waits, how old it is, what is known of Ops")
    status.add_argument("--json", action="store_true", dest="as_json", help="one JSON object")
    status.set_defaults(command=_status)
    flush = commands.add_parser("flush", help="try again now; delivers itself when no portal runs")
    flush.add_argument("--timeout", type=float, default=30.0, metavar="SECONDS")
    flush.set_defaults(command=_flush)
    letters = commands.add_parser("dead-letter", help="events that were given up")
    actions = letters.add_subparsers(required=True, metavar="ACTION")
    actions.add_parser("list", help="one line each").set_defaults(command=_list)
    for name, command, text in (
        ("show", _show, "the whole event and the reason"),
        ("retry", _retry, "send them again"),
        ("drop", _drop, "forget them for good"),
    ):
        action = actions.add_parser(name, help=text)
        action.add_argument("event_ids", nargs="*", metavar="EVENT_ID")
        action.add_argument("--all", action="store_true", dest="is_all", help="every dead event")
        action.set_defaults(command=command)
    return parser


def _spool_dir(parsed: argparse.Namespace) -> Path:
    if parsed.spool == "":  # an unset variable of a script, which did not mean the portal's folder
        raise ConfigurationError(
            "--spool is not set; give the spool folder, or leave it away for OPS_SPOOL_DIR"
        )
    text = parsed.spool or os.environ.get("OPS_SPOOL_DIR", "").strip()
    if not text:
        raise ConfigurationError("OPS_SPOOL_DIR is not set; set it as for the portal, or give --spool FOLDER")
    folder = Path(text)
    if not folder.is_dir():
        raise ConfigurationError(f"there is no spool folder {folder}")
    # What cannot be listed would seem to be empty.
    for part in (folder, *(folder / name for name in (LANES, PARKED, DEAD))):
        if part.exists() and not os.access(part, os.R_OK | os.X_OK, effective_ids=True):
            raise ConfigurationError(f"{part} is closed to this user; run it as the portal's user")
    return folder


def _require_own(folder: Path) -> None:
    """What another user, root for one, leaves in the spool would be closed to the portal, and stop it."""
    lanes = folder / LANES
    if lanes.exists() and (owner := lanes.stat().st_uid) != os.geteuid():
        raise ConfigurationError(f"{lanes} belongs to user {owner}, the portal's; run it as that user")


def _status(folder: Path, parsed: argparse.Namespace) -> int:
    facts = _facts(folder)
    if parsed.as_json:
        print(json.dumps(facts))
        return 0
    oldest = facts["oldest_emitted_at"]
    print(f"pending   {facts['pending']}" + (f", the oldest since {oldest}" if oldest else ""))
    sessions = _counted(facts["parked_sessions"], "session")
    print(
        f"parked    {facts['parked']}"
        + (f" of them, in {sessions} Ops stumbles over" if facts["parked"] else "")
    )
    print(f"dead      {facts['dead']}")
    print(f"Ops       {facts['endpoint']['condition']}" + _explanation(facts["endpoint"]))
    return 0


def _explanation(endpoint: dict[str, Any]) -> str:
    if endpoint["reason"] is None:
        return ""
    failures = _counted(endpoint["failures"], "failure")
    return f" ({failures}, {_prospect(endpoint)}): {endpoint['reason']}"


def _prospect(endpoint: dict[str, Any]) -> str:
    if endpoint["condition"] == Condition.STOPPED:
        return "nothing is sent until you run 'ops-portal-outbox flush' or change OPS_WEBHOOK_URL"
    wait = max(0.0, endpoint["next_attempt_at"] - time.time())
    return f"next attempt in {wait:.0f} s"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _facts(folder: Path) -> dict[str, Any]:
    waiting = _waiting(folder / LANES)
    parked = _waiting(folder / PARKED)
    oldest = min((record.emitted_at for record in waiting + parked), default=None)
    return {
        "pending": len(waiting) + len(parked),
        "oldest_emitted_at": None if oldest is None else format_instant(oldest),
        "parked": len(parked),
        "parked_sessions": len({record.session_id for record in parked}),
        "dead": DeadLetters(folder).count(),
        "endpoint": asdict(EndpointState.read(folder)),
    }


def _waiting(parent: Path) -> list[Record]:
    """What the lanes hold; one that is removed in this moment holds nothing."""
    records: list[Record] = []
    for lane in parent.glob("*"):
        try:
            records += Lane(lane, has_writer=False).read_all()
        except FileNotFoundError:
            continue
    return records


def _flush(folder: Path, parsed: argparse.Namespace) -> int:
    _require_own(folder)
    settings = read_settings({**os.environ, "OPS_SPOOL_DIR": str(folder)})
    ask_to_retry(folder)
    _deliver(folder, settings, time.monotonic() + parsed.timeout)
    left = _facts(folder)
    ops = EndpointState.read(folder)
    why = f" ({ops.reason})" if ops.reason else ""
    print(f"Events waiting: {left['pending']}, dead: {left['dead']}; Ops: {ops.condition}{why}")
    return _LEFT_BEHIND if left["pending"] else 0


def _deliver(folder: Path, settings: HookSettings, deadline: float) -> None:
    """Until nothing waits or can be sent in time: by ourselves, or, while a portal holds the lock, by the
    portal, asked to hurry."""
    lock = sender_lock(folder)
    sender: Sender | None = None
    is_hopeless = False
    try:
        while time.monotonic() < deadline:
            if sender is None and lock.acquire():
                sender = Sender(folder, Client(settings.batch_url, settings.key))
            if sender is not None:
                wait = sender.step()
                if wait == 0:
                    continue
                # A step that has sent something tells of the time before it: the next one's word counts.
                was_hopeless, is_hopeless = is_hopeless, _is_hopeless(sender, wait, deadline)
                if was_hopeless and is_hopeless:
                    break
            if not _facts(folder)["pending"]:
                break
            time.sleep(_POLL_SECONDS)
    finally:
        if sender is not None:
            sender.close()
        lock.release()


def _is_hopeless(sender: Sender, wait: float | None, deadline: float) -> bool:
    """Nothing more will be tried in the time that is left."""
    return sender.state.condition is Condition.STOPPED or (wait or 0) > deadline - time.monotonic()


def _list(folder: Path, _: argparse.Namespace) -> int:
    letters = list(DeadLetters(folder))
    if not letters:
        print("No event is dead.")
    for letter in letters:
        event_type = letter.event.get("event_type")
        print(f"{letter.died_at}  {letter.event_id}  {event_type}  {letter.session_id}  {letter.reason}")
    return 0


def _show(folder: Path, parsed: argparse.Namespace) -> int:
    def show(letter: DeadLetter) -> None:
        print(json.dumps(asdict(letter), indent=2, ensure_ascii=False))

    return _for_each(folder, parsed, show, "")


def _retry(folder: Path, parsed: argparse.Namespace) -> int:
    _require_own(folder)
    spool = Spool(folder, limit_bytes=read_spool_limit(os.environ))

    def retry(letter: DeadLetter) -> None:
        body = json_text(letter.event).encode()
        spool.append(letter.event_id, letter.session_id, body, durable=True)
        DeadLetters(folder).drop(letter.event_id)

    with contextlib.closing(spool):
        return _for_each(folder, parsed, retry, "Events that are sent again: {}.")


def _drop(folder: Path, parsed: argparse.Namespace) -> int:
    def drop(letter: DeadLetter) -> None:
        DeadLetters(folder).drop(letter.event_id)

    return _for_each(folder, parsed, drop, "Events dropped: {}.")


def _for_each(folder: Path, parsed: argparse.Namespace, act: Callable[[DeadLetter], None], done: str) -> int:
    """Act on each chosen letter, and then say of how many it was done."""
    letters = DeadLetters(folder)
    if parsed.is_all == bool(parsed.event_ids):
        print("ops-portal-outbox: either name events by their ids, or give --all", file=sys.stderr)
        return _WRONG_USE
    if parsed.is_all:
        chosen: dict[str, DeadLetter | None] = {letter.event_id: letter for letter in letters}
    else:
        chosen = {event_id: letters.get(event_id) for event_id in parsed.event_ids}
    for event_id, letter in chosen.items():
        if letter is None:
            print(f"ops-portal-outbox: no dead event has the id {event_id}", file=sys.stderr)
        else:
            act(letter)
    if done:
        print(done.format(sum(letter is not None for letter in chosen.values())))
    return _LEFT_BEHIND if None in chosen.values() else 0


if __name__ == "__main__":
    sys.exit(main())
