"""First visits: by file across threads and processes, by Redis across hosts, and with Redis gone."""

from __future__ import annotations

import logging
import multiprocessing
import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from portal_hooks.first_visits import (
    REDIS_KEY_PREFIX,
    REDIS_TIMEOUT_SECONDS,
    WINDOW_SECONDS,
    FileFirstVisits,
    RedisFirstVisits,
    first_visits,
    started_event_id,
)
from portal_hooks.settings import ConfigurationError
from tests.servers.process import free_port


@pytest.fixture
def session(request: pytest.FixtureRequest) -> str:
    """A session of this test and this run alone, for a Redis that may be shared."""
    return f"{request.node.name}:{time.time_ns()}"


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield listener.getsockname()[1]


def _marks(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*/*") if path.is_file())


def _age(path: Path, seconds: float) -> None:
    moment = time.time() - seconds
    os.utime(path, (moment, moment))


def _visit(folder: str, session_id: str) -> bool:
    return FileFirstVisits(Path(folder)).is_first(session_id)


def test_first_visit_once_per_session(tmp_path: Path) -> None:
    visits = FileFirstVisits(tmp_path / "started")
    assert [visits.is_first("a"), visits.is_first("a"), visits.is_first("b")] == [True, False, True]


def test_a_new_process_remembers(tmp_path: Path) -> None:
    assert _visit(str(tmp_path), "a")
    assert not _visit(str(tmp_path), "a")


def test_session_ids_never_become_file_names(tmp_path: Path) -> None:
    visits = FileFirstVisits(tmp_path / "started")
    for session_id in ("../../escape", "/etc/passwd", "a\0b", "é" * 300, "\ud800"):
        assert visits.is_first(session_id)
        assert not visits.is_first(session_id)
    assert all(path.is_relative_to(tmp_path / "started") for path in tmp_path.rglob("*") if path.is_file())


@pytest.mark.parametrize(("age", "first"), [(WINDOW_SECONDS - 60, False), (WINDOW_SECONDS + 60, True)])
def test_visits_are_forgotten_after_48_hours(tmp_path: Path, age: float, first: bool) -> None:
    visits = FileFirstVisits(tmp_path)
    visits.is_first("a")
    _age(_marks(tmp_path)[0], age)
    assert visits.is_first("a") is first


def test_visits_of_the_day_before_yesterday_still_count(tmp_path: Path) -> None:
    """Just under 48 hours ago may lie two calendar days back."""
    visits = FileFirstVisits(tmp_path)
    visits.is_first("a")
    mark = _marks(tmp_path)[0]
    older = tmp_path / time.strftime("%Y-%m-%d", time.gmtime(time.time() - 2 * 86_400))
    mark.parent.rename(older)
    _age(older / mark.name, WINDOW_SECONDS - 60)
    assert not visits.is_first("a")


def test_old_days_are_removed_a_few_files_at_a_time(tmp_path: Path) -> None:
    old = tmp_path / "2020-01-01"
    old.mkdir()
    for number in range(100):
        (old / str(number)).touch()
    visits = FileFirstVisits(tmp_path)
    visits.is_first("a")
    assert 0 < len(list(old.iterdir())) < 100
    visits.is_first("b")
    assert not old.exists()
    assert not visits.is_first("a")


def test_threads_agree_on_one_first(tmp_path: Path) -> None:
    threads, rounds = 8, 40
    together = threading.Barrier(threads)

    def visit_all(_: int) -> list[bool]:
        answers = []
        for number in range(rounds):
            together.wait()
            answers.append(_visit(str(tmp_path), f"s{number}"))
        return answers

    with ThreadPoolExecutor(threads) as pool:
        by_thread = list(pool.map(visit_all, range(threads)))
    assert [sum(answers) for answers in zip(*by_thread, strict=True)] == [1] * rounds


def test_processes_agree_on_one_first(tmp_path: Path) -> None:
    sessions = [f"s{number}" for number in range(50)]
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        answers = pool.starmap(_visit, [(str(tmp_path), session) for session in sessions * 3], chunksize=5)
    assert sum(answers) == len(sessions)


def test_an_unusable_folder_counts_every_visit_as_first(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "started"
    blocked.write_text("a file where the folder should be")
    visits = FileFirstVisits(blocked)
    with caplog.at_level(logging.WARNING):
        assert visits.is_first("a")
        assert visits.is_first("a")
    assert [record.getMessage().count(str(blocked)) for record in caplog.records] == [1]


def test_redis_makes_hosts_agree(redis_url: str, tmp_path: Path, session: str) -> None:
    one, other = (first_visits(tmp_path / host, redis_url) for host in ("one", "other"))
    assert one.is_first(session)
    assert not other.is_first(session)
    assert not one.is_first(session)


def test_redis_key_and_its_time_to_live(redis_url: str, tmp_path: Path, session: str) -> None:
    first_visits(tmp_path, redis_url).is_first(session)
    with redis.Redis.from_url(redis_url) as client:
        assert WINDOW_SECONDS - 60 < int(client.ttl(REDIS_KEY_PREFIX + session)) <= WINDOW_SECONDS


def test_redis_down_degrades_to_the_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    visits = first_visits(tmp_path, f"redis://127.0.0.1:{free_port()}/0")
    with caplog.at_level(logging.WARNING):
        assert [visits.is_first(name) for name in ("a", "a", "b")] == [True, False, True]
    assert len(caplog.records) == 1
    assert "Redis does not answer" in caplog.records[0].getMessage()


def test_redis_that_never_answers_costs_little_and_once(tmp_path: Path, silent_port: int) -> None:
    visits = first_visits(tmp_path, f"redis://127.0.0.1:{silent_port}/0")
    before = time.monotonic()
    assert all(visits.is_first(f"s{number}") for number in range(20))
    assert time.monotonic() - before < 10 * REDIS_TIMEOUT_SECONDS


def test_redis_is_used_again_after_the_pause(
    redis_url: str, tmp_path: Path, session: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal_hooks.first_visits.REDIS_PAUSE_SECONDS", 0.0)
    visits = RedisFirstVisits(f"redis://127.0.0.1:{free_port()}/0", FileFirstVisits(tmp_path / "one"))
    assert visits.is_first(session)
    visits._client = redis.Redis.from_url(redis_url)
    assert visits.is_first(session + ":later")
    assert not first_visits(tmp_path / "other", redis_url).is_first(session + ":later")


def test_a_wrong_redis_address_is_named_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="REDIS_URL"):
        first_visits(tmp_path, "127.0.0.1:6379")


def test_started_id_is_the_same_for_everyone_within_a_period() -> None:
    now = 10_000 * WINDOW_SECONDS + 5.0
    assert started_event_id("a", now) == started_event_id("a", now + WINDOW_SECONDS - 10)
    assert started_event_id("a", now) != started_event_id("a", now + WINDOW_SECONDS)
    assert started_event_id("a", now) != started_event_id("b", now)
