"""Checks a running service from outside: sends simulated wizard runs and compares what it shows of them.

Exit code 0: all as expected; 1: a difference; 2: the service cannot be reached or refuses the credentials.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from portal_hooks import contract
from portal_hooks.instants import HOUR, SECOND, format_instant, now_instant
from portal_hooks.signing import generate_secret, headers_for, parse_secret
from projections.canonical_json import canonical_json
from scripts.wizard_runs import RUNS, Run

DEV_ENV = Path(__file__).parents[1] / "var" / "dev.env"
Event = dict[str, Any]


class CannotVerify(Exception):
    """The service cannot be asked; the message is one line that says why and what to do."""


class Report:
    """One line per check, and how many went wrong."""

    def __init__(self) -> None:
        self.checks = 0
        self.failures = 0

    def equal(self, what: str, expected: object, got: object) -> None:
        self.checks += 1
        if expected == got:
            print(f"ok    {what}")
            return
        self.failures += 1
        expected, got = _differing(expected, got)
        print(f"FAIL  {what}\n        expected {expected!r}\n        got      {got!r}")


class Service:
    """The service under test, with a secret to send and a token to read."""

    def __init__(self, url: str, secret: str, token: str) -> None:
        self._http = httpx.Client(base_url=_address(url), timeout=10, trust_env=False)
        self._key = parse_secret(secret)
        self._authorization = {"authorization": f"Bearer {token}"}
        self.url = url

    def send(self, event: Event, key: bytes | None = None) -> httpx.Response:
        """Post one event, signed with the portal's key unless another is given."""
        body = canonical_json(event).encode()
        headers = headers_for(key or self._key, event["event_id"], body, int(time.time()))
        headers["content-type"] = "application/json"
        return self._request("POST", "/api/v1/webhooks/onboard", content=body, headers=headers)

    def read(self, path: str, **params: str | int) -> httpx.Response:
        return self._request("GET", "/api/v1" + path, params=params, headers=self._authorization)

    def get(self, path: str, **params: str | int) -> Any:
        """The JSON of an answer that must be a 200. Raises CannotVerify."""
        response = self.read(path, **params)
        if response.status_code in (401, 403):
            raise CannotVerify(f"{self.url} refuses OPS_TOKEN: {_detail(response)}")
        if response.status_code != 200:
            raise CannotVerify(f"{response.request.url} answers {response.status_code}: {_detail(response)}")
        return response.json()

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise CannotVerify(f"{self.url} cannot be reached: {error}; is the service running?") from None


class Sent(NamedTuple):
    """A run under way: its session, its events in order of occurrence, the position of each."""

    run: Run
    session_id: str
    events: list[Event]
    positions: dict[int, int]


class Verification:
    """Sends all runs, then compares."""

    def __init__(self, service: Service, report: Report) -> None:
        self._service = service
        self._report = report
        self._prefix = f"verify-{secrets.token_hex(4)}"
        self._began = now_instant() - 60 * SECOND
        self._since = format_instant(self._began - 48 * HOUR)

    def run(self) -> None:
        before = self._service.get("/onboard/funnel", since=self._since)
        sent = [self._send(run) for run in RUNS]
        self._try_to_change_history(sent[0])
        self._try_to_forge()
        for one in sent:
            self._check_session(one)
            self._check_timeline(one)
            self._check_ticket(one)
        self._check_lists()
        self._check_funnel(before)

    def _send(self, run: Run) -> Sent:
        session_id = f"{self._prefix}-{run.name}"
        sent = Sent(run, session_id, self._events(run, session_id), {})
        answers = [self._deliver(sent, index) for index in run.arrivals]
        expected = [200 if index in run.arrivals[:at] else 201 for at, index in enumerate(run.arrivals)]
        self._report.equal(f"{run.name}: answers to {len(answers)} deliveries", expected, answers)
        return sent

    def _events(self, run: Run, session_id: str) -> list[Event]:
        return [
            {
                "event_id": f"{session_id}:{index}",
                "event_type": event_type,
                "session_id": session_id,
                "occurred_at": format_instant(self._began + index * SECOND),
                "domain": f"{run.name}.verify.example",
                "data": data,
            }
            for index, (event_type, data) in enumerate(run.moments)
        ]

    def _deliver(self, sent: Sent, index: int) -> int:
        """Send one event; the status, with the position compared where the event was sent before."""
        response = self._service.send(sent.events[index])
        if response.status_code in (401, 403):
            raise CannotVerify(f"{self._service.url} refuses OPS_WEBHOOK_SECRET: {_detail(response)}")
        if response.is_success:
            position = response.json()["position"]
            first = sent.positions.setdefault(index, position)
            if response.status_code == 200:
                self._report.equal(f"{sent.run.name}: a duplicate names the first position", first, position)
        return response.status_code

    def _try_to_change_history(self, sent: Sent) -> None:
        changed = sent.events[0] | {"data": {"changed": True}}
        status = self._service.send(changed).status_code
        self._report.equal("conflict: an id sent again with other content is refused", 409, status)
        stored = self._service.get(f"/events/{sent.positions[0]}")
        self._report.equal("conflict: the first content is kept", {}, stored["payload"].get("data"))

    def _try_to_forge(self) -> None:
        session_id = f"{self._prefix}-forged"
        event = self._events(RUNS[0], session_id)[0]
        status = self._service.send(event, key=parse_secret(generate_secret())).status_code
        self._report.equal("forged: a wrong signature is refused", 401, status)
        status = self._service.read(f"/onboard/sessions/{session_id}").status_code
        self._report.equal("forged: nothing of it is stored", 404, status)

    def _check_session(self, sent: Sent) -> None:
        run, row = sent.run, self._service.get(f"/onboard/sessions/{sent.session_id}")
        expected = {
            "current_stage": run.stage,
            "furthest_stage": run.furthest,
            "infra_status": run.infra_status,
            "event_count": len(run.moments),
            "domain": f"{run.name}.verify.example",
            "failure": run.failure_code,
        }
        got = {name: row[name] for name in expected} | {"failure": (row["failure"] or {}).get("code")}
        self._report.equal(f"{run.name}: session stands at {run.stage}", expected, got)

    def _check_timeline(self, sent: Sent) -> None:
        timeline = self._service.get(f"/onboard/sessions/{sent.session_id}/timeline")
        effects = zip(sent.events, sent.run.effects.split(), strict=True)
        expected = [f"{event['event_id']} {effect}" for event, effect in effects]
        got = [f"{event['event_id']} {event['effect']}" for event in timeline["events"]]
        self._report.equal(f"{sent.run.name}: timeline in order, with effects", expected, got)

    def _check_ticket(self, sent: Sent) -> None:
        ticket_id = self._service.get(f"/onboard/sessions/{sent.session_id}")["ticket_id"]
        wanted = sent.run.ticket != "none"
        if not wanted or ticket_id is None:
            what = "one ticket" if wanted else "no ticket"
            self._report.equal(f"{sent.run.name}: {what}", wanted, ticket_id is not None)
            return
        ticket = self._service.get(f"/desk/tickets/{ticket_id}")
        ready = sent.run.ticket == "ready"
        expected = (sent.session_id, ready, int(ready), len(sent.events))
        system_notes = sum(note["kind"] == "system" for note in ticket["notes"])
        tagged = "ready_for_ops" in ticket["tags"]
        got = (ticket["session_id"], tagged, system_notes, len(ticket["timeline"]["events"]))
        what = "ready_for_ops with its note" if ready else "open, not ready"
        self._report.equal(f"{sent.run.name}: ticket {what}, whole timeline", expected, got)

    def _check_lists(self) -> None:
        """Our own sessions by stage: exact, whatever else the service takes in meanwhile."""
        for stage in (*contract.STAGES, contract.FAILED_STAGE):
            expected = sorted(f"{self._prefix}-{run.name}" for run in RUNS if run.stage == stage)
            listed = self._service.get("/onboard/sessions", stage=stage, q=self._prefix)
            got = sorted(session["session_id"] for session in listed["sessions"])
            self._report.equal(f"sessions at {stage}", expected, got)

    def _check_funnel(self, before: dict[str, Any]) -> None:
        after = self._service.get("/onboard/funnel", since=self._since)
        standing = sum(step["failed"] + step["active"] + step["stalled"] for step in after["steps"])
        self._report.equal(
            "funnel: total = completed + open", after["total"], after["stages"]["completed"] + standing
        )
        others = self._others_since(before["position"])
        if others:
            print(
                f"      ({others} events of others came meanwhile: the funnel is compared by the lists alone)"
            )
            return
        gained = Counter(run.stage for run in RUNS)
        expected = {stage: gained[stage] for stage in after["stages"]}
        got = {stage: count - before["stages"][stage] for stage, count in after["stages"].items()}
        self._report.equal("funnel: what the runs added to each stage", expected, got)
        self._report.equal("funnel: sessions added", len(RUNS), after["total"] - before["total"])

    def _others_since(self, position: int) -> int:
        events = self._service.get("/events", after=position, limit=500)["events"]
        return sum(not event["session_id"].startswith(self._prefix) for event in events)


def _differing(expected: object, got: object) -> tuple[object, object]:
    """Of two mappings or sequences, only what differs."""
    if isinstance(expected, dict) and isinstance(got, dict):
        keys = [key for key in expected.keys() | got.keys() if expected.get(key) != got.get(key)]
        return {key: expected.get(key) for key in keys}, {key: got.get(key) for key in keys}
    if isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        pairs = [pair for pair in zip(expected, got, strict=True) if pair[0] != pair[1]]
        return [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return expected, got


def _address(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text.rstrip("/"))
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise CannotVerify("URL must be an address such as http://127.0.0.1:8080")
    return url


def _detail(response: httpx.Response) -> str:
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {response.status_code}"


def _settings() -> dict[str, str]:
    """OPS_WEBHOOK_SECRET and OPS_TOKEN, from the environment first. Raises CannotVerify."""
    values: dict[str, str] = {}
    if DEV_ENV.is_file():
        lines = DEV_ENV.read_text("utf-8").splitlines()
        values = dict(line.split("=", 1) for line in lines if "=" in line)
    names = ("OPS_WEBHOOK_SECRET", "OPS_TOKEN")
    values |= {name: os.environ[name] for name in names if os.environ.get(name)}
    for name in names:
        if not values.get(name):
            raise CannotVerify(f"{name} is not set; export it, or start the service with 'make run'")
    return values


def main() -> int:
    """Verify the service named on the command line."""
    parser = argparse.ArgumentParser(prog="verify-funnel-webhook.sh", description=__doc__)
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:8080", metavar="URL")
    report = Report()
    try:
        settings = _settings()
        service = Service(parser.parse_args().url, settings["OPS_WEBHOOK_SECRET"], settings["OPS_TOKEN"])
        Verification(service, report).run()
    except (CannotVerify, ValueError) as error:
        print(f"verify-funnel-webhook: {error}", file=sys.stderr)
        return 2
    except (KeyError, TypeError) as error:
        report.failures += 1
        print(f"FAIL  an answer does not have the contract's form: {error!r}")
    print(f"{report.checks} checks, {report.failures} failed")
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
