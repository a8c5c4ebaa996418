"""The spool on a real disk: frames, segments, torn and damaged files, limits, orphans, progress."""

from __future__ import annotations

import resource
import shutil
import signal
import struct
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal_hooks.spool.backlog import Backlog
from portal_hooks.spool.dead_letters import DeadLetters
from portal_hooks.spool.file_lock import FileLock
from portal_hooks.spool.frames import CHUNK_BYTES, Record, encode_frame, scan_frames
from portal_hooks.spool.reader import Lane, ReadProgress
from portal_hooks.spool.writer import LANES, Spool, SpoolFull, segment_numbers, segment_path, used_bytes

identifiers = st.text("abcXYZ019_-:", min_size=1, max_size=20)
records = st.builds(Record, st.integers(0, 2**60), identifiers, identifiers, st.binary(max_size=200))


def _body(number: int, size: int = 60) -> bytes:
    return b'{"n":%d,"x":"%s"}' % (number, b"x" * size)


def _fill(spool: Spool, numbers: range, session: str = "s1") -> None:
    for number in numbers:
        spool.append(f"e{number}", session, _body(number))


def _lane(spool: Spool) -> Path:
    own = spool.own_lane()
    assert own is not None
    return own[0]


def _ids(folder: Path) -> list[str]:
    return [record.event_id for record in Lane(folder, has_writer=False).read_all()]


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@contextmanager
def _limited(kind: int, limit: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(kind, (soft, hard))


def _largest_file(size: int) -> AbstractContextManager[None]:
    """The kernel cuts a write that would make a file larger: a real short write, without a full disk."""
    return _limited(resource.RLIMIT_FSIZE, size)


@given(st.lists(records, max_size=8))
def test_frames_are_read_as_they_were_written(given_records: list[Record]) -> None:
    data = b"".join(map(encode_frame, given_records))
    scan = scan_frames(data, at_end=True, final=True)
    assert [record for record, _ in scan.frames] == given_records
    assert (scan.end, scan.damaged) == (len(data), 0)


@given(st.lists(records, min_size=1, max_size=5), st.data())
def test_a_torn_frame_is_waited_for_or_passed_over(given_records: list[Record], data: st.DataObject) -> None:
    frames = [encode_frame(record) for record in given_records]
    whole = b"".join(frames[:-1])
    cut = data.draw(st.integers(1, len(frames[-1]) - 1))
    torn = whole + frames[-1][:cut]
    growing = scan_frames(torn, at_end=True, final=False)
    assert (len(growing.frames), growing.end, growing.damaged) == (len(frames) - 1, len(whole), 0)
    final = scan_frames(torn, at_end=True, final=True)
    assert (len(final.frames), final.end, final.damaged) == (len(frames) - 1, len(torn), cut)


@given(st.lists(records, min_size=1, max_size=6), st.data())
def test_damage_costs_the_frames_it_touches_and_no_other(
    given_records: list[Record], data: st.DataObject
) -> None:
    frames = [encode_frame(record) for record in given_records]
    hit = data.draw(st.integers(0, len(frames) - 1))
    place = data.draw(st.integers(0, len(frames[hit]) - 1))
    bad = bytearray(frames[hit])
    bad[place] ^= data.draw(st.integers(1, 255))
    scan = scan_frames(b"".join([*frames[:hit], bytes(bad), *frames[hit + 1 :]]), at_end=True, final=True)
    assert [record for record, _ in scan.frames] == given_records[:hit] + given_records[hit + 1 :]
    assert scan.damaged == len(bad)


@given(st.binary(max_size=500))
def test_no_bytes_make_the_scan_fail(data: bytes) -> None:
    scan = scan_frames(data, at_end=True, final=True)
    assert (scan.frames, scan.end) == ([], len(data))


def test_a_file_of_garbage_is_passed_over_in_pieces(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    _fill(spool, range(1))
    lane = _lane(spool)
    good = encode_frame(Record(1, "good", "s", b"{}"))
    segment_path(lane, 2).write_bytes(b"\xf5OPS" * CHUNK_BYTES + good)
    assert _ids(lane) == ["e0", "good"]


def test_every_append_is_in_the_file_before_it_returns(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for number in range(3):
        spool.append(f"e{number}", "s1", _body(number))
        assert _ids(_lane(spool)) == [f"e{n}" for n in range(number + 1)]


def test_a_spool_removed_under_its_writer_is_made_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "spool"
    now = 100.0
    spool = Spool(folder, clock=lambda: now)
    _fill(spool, range(2))
    shutil.rmtree(folder)
    now += 0.01
    _fill(spool, range(2, 5))
    assert _ids(_lane(spool)) == ["e2", "e3", "e4"]
    assert len(caplog.records) == 1


def test_a_lane_removed_before_its_first_segment_is_made_anew(tmp_path: Path) -> None:
    spool = Spool(tmp_path, segment_bytes=0)
    spool._open()
    shutil.rmtree(tmp_path / LANES)
    _fill(spool, range(1))
    assert _ids(_lane(spool)) == ["e0"]


def test_the_lock_of_a_removed_file_is_none(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert first.acquire()
    assert not second.acquire()
    (tmp_path / "lock").unlink()
    assert second.acquire()
    assert not first.acquire()
    second.release()
    assert first.acquire()
    first.release()


def test_segments_are_rotated_and_removed_when_delivered(tmp_path: Path) -> None:
    spool = Spool(tmp_path, segment_bytes=500)
    _fill(spool, range(40))
    folder = _lane(spool)
    assert len(segment_numbers(folder)) > 5
    lane = Lane(folder)
    seen = 0
    while lane.fill(7):
        seen += (count := min(7, lane.waiting))
        lane.settle(delivered=count)
        lane.save()
    assert seen == 40
    assert len(segment_numbers(folder)) == 1
    assert not lane.is_finished()
    spool.close()
    assert lane.is_finished()
    lane.close()


def test_a_restart_goes_on_behind_what_was_settled(tmp_path: Path) -> None:
    spool = Spool(tmp_path, segment_bytes=300)
    _fill(spool, range(20))
    lane = Lane(_lane(spool))
    lane.fill(12)
    lane.settle(delivered=9, dead=2, parked=1)
    lane.save()
    lane.close()
    assert _ids(_lane(spool)) == [f"e{number}" for number in range(12, 20)]
    assert ReadProgress.read(_lane(spool)).settled == 12


@pytest.mark.parametrize("content", [b"", b"nonsense", b"00000000 {}", b'12345678 {"segment": 1}'])
def test_an_unreadable_progress_file_costs_repeats_only(tmp_path: Path, content: bytes) -> None:
    spool = Spool(tmp_path)
    _fill(spool, range(3))
    (_lane(spool) / "progress").write_bytes(content)
    assert _ids(_lane(spool)) == ["e0", "e1", "e2"]


def test_a_torn_tail_of_a_dead_process_is_passed_over(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    _fill(spool, range(3))
    path = segment_path(_lane(spool), 1)
    spool.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    backlog = Backlog(tmp_path, 60.0)
    batch = backlog.next_batch(2e9, 10)
    assert batch is not None
    assert [record.event_id for record in batch.records] == ["e0", "e1"]
    backlog.settle(batch, [None, None], 2e9)
    assert backlog.next_batch(2e9, 10) is None
    assert backlog.damaged_bytes() == len(whole) // 3 - 5
    assert list((tmp_path / LANES).iterdir()) == []
    backlog.close()


def test_a_frame_that_is_still_being_written_is_waited_for(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    _fill(spool, range(2))
    frame = encode_frame(Record(2**50, "growing", "s1", _body(2)))
    lane = Lane(_lane(spool))
    with segment_path(lane.folder, 1).open("ab", buffering=0) as file:
        for part in (frame[:5], frame[5:40], frame[40:-1]):
            file.write(part)
            assert lane.fill(9) == 2
        file.write(frame[-1:])
    assert lane.fill(9) == 3
    assert (lane.peek(2).event_id, lane.damaged_bytes) == ("growing", 0)
    lane.close()


def test_a_write_cut_short_is_taken_back_and_the_next_one_works(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    _fill(spool, range(2))
    size = segment_path(_lane(spool), 1).stat().st_size
    before = signal.getsignal(signal.SIGXFSZ)
    assert before is signal.SIG_IGN
    with _largest_file(size + 50), pytest.raises(OSError, match="No space left"):
        _fill(spool, range(2, 3))
    assert segment_path(_lane(spool), 1).stat().st_size == size
    _fill(spool, range(3, 5))
    assert _ids(_lane(spool)) == ["e0", "e1", "e3", "e4"]
    assert spool.appended == 4


@pytest.mark.parametrize("kind", [resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE])
def test_a_lane_that_cannot_be_made_leaves_nothing_behind(tmp_path: Path, kind: int) -> None:
    """No space for its first file, or no descriptor for its lock."""
    spool = Spool(tmp_path)
    before = _open_files()
    with _limited(kind, 0):
        for _ in range(3):
            with pytest.raises(OSError, match=r"File too large|Too many open files"):
                _fill(spool, range(1))
    assert (list((tmp_path / LANES).iterdir()), _open_files()) == ([], before)
    _fill(spool, range(1))
    assert _ids(_lane(spool)) == ["e0"]


def test_lanes_that_come_and_go_meanwhile_disturb_nobody(tmp_path: Path) -> None:
    (tmp_path / LANES).mkdir()
    stop = threading.Event()

    def come_and_go() -> None:
        while not stop.is_set():
            for number in range(20):
                hidden = tmp_path / LANES / f".{number}"
                hidden.mkdir()
                hidden.rename(tmp_path / LANES / str(number))
            for number in range(20):
                (tmp_path / LANES / str(number)).rmdir()

    others = threading.Thread(target=come_and_go)
    others.start()
    try:
        assert {used_bytes(tmp_path) for _ in range(1_000)} == {0}
    finally:
        stop.set()
        others.join()


def test_the_limit_counts_what_all_processes_left(tmp_path: Path) -> None:
    earlier = Spool(tmp_path)
    _fill(earlier, range(10))
    used = used_bytes(tmp_path)
    spool = Spool(tmp_path, limit_bytes=used + 300)
    _fill(spool, range(2))
    with pytest.raises(SpoolFull, match="limit of"):
        _fill(spool, range(2, 4))
    assert used < used_bytes(tmp_path) <= used + 300


def test_a_full_spool_takes_events_again_once_some_were_delivered(tmp_path: Path) -> None:
    spool = Spool(tmp_path, limit_bytes=2_000, segment_bytes=500)
    with pytest.raises(SpoolFull):
        _fill(spool, range(100))
    backlog = Backlog(tmp_path, 60.0)
    batch = backlog.next_batch(2e9, 500)
    assert batch is not None
    backlog.settle(batch, [None] * len(batch.records), 2e9)
    backlog.close()
    spool.measure()
    _fill(spool, range(100, 101))


def test_times_never_fall_within_a_lane_though_the_clock_does(tmp_path: Path) -> None:
    clock = iter([100.0, 50.0, 101.0])
    spool = Spool(tmp_path, clock=lambda: next(clock))
    _fill(spool, range(3))
    times = [record.emitted_at for record in Lane(_lane(spool), has_writer=False).read_all()]
    assert times == [100_000_000, 100_000_001, 101_000_000]


def test_events_of_several_processes_are_merged_as_they_were_emitted(tmp_path: Path) -> None:
    now = [100.0]
    spools = [Spool(tmp_path, clock=lambda: now[0]) for _ in range(3)]
    for number in range(30):
        now[0] += 0.001
        spools[number % 3].append(f"e{number}", "one-session", _body(number))
    backlog = Backlog(tmp_path, 60.0)
    batch = backlog.next_batch(now[0], 20)
    assert batch is not None
    assert [record.event_id for record in batch.records] == [f"e{number}" for number in range(20)]
    backlog.close()


def test_what_is_emitted_after_a_look_began_waits_for_the_next(tmp_path: Path) -> None:
    spool = Spool(tmp_path, clock=lambda: 100.0)
    _fill(spool, range(3))
    backlog = Backlog(tmp_path, 60.0)
    batch = backlog.next_batch(100.000001, 10)
    assert batch is not None
    assert len(batch.records) == 2
    backlog.close()


def test_a_lane_belongs_to_its_process_until_that_is_gone(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    _fill(spool, range(1))
    lane = Lane(_lane(spool))
    assert not lane.is_orphan()
    spool.close()
    assert lane.is_orphan()
    assert not Lane(lane.folder).is_orphan()  # claimed by the first
    lane.close()


def test_threads_share_one_lane_and_lose_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path, segment_bytes=2_000)

    def work(name: str) -> None:
        for number in range(200):
            spool.append(f"{name}-{number}", name, _body(number))

    threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = _ids(_lane(spool))
    for n in range(4):
        assert [each for each in ids if each.startswith(f"t{n}-")] == [
            f"t{n}-{number}" for number in range(200)
        ]


def test_syncing_goes_on_beside_appending(tmp_path: Path) -> None:
    before = _open_files()
    spool = Spool(tmp_path, segment_bytes=1_000)
    done = threading.Event()

    def sync() -> None:
        while not done.is_set():
            spool.sync()

    thread = threading.Thread(target=sync)
    thread.start()
    _fill(spool, range(300))
    done.set()
    thread.join()
    spool.append("last", "s1", b"{}", durable=True)
    assert len(_ids(_lane(spool))) == 301
    assert _open_files() <= before + 3  # lock, segment


def test_an_event_too_large_to_be_read_back_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at most"):
        Spool(tmp_path).append("e", "s", b"x" * 80_000)


def test_dead_letters_are_kept_listed_and_dropped(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path)
    assert list(letters) == []
    for number in range(3):
        letters.add(Record(number, f"e{number}", "s", _body(number)), "conflict: other", 100.0 + number)
    letters.add(Record(1, "e1", "s", _body(1)), "conflict: again", 200.0)
    assert [(letter.event_id, letter.reason) for letter in letters] == [
        ("e0", "conflict: other"),
        ("e2", "conflict: other"),
        ("e1", "conflict: again"),
    ]
    letters.drop("e0")
    assert (letters.get("e0"), letters.count()) == (None, 2)


def test_the_frame_format_is_the_documented_one() -> None:
    """Files of an earlier release must stay readable: this may only change together with the magic number."""
    frame = encode_frame(Record(0x0102030405060708, "ev", "s1", b"{}"))
    magic, length, _ = struct.unpack_from("<4sII", frame)
    assert (magic, length) == (b"\xf5OPS", len(frame) - 12)
    assert frame[12:] == bytes.fromhex("0807060504030201") + b"\x02\x00\x02\x00" + b"evs1{}"
