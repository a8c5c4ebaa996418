"""CloudEvents 1.0 in JSON: read as the native event they mean, and nothing invented."""

from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from ops_service.ingress.cloudevents import parse_cloudevent as read
from ops_service.ingress.cloudevents import rename_pointers
from portal_hooks.contract import FieldError, InvalidEvent
from portal_hooks.strict_json import read_json
from projections.envelope import parse_envelope

CLOUDEVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "b6c1",
    "source": "/vm112/portal",
    "type": "dns.applied",
    "subject": "8b0c",
    "time": "2026-06-08T12:00:00.5Z",
    "datacontenttype": "application/json",
    "data": {"domain": "acme.pt", "applied": ["MX"]},
}

NATIVE: dict[str, Any] = {
    "event_id": "b6c1",
    "event_type": "dns.applied",
    "session_id": "8b0c",
    "occurred_at": "2026-06-08T12:00:00.500Z",
    "data": {"applied": ["MX"], "domain": "acme.pt"},
}


def errors_of(value: object) -> list[FieldError]:
    with pytest.raises(InvalidEvent) as refused:
        read(value)
    return refused.value.errors


def test_it_is_the_native_event_it_means() -> None:
    envelope, native = read(CLOUDEVENT), parse_envelope(NATIVE)
    assert envelope._replace(payload="") == native._replace(payload="")


def test_the_payload_keeps_the_source_and_every_extension() -> None:
    payload = read_json(read({**CLOUDEVENT, "traceparent": "00-ab"}).payload.encode())
    assert payload["source"] == "/vm112/portal"
    assert payload["traceparent"] == "00-ab"
    assert payload["event_id"] == "b6c1"


@pytest.mark.parametrize("name", ["source", "datacontenttype", "dataschema"])
def test_how_it_was_carried_is_no_content(name: str) -> None:
    other = {**CLOUDEVENT, name: "https://example.org/other"}
    assert read(other).content_hash == read(CLOUDEVENT).content_hash


def test_an_extension_is_content() -> None:
    assert read({**CLOUDEVENT, "tenant": "a"}).content_hash != read(CLOUDEVENT).content_hash


@pytest.mark.parametrize("missing", [{}, None], ids=["absent", "null"])
@pytest.mark.parametrize("name", ["id", "type", "subject", "time", "source"])
def test_what_is_missing_is_an_error_under_its_own_name(name: str, missing: object) -> None:
    value = {key: item for key, item in CLOUDEVENT.items() if key != name}
    if missing is None:
        value[name] = None
    assert errors_of(value) == [FieldError(f"/{name}", "is required")]


def test_everything_missing_is_said_at_once() -> None:
    pointers = {error.pointer for error in errors_of({})}
    assert pointers == {"/id", "/type", "/subject", "/time", "/source", "/specversion"}


@pytest.mark.parametrize("version", [None, "0.3", "1.1", 1.0, ""])
def test_other_versions_are_refused(version: object) -> None:
    assert [error.pointer for error in errors_of({**CLOUDEVENT, "specversion": version})] == ["/specversion"]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"source": ""}, "/source"),
        ({"source": 7}, "/source"),
        ({"data_base64": "e30="}, "/data_base64"),
        ({"event_id": "b6c1"}, "/event_id"),
        ({"session_id": "8b0c"}, "/session_id"),
    ],
)
def test_what_cannot_be_meant_is_refused(changes: dict[str, Any], pointer: str) -> None:
    assert [error.pointer for error in errors_of({**CLOUDEVENT, **changes})] == [pointer]


@pytest.mark.parametrize("value", [None, [], "x", 1])
def test_what_is_no_object_is_no_event(value: object) -> None:
    assert errors_of(value) == [FieldError("", "must be a JSON object")]


def test_errors_carry_the_names_the_sender_used() -> None:
    native = [FieldError(f"/{name}", "bad") for name in ("event_id", "occurred_at", "data", "domain")]
    assert [error.pointer for error in rename_pointers(native)] == ["/id", "/time", "/data", "/domain"]


@given(
    st.from_regex(r"[A-Za-z0-9_:\-]{1,20}", fullmatch=True),
    st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
    st.none()
    | st.dictionaries(st.text("abé", max_size=3), st.integers(-9, 9) | st.booleans() | st.text("xyé")),
)
def test_what_the_public_library_writes_is_read_as_it_was_meant(
    event_id: str, moment: datetime, data: dict[str, Any] | None
) -> None:
    attributes = {
        "specversion": "1.0",
        "id": event_id,
        "source": "/vm112",
        "type": "dns.applied",
        "subject": "s1",
        "time": moment,
    }
    envelope = read(read_json(JSONFormat().write(CloudEvent(attributes, data))))
    native = {
        "event_id": event_id,
        "event_type": "dns.applied",
        "session_id": "s1",
        "occurred_at": moment.isoformat(),
        "data": data,
    }
    assert envelope.content_hash == parse_envelope(native).content_hash
