"""Quick encoding refuses and accepts exactly what the contract does, and says the same."""

from __future__ import annotations

import enum
import json
import re
from collections import OrderedDict
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from portal_hooks import contract
from portal_hooks.event_encoding import encode_event
from portal_hooks.strict_json import read_json
from projections.canonical_json import canonical_json

odd_texts = st.sampled_from(["", "\0", "a\0b", "\ud800", "é", "\\u0000", 'quo"te', "\u2028", "a" * 200])
texts = odd_texts | st.text(max_size=8)
numbers = st.integers(-(2**65), 2**65) | st.floats()
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            texts | st.integers(0, 2) | st.none() | st.sampled_from(["1", "null"]), inner, max_size=3
        )
        | st.tuples(inner, inner)
    ),
    max_leaves=6,
)
identifiers = st.from_regex(r"[A-Za-z0-9_\-:]{1,10}", fullmatch=True) | texts
event_types = st.from_regex(r"[a-z0-9_.\-]{1,10}", fullmatch=True) | texts
domains = st.none() | st.sampled_from(["acme.pt", "ACME.pt.", "ação.pt", "a b", "1.2.3.4", ""]) | texts


def _nested(depth: int) -> Any:
    value: Any = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


def _by_the_contract(**fields: Any) -> bytes | None:
    """The envelope as plain JSON, if the contract takes it."""
    try:
        given = {key: value for key, value in fields.items() if value is not None}
        # Unsorted: keys of several kinds cannot be compared before they are texts.
        body = json.dumps(given, ensure_ascii=False, allow_nan=False).encode()
        contract.read_fields(read_json(body))
    except (ValueError, TypeError):
        return None
    return body


@given(event_types, identifiers, domains, st.none() | st.dictionaries(texts, values, max_size=3))
@example("a.b", "s", None, _nested(31))
@example("a.b", "s", None, _nested(32))
@example("a.b", "s", None, {"a": {1: 0, "1": 0}})
@example("a.b", "s", None, {"a": {0: 0, "": 0}})
@example("a.b", "s", None, {"a": [2**63 - 1, -(2**63)]})
@example("a.b", "s", None, {"a": 2**63})
@example("a.b", "s", "acme.pt\n", None)
@example("a.b\n", "s", None, None)
def test_it_takes_what_the_contract_takes(
    event_type: str, session_id: str, domain: str | None, data: Any
) -> None:
    expected = _by_the_contract(
        event_id="e1",
        event_type=event_type,
        session_id=session_id,
        occurred_at="2026-06-08T12:00:00Z",
        domain=domain,
        data=data,
    )
    try:
        event = encode_event(event_type, session_id, domain, data, "e1")
    except (ValueError, TypeError):
        assert expected is None
        return
    assert expected is not None
    read = json.loads(event.body)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", read.pop("occurred_at"))
    wanted = json.loads(expected)
    del wanted["occurred_at"]
    assert canonical_json(read) == canonical_json(wanted)
    assert (event.event_id, event.session_id) == ("e1", session_id)


class _Stage(enum.StrEnum):
    DNS = "dns"


@pytest.mark.parametrize(
    ("data", "written"),
    [
        (MappingProxyType({"a": 1}), {"a": 1}),
        (OrderedDict(a=1), {"a": 1}),
        ({"stage": _Stage.DNS}, {"stage": "dns"}),
        ({"records": ("MX", "SPF")}, {"records": ["MX", "SPF"]}),
        ({1: "one", None: "none"}, {"1": "one", "null": "none"}),
        ({}, {}),
    ],
)
def test_what_json_can_say_is_taken(data: Any, written: Any) -> None:
    assert json.loads(encode_event("a.b", "s1", data=data).body)["data"] == written


def test_ids_are_fresh() -> None:
    assert len({encode_event("a.b", "s1").event_id for _ in range(1000)}) == 1000


def test_the_size_limit_is_the_contracts() -> None:
    spare = contract.MAX_EVENT_BYTES - len(encode_event("a.b", "s1", data={"x": ""}).body)
    assert len(encode_event("a.b", "s1", data={"x": "y" * spare}).body) == contract.MAX_EVENT_BYTES
    with pytest.raises(ValueError, match="more than"):
        encode_event("a.b", "s1", data={"x": "y" * (spare + 1)})
