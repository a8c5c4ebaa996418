"""Several workers are one service to whoever watches it: each scrape tells what all of them counted."""

import os
import re
import signal
from pathlib import Path

import httpx
import pytest
from prometheus_client.mmap_dict import MmapedDict

from portal_hooks.instants import now_instant
from projections.database.database import Database
from projections.onboarding import state
from tests.faults.ops_process import OpsProcess, ops_process
from tests.faults.portal_load import portals, wait_for
from tests.faults.stored_events import stored_ids
from tests.faults.test_stream_faults import listeners
from tests.running_ops import PLAIN_HTTP

pytestmark = pytest.mark.timeout(300)

SCRAPES = 12
"""On connections of their own, so that every worker gets some."""
CREATED = 'ops_events_total{status="created"}'
STREAMS = "ops_live_streams"
DIFFERENCES = "ops_projection_verified_differences"


def test_every_scrape_tells_what_all_workers_counted(database_url: str, tmp_path: Path) -> None:
    with ops_process(database_url, tmp_path, workers=2, TMPDIR=str(tmp_path)) as ops:
        wait_for(lambda: ops.log.read_text().count("startup complete") == 2, 30, "both workers")
        [folder] = tmp_path.glob("ops-metrics-*")
        assert folder.stat().st_mode & 0o777 == 0o700
        with Database(database_url) as database, database.write() as connection:
            state.record(connection, verified_at=now_instant(), verified_differences=2)
        stored = store_some_by_each(ops, folder, database_url)
        assert scraped(ops, CREATED) == {stored}
        assert min(scraped(ops, "ops_commit_group_events_sum")) >= stored
        assert scraped(ops, DIFFERENCES) == {2}, "what the database says is not added up"

        with listeners(ops.url, ops.token, 8):
            assert scraped(ops, STREAMS) == {8}
            streams = by_worker(folder, "gauge_livesum", '"ops_live_streams"')
            os.kill(max(streams, key=streams.__getitem__), signal.SIGKILL)
            wait_for(lambda: ops.log.read_text().count("startup complete") == 3, 30, "a new worker")
            wait_for(lambda: scraped(ops, STREAMS) == {8}, 30, "the streams being resumed")
        wait_for(lambda: scraped(ops, STREAMS) == {0}, 30, "the streams being closed")
        assert scraped(ops, CREATED) == {stored}, "what the killed worker had counted is lost"
    assert not folder.exists()


def store_some_by_each(ops: OpsProcess, folder: Path, database_url: str) -> int:
    """Send until both workers have stored events; returns how many are stored."""
    for _ in range(30):
        # A connection stays with the worker that took it: new ones each time.
        with portals(ops.url) as ledger:
            wait_for(lambda ledger=ledger: len(ledger.positions) > 50, 30, "acknowledgements")
        created = by_worker(folder, "counter", '"created"')
        if sum(number > 0 for number in created.values()) > 1:
            return len(stored_ids(database_url))
    pytest.fail(f"one worker did everything: {created}")


def scraped(ops: OpsProcess, name: str) -> set[float]:
    """What a number of scrapes said."""
    answers = [httpx.get(f"{ops.url}/metrics", timeout=10, verify=PLAIN_HTTP).text for _ in range(SCRAPES)]
    found = [re.findall(rf"^{re.escape(name)} (\S+)$", answer, re.MULTILINE) for answer in answers]
    assert {len(values) for values in found} == {1}, answers[0]
    return {float(values[0]) for values in found}


def by_worker(folder: Path, kind: str, metric: str) -> dict[int, float]:
    """What each worker alone has counted, by its process id; those that have ended are among them."""
    return {
        int(file.stem.rpartition("_")[2]): sum(
            value
            for key, value, *_ in MmapedDict.read_all_values_from_file(str(file))  # type: ignore[no-untyped-call]
            if metric in key
        )
        for file in folder.glob(f"{kind}_*.db")
    }
