"""What surrounds a portal fails: the disk is full, Redis is shared, away or back."""

from __future__ import annotations

import logging
import resource
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytest

from portal_hooks import OnboardHooks
from portal_hooks.delivery.breaker import Pace
from portal_hooks.settings import HookSettings
from portal_hooks.signing import parse_secret
from tests.faults import disk_shortage
from tests.servers.process import free_port
from tests.servers.webhook_receiver import SECRET, Answer, Receiver


@contextmanager
def _hooks(receiver: Receiver, spool: Path, redis_url: str | None = None) -> Iterator[OnboardHooks]:
    settings = HookSettings(receiver.url, parse_secret(SECRET), spool, redis_url)
    hooks = OnboardHooks(settings, pace=Pace(first=0.01, longest=0.05, open_interval=0.1))
    yield hooks
    hooks.close()


def _disk(kind: str, tmp_path: Path) -> AbstractContextManager[Path]:
    return _small_disk(tmp_path) if kind == "full disk" else nullcontext(tmp_path)


@contextmanager
def _small_disk(tmp_path: Path) -> Iterator[Path]:
    with disk_shortage.shortage("full disk", tmp_path) as disk:
        yield disk.folder


@contextmanager
def _shortage(kind: str) -> Iterator[None]:
    """The small disk fills up by itself; elsewhere the kernel refuses this process every write to a file."""
    if kind == "full disk":
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("kind", disk_shortage.kinds())
def test_a_full_disk_loses_no_kept_event_and_space_brings_the_spool_back(
    receiver: Receiver, tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    receiver.judge = lambda _: Answer(503)
    with _disk(kind, tmp_path) as folder, _hooks(receiver, folder) as hooks:
        kept = [hooks.emit("a.b", "s1", data={"x": "y" * 1000}) for _ in range(100)]
        with caplog.at_level(logging.WARNING), _shortage(kind):
            full = [hooks.emit("a.b", "s1", data={"x": "y" * 1000}) for _ in range(20_000)]
        assert full[-1] is None
        assert hooks.stats().dropped == full.count(None)
        assert len([record for record in caplog.records if "emitted nothing" in record.message]) == 1
        kept += [event_id for event_id in full if event_id is not None]
        receiver.judge = lambda _: None
        assert hooks.flush(30)
        kept.append(hooks.emit("a.b", "s1"))
        assert kept[-1] is not None
        assert hooks.flush(10)
        assert [event["event_id"] for event in receiver.accepted] == kept


def test_hosts_that_share_a_redis_start_a_session_once(
    receiver: Receiver, tmp_path: Path, redis_url: str
) -> None:
    session = f"shared:{time.time_ns()}"
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    with (
        _hooks(receiver, tmp_path / "one", redis_url) as one,
        _hooks(receiver, tmp_path / "other", redis_url) as other,
    ):
        assert one.started(session) is not None
        assert other.started(session) is None
        assert one.flush()
    assert len(receiver.of(session)) == 1


def test_with_redis_down_both_hosts_start_the_session_with_the_same_id(
    receiver: Receiver, tmp_path: Path
) -> None:
    ids = set()
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        with _hooks(receiver, tmp_path / name, f"redis://127.0.0.1:{free_port()}/0") as hooks:
            ids.add(hooks.started("s1"))
            assert hooks.started("s1") is None
    assert len(ids) == 1
    assert None not in ids


def test_a_started_that_the_full_spool_refused_is_emitted_at_the_next_visit(
    receiver: Receiver, tmp_path: Path, redis_url: str
) -> None:
    session = f"refused:{time.time_ns()}"
    settings = HookSettings(receiver.url, parse_secret(SECRET), tmp_path, redis_url, spool_limit_bytes=10)
    full = OnboardHooks(settings)
    assert full.started(session) is None
    full.close()
    with _hooks(receiver, tmp_path, redis_url) as hooks:
        assert hooks.started(session) is not None
