"""The published schemas and the AsyncAPI document say what the code does, and cannot drift from it."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml  # type: ignore[import-untyped]
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ops_service.ingress.cloudevents import RENAMED, rename_pointers, to_native
from portal_hooks.contract import EVENT_TYPES, STAGE_OF, InvalidEvent
from portal_hooks.strict_json import MalformedJson, read_json
from projections.envelope import Envelope, parse_envelope
from scripts import contract_documents
from tests.contracts.reading_vectors import CONTRACTS, load
from tests.running_ops import RunningOps, event
from tests.sizes import size

SCHEMAS = [name for name in contract_documents.documents() if name.endswith(".schema.json")]


def document(name: str) -> Any:
    text = (CONTRACTS / name).read_text(encoding="utf-8")
    return yaml.safe_load(text) if name.endswith(".yaml") else json.loads(text)


def validator(name: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(document(name))


EVENT, CLOUDEVENT = validator("event.schema.json"), validator("cloudevent.schema.json")


def test_the_committed_files_are_what_the_script_makes() -> None:
    assert contract_documents.differing() == [], "run `make contracts`"


def test_a_file_that_was_changed_or_is_missing_is_named(tmp_path: Path) -> None:
    for name, text in contract_documents.documents().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "asyncapi.yaml").unlink()
    (tmp_path / "event.schema.json").write_text("{}", encoding="utf-8")
    assert contract_documents.differing(tmp_path) == ["event.schema.json", "asyncapi.yaml"]


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_is_a_schema(name: str) -> None:
    assert jsonschema_rs.meta.is_valid(document(name))
    assert not validator(name).is_valid("neither an object nor an array")


def judge(value: Any, *, cloudevent: bool) -> Envelope | list[str]:
    """The event, or the pointers of what the code finds wrong."""
    try:
        return parse_envelope(to_native(value) if cloudevent else value)
    except InvalidEvent as error:
        renamed = rename_pointers(error.errors) if cloudevent else error.errors
        return [each.pointer for each in renamed]


BEYOND_A_SCHEMA = {"/domain", "/occurred_at", "/time"}
"""Whether a name is a host name and a date a possible one, no schema says."""


def check_agreement(value: Any, *, cloudevent: bool) -> None:
    verdict = judge(value, cloudevent=cloudevent)
    by_schema = (CLOUDEVENT if cloudevent else EVENT).is_valid(value)
    if isinstance(verdict, Envelope):
        assert by_schema, "the code accepts what the schema refuses"
    elif by_schema:
        assert set(verdict) <= BEYOND_A_SCHEMA, "the code refuses what the schema could refuse and does not"


def test_schema_and_code_agree_about_the_reading_vectors() -> None:
    compared = 0
    for vector in load():
        try:
            value = read_json(vector.body)
        except MalformedJson:
            continue
        check_agreement(value, cloudevent=False)
        check_agreement(value, cloudevent=True)
        compared += 1
    assert compared > 150


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=140)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
IDENTIFIERS = st.from_regex(r"\A[A-Za-z0-9_\-:]{1,130}\Z")
TIMES = st.from_regex(
    r"\A[0-9]{4}-[0-3][0-9]-[0-3][0-9][Tt][0-2][0-9]:[0-9]{2}:[0-9]{2}(\.[0-9]{1,3})?Z\Z"
) | st.builds(
    lambda moment, zone: moment.isoformat() + zone,
    st.datetimes(),
    st.sampled_from(["Z", "z", "+01:00", "-23:59", "+24:00", ""]),
)
NAMES = st.from_regex(r"\A[a-zA-Z0-9.\-\u00e9]{0,70}\Z") | st.just("acme.pt")
DATA = st.dictionaries(TEXTS, VALUES, max_size=3)
NATIVE = {
    "event_id": IDENTIFIERS,
    "event_type": st.sampled_from(EVENT_TYPES) | st.from_regex(r"\A[a-z0-9_.\-]{1,66}\Z"),
    "session_id": IDENTIFIERS,
    "occurred_at": TIMES,
    "domain": NAMES | st.none(),
    "data": DATA | st.none(),
}
CARRIED = {
    "specversion": st.just("1.0"),
    "source": TEXTS,
    **{ours: NATIVE[theirs] for ours, theirs in RENAMED.items()},
    "domain": NATIVE["domain"],
    "data": NATIVE["data"],
}


@st.composite
def nearly(draw: st.DrawFn, fields: dict[str, st.SearchStrategy[Any]]) -> dict[str, Any]:
    """An event that is right but for the few fields that are left out, replaced or added."""
    value = {name: draw(strategy) for name, strategy in fields.items()}
    for name in draw(st.lists(st.sampled_from([*fields, "event_id", "data_base64", "extra"]), max_size=2)):
        if draw(st.booleans()):
            value.pop(name, None)
        else:
            value[name] = draw(VALUES)
    return value


@settings(max_examples=size(brief=150, long=500))
@given(nearly(NATIVE))
@example(event("domain.validated", "s1\n"))
@example(event("domain.validated\n", "s1"))
@example(event("domain.validated", "s1", occurred_at="2026-06-08T12:00:00Z\n"))
@example(event("domain.validated", "s1", occurred_at="٢٠٢٦-06-08T12:00:00Z"))
def test_the_event_schema_agrees_with_the_code(value: dict[str, Any]) -> None:
    check_agreement(value, cloudevent=False)


@settings(max_examples=size(brief=150, long=500))
@given(nearly(CARRIED))
def test_the_cloudevent_schema_agrees_with_the_code(value: dict[str, Any]) -> None:
    check_agreement(value, cloudevent=True)


def test_batches_are_bounded_arrays_of_such_events() -> None:
    batch, item = validator("batch.schema.json"), event("onboarding.started", "s1")
    assert batch.is_valid([item] * 500)
    assert not batch.is_valid([item] * 501)
    assert not batch.is_valid([item, {**item, "session_id": "s 1"}])
    assert not batch.is_valid(item)


def test_the_answers_of_the_service_are_what_their_schemas_say(ops: RunningOps) -> None:
    sent = event("onboarding.started", "s1")
    receipts, problems = validator("receipt.schema.json"), validator("problem.schema.json")
    for answer in (ops.send(sent), ops.send(sent)):
        receipts.validate(answer.json())
        assert not problems.is_valid(answer.json())
    conflict, wrong = ops.send({**sent, "data": {}}), ops.send({**sent, "session_id": ""})
    assert (conflict.status_code, wrong.status_code) == (409, 422)
    for answer in (conflict, wrong, ops.send_bytes(b"{", "e1"), ops.send(sent, key=b"x" * 32)):
        problems.validate(answer.json())
        assert not receipts.is_valid(answer.json())
    mixed = ops.send_batch([sent, event("domain.validated", "s1"), {**sent, "data": {}}, 7])
    validator("batch-result.schema.json").validate(mixed.json())
    assert [each["status"] for each in mixed.json()["results"]] == [
        "duplicate",
        "created",
        "conflict",
        "invalid",
    ]


def resolve(root: Any, reference: str) -> Any:
    if not reference.startswith("#/"):
        return document(reference)
    for part in reference[2:].split("/"):
        root = root[part]
    return root


def with_references(root: Any, value: Any) -> Any:
    """The value with everything it points to in its place."""
    if isinstance(value, dict):
        if "$ref" in value:
            return with_references(root, resolve(root, value["$ref"]))
        return {name: with_references(root, each) for name, each in value.items()}
    return [with_references(root, each) for each in value] if isinstance(value, list) else value


def test_the_asyncapi_document_describes_the_service(ops: RunningOps) -> None:
    raw = document("asyncapi.yaml")
    paths = ops.get("/openapi.json")["paths"]
    for channel in raw["channels"].values():
        assert "post" in paths[channel["address"]]
    messages = with_references(raw, raw["channels"]["event"]["messages"])
    assert {message.get("name") for message in messages.values()} == {*EVENT_TYPES, None}
    for message in messages.values():
        headers = jsonschema_rs.Draft202012Validator(message["traits"][0]["headers"])
        if message.get("name"):
            sent = event(message["name"], "s-asyncapi")
            payload = jsonschema_rs.Draft202012Validator(message["payload"])
            answer = ops.send(sent)
            assert answer.status_code == 201
            assert payload.is_valid(sent)
            assert not payload.is_valid({**sent, "event_type": "other"})
            assert headers.is_valid(
                {name: value for name, value in answer.request.headers.items() if name.startswith("webhook-")}
            )
            assert STAGE_OF.get(message["name"], "failed") in message["summary"]
