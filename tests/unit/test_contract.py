"""The envelope: what is an event, and when two are the same one."""

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal_hooks.contract import FieldError, InvalidEvent, normalise_domain
from portal_hooks.instants import parse_instant
from portal_hooks.strict_json import read_json
from projections.envelope import parse_envelope

EVENT: dict[str, Any] = {
    "event_id": "b6c1:A-z_9",
    "event_type": "dns.applied",
    "session_id": "8b0c",
    "occurred_at": "2026-06-08T12:00:00.123Z",
    "domain": "acme.pt",
    "data": {"applied": ["MX", "SPF"], "n": 1.5},
}


def errors_of(value: object) -> list[FieldError]:
    with pytest.raises(InvalidEvent) as refused:
        parse_envelope(value)
    return refused.value.errors


def content_hash(value: dict[str, Any]) -> bytes:
    return parse_envelope(value).content_hash


def test_the_hash_of_a_content_is_the_same_in_every_release() -> None:
    """Logs hold hashes: were they made otherwise, an event sent again would count as another one."""
    texts = {"é\u2028": '\x01\x1f\n"\\/\x7f😀', "a": {"b": [], "": {}}, "yes": True, "none": None}
    numbers = [1.5, -0.25, 1e-7, 1.5e300, 123456789.125, -(2**63)]
    event = EVENT | {"data": texts | {"z": numbers}, "zone": "x"}
    assert parse_envelope(event).payload == (
        '{"data":{"a":{"":{},"b":[]},"none":null,"yes":true,'
        '"z":[1.5,-0.25,1e-7,1.5e300,123456789.125,-9223372036854775808],'
        '"é\u2028":"\\u0001\\u001f\\n\\"\\\\/\x7f😀"},"domain":"acme.pt","event_id":"b6c1:A-z_9",'
        '"event_type":"dns.applied","occurred_at":"2026-06-08T12:00:00.123Z","session_id":"8b0c","zone":"x"}'
    )
    assert content_hash(event).hex() == "4bbdcadba01a3e1b32926c35b9e2b90219f5f23e30f9168a16f66f8da8038fec"


def test_an_event_is_read_field_by_field() -> None:
    envelope = parse_envelope(EVENT)
    assert envelope.event_id == EVENT["event_id"]
    assert envelope.event_type == "dns.applied"
    assert envelope.session_id == "8b0c"
    assert envelope.occurred_at == parse_instant("2026-06-08T12:00:00.123Z")
    assert envelope.domain == "acme.pt"
    assert json.loads(envelope.payload) == EVENT


def test_only_the_required_fields_are_required() -> None:
    least = {key: EVENT[key] for key in ("event_id", "event_type", "session_id", "occurred_at")}
    assert parse_envelope(least).domain is None
    for name in least:
        assert errors_of({**least, name: None}) == [FieldError(f"/{name}", "is required")]


def test_unknown_keys_are_kept_in_the_payload() -> None:
    assert json.loads(parse_envelope({**EVENT, "x-ray": {"é": None}}).payload)["x-ray"] == {"é": None}


@pytest.mark.parametrize("name", ["event_id", "session_id"])
@pytest.mark.parametrize(("good", "bad"), [("a" * 128, "a" * 129), ("A-z_:9", "a.b"), ("-", ""), ("0", "é")])
def test_identifiers(name: str, good: str, bad: str) -> None:
    assert getattr(parse_envelope({**EVENT, name: good}), name) == good
    assert [error.pointer for error in errors_of({**EVENT, name: bad})] == [f"/{name}"]


@pytest.mark.parametrize("bad", ["a b", "a\n", "a/b", "á", "٣", 7, True, ["a"], {"a": 1}])
def test_identifiers_of_other_letters_or_types_are_refused(bad: object) -> None:
    assert [error.pointer for error in errors_of({**EVENT, "session_id": bad})] == ["/session_id"]


@pytest.mark.parametrize(("good", "bad"), [("a" * 64, "a" * 65), ("a.b_c-9", "A.b"), (".", ""), ("x", "x:y")])
def test_event_types(good: str, bad: str) -> None:
    assert parse_envelope({**EVENT, "event_type": good}).event_type == good
    assert [error.pointer for error in errors_of({**EVENT, "event_type": bad})] == ["/event_type"]


def test_all_wrong_fields_are_named_at_once_and_no_value_is_repeated() -> None:
    wrong = {name: f"Zx9 {name}" for name in EVENT}
    errors = errors_of(wrong)
    assert sorted(error.pointer for error in errors) == sorted(f"/{name}" for name in EVENT)
    assert "Zx9" not in str(errors)


@pytest.mark.parametrize("value", [None, [], [EVENT], "x", 1, True])
def test_what_is_no_object_is_no_event(value: object) -> None:
    assert errors_of(value) == [FieldError("", "must be a JSON object")]


@pytest.mark.parametrize(
    ("given_name", "stored"),
    [
        ("acme.pt", "acme.pt"),
        ("ACME.Pt", "acme.pt"),
        ("acme.pt.", "acme.pt"),
        ("localhost", "localhost"),
        ("a-1.b2.example", "a-1.b2.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.Example.", "xn--bcher-kva.example"),
        ("bu\u0308cher.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
        ("straße.de", "xn--strae-oqa.de"),
        ("correção.com.br", "xn--correo-7ta5a.com.br"),
        ("acme。pt", "acme.pt"),
        ("\uff21\uff43\uff4d\uff45.pt", "acme.pt"),
        (".".join(["a" * 63] * 3 + ["b" * 61]), ".".join(["a" * 63] * 3 + ["b" * 61])),
    ],
)
def test_a_domain_is_stored_in_one_spelling(given_name: str, stored: str) -> None:
    assert parse_envelope({**EVENT, "domain": given_name}).domain == stored


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "acme..pt",
        ".acme.pt",
        "acme.pt..",
        "acme pt",
        "acme_pt.x",
        "-acme.pt",
        "acme-.pt",
        "a" * 64 + ".pt",
        ".".join(["a" * 63] * 3 + ["b" * 62]),
        "10.0.0.1",
        "[::1]",
        "user@acme.pt",
        "acme.pt:443",
        "https://acme.pt",
        "*.acme.pt",
        "xn--\u00fc.pt",
        "xn--a.pt",
        "\u200dacme.pt",
        "é" * 64 + ".pt",
        "é" * 50_000,
    ],
)
def test_what_is_no_host_name_is_refused(name: str) -> None:
    assert [error.pointer for error in errors_of({**EVENT, "domain": name})] == ["/domain"]


@given(st.text(max_size=30) | st.from_regex(r"[a-zA-Zé.ßİ。\-]{1,20}", fullmatch=True))
def test_normalising_never_raises_and_ends_at_once(name: str) -> None:
    stored = normalise_domain(name)
    if stored is not None:
        assert stored.isascii()
        assert stored == stored.lower().rstrip(".")
        assert normalise_domain(stored) == stored


@pytest.mark.parametrize(
    ("domain", "inner", "stored"),
    [
        (None, "Inner.PT.", "inner.pt"),
        ("outer.pt", "inner.pt", "outer.pt"),
        (None, "not a host", None),
        (None, 7, None),
        (None, None, None),
    ],
)
def test_the_domain_in_data_stands_in_when_it_is_one(
    domain: str | None, inner: object, stored: str | None
) -> None:
    event = {**EVENT, "domain": domain, "data": {"domain": inner}}
    assert parse_envelope(event).domain == stored


def test_key_order_and_white_space_do_not_make_another_event() -> None:
    keys = list(EVENT)
    for seed in range(10):
        random.Random(seed).shuffle(keys)
        text = json.dumps({key: EVENT[key] for key in keys}, indent=seed, ensure_ascii=bool(seed % 2))
        assert content_hash(read_json(text.encode())) == content_hash(EVENT)


@pytest.mark.parametrize(
    "changes",
    [
        {"occurred_at": "2026-06-08T12:00:00.123000Z"},
        {"occurred_at": "2026-06-08T13:00:00.123+01:00"},
        {"domain": "ACME.pt."},
        {"data": {"n": 1.50, "applied": ["MX", "SPF"]}},
        {"note": None},
    ],
)
def test_another_spelling_is_the_same_event(changes: dict[str, Any]) -> None:
    assert content_hash({**EVENT, **changes}) == content_hash(EVENT)


@pytest.mark.parametrize(
    "changes",
    [
        {"event_id": "other"},
        {"event_type": "dns.removed"},
        {"session_id": "other"},
        {"occurred_at": "2026-06-08T12:00:00.124Z"},
        {"domain": "acme.com"},
        {"domain": None},
        {"data": None},
        {"data": {}},
        {"data": {"applied": ["SPF", "MX"], "n": 1.5}},
        {"data": {"applied": ["MX", "SPF"], "n": "1.5"}},
        {"data": {"applied": ["MX", "SPF"], "n": 1.5, "more": None}},
        {"note": "unknown keys count"},
    ],
)
def test_other_content_is_another_event(changes: dict[str, Any]) -> None:
    assert content_hash({**EVENT, **changes}) != content_hash(EVENT)


@given(
    st.dictionaries(st.text(max_size=3), st.none() | st.booleans() | st.integers(0, 2) | st.text(max_size=2))
)
def test_equal_data_has_equal_content_and_other_data_other(data: dict[str, Any]) -> None:
    def spelt(value: dict[str, Any]) -> str:
        return json.dumps(value, sort_keys=True)

    same = {**EVENT, "data": dict(reversed(data.items()))}
    assert content_hash(same) == content_hash({**EVENT, "data": data})
    assert (content_hash({**EVENT, "data": data}) == content_hash({**EVENT, "data": {"a": 1}})) == (
        spelt(data) == spelt({"a": 1})
    )
