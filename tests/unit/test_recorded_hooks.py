"""What a portal's own tests lean on: the recorder keeps to what the real hooks do."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path

from fastapi.testclient import TestClient

from portal_hooks import OnboardHooks, OnboardMoments, contract
from portal_hooks.reference_portal import create_app
from portal_hooks.testing import RecordedHooks

# Refuses every module from site-packages but httpx and what httpx brings.
_IMPORT_ALONE = """
import importlib.abc, sys
ALLOWED = {"httpx", "httpcore", "h11", "anyio", "idna", "certifi", "typing_extensions", "portal_hooks"}
class Guard(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        root = name.partition(".")[0]
        if root not in ALLOWED and root not in sys.stdlib_module_names:
            raise ModuleNotFoundError(name, name=root)
sys.meta_path.insert(0, Guard())
import portal_hooks, portal_hooks.outbox_cli, portal_hooks.testing
print(portal_hooks.OnboardHooks.__name__)
"""


def test_a_portal_under_test_is_recorded() -> None:
    hooks = RecordedHooks()
    with TestClient(create_app(hooks)) as client:
        session = client.post("/validate-domain", json={"domain": "acme.pt"}).json()["session_id"]
        client.post("/validate-domain", json={"domain": "acme.pt", "session_id": session})
        client.post("/dns/cloudflare/apply", json={"session_id": session, "simulate": "timeout"})
        assert client.get("/status").json()["events"]["emitted"] == 4
    assert hooks.types(session) == [
        contract.STARTED,
        contract.DOMAIN_VALIDATED,
        contract.DOMAIN_VALIDATED,
        contract.FAILED,
    ]
    assert hooks.types("another") == []
    assert hooks.of(session)[-1]["data"]["code"] == "dns_timeout"
    assert hooks.is_closed


def test_a_wrong_call_shows_in_problems_and_does_not_raise() -> None:
    hooks = RecordedHooks()
    assert hooks.emit("Not A Type", "s1") is None
    assert hooks.dns_applied("s1", applied=[]) is None
    assert (len(hooks.problems), hooks.events) == (1, [])
    assert hooks.problems[0].startswith("emit: InvalidEvent")


def test_the_recorder_has_every_method_of_the_real_hooks() -> None:
    for name, method in inspect.getmembers(OnboardHooks, inspect.isfunction):
        if not name.startswith("_"):
            recorded = getattr(RecordedHooks, name)
            assert list(inspect.signature(recorded).parameters) == list(
                inspect.signature(method).parameters
            ), name
            assert hasattr(OnboardMoments, name), f"{name} is missing from what portals annotate with"


def test_nothing_but_httpx_is_needed_beside_the_standard_library() -> None:
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {"PYTHONPATH": str(root)}
    command = [sys.executable, "-c", _IMPORT_ALONE]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (done.stdout, done.returncode) == ("OnboardHooks\n", 0), done.stderr
