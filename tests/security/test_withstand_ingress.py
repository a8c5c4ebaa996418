"""What signed and unsigned deliveries may cost the service, and each other."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ops_service.ingress import receiver
from ops_service.ingress.deliveries import read_batch
from ops_service.ingress.receiver import READ_AT_ONCE_BYTES
from tests.running_ops import RunningOps, event


def test_while_a_large_body_is_read_the_service_answers(
    ops: RunningOps, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, go_on = threading.Event(), threading.Event()

    def slowly(*arguments: object) -> object:
        reading.set()
        assert go_on.wait(60)
        return read_batch(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(receiver, "read_batch", slowly)
    large = event("onboarding.started", "large", data={"text": "x" * 50_000})
    batch = [{**large, "event_id": f"large-{number}"} for number in range(3)]
    assert len(json.dumps(batch)) > READ_AT_ONCE_BYTES
    with ThreadPoolExecutor(1) as sender:
        answer = sender.submit(ops.send_batch, batch)
        try:
            assert reading.wait(60)
            assert ops.send(event("onboarding.started", "small")).status_code == 201
        finally:
            go_on.set()
        assert answer.result().status_code == 200
