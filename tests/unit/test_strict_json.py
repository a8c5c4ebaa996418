"""The strict reader against the standard one, and against a judge of its own for what must be refused."""

import json
import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from portal_hooks.strict_json import MAX_CONTAINERS, MAX_KEYS, MalformedJson, read_json
from projections.canonical_json import canonical_json

EASY_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
INTEGERS = st.integers(-(2**63), 2**63 - 1)


def trees(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(EASY_TEXT, inner, max_size=4)
    )


good_values = trees(
    st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False, allow_infinity=False) | EASY_TEXT
)

# Everything that json.dumps can write, what must be refused included.
any_values = trees(
    st.none()
    | st.integers(-(2**65), 2**65)
    | st.floats()
    | st.text(st.characters(), max_size=4)
    | st.sampled_from(["\0", "\ud800", "a\udfff"])
)


def acceptable(value: Any, depth: int = 0) -> bool:
    """The contract's list of what is refused, over a parsed value."""
    match value:
        case bool() | None:
            return True
        case int():
            return -(2**63) <= value < 2**63
        case float():
            return math.isfinite(value)
        case str():
            return "\0" not in value and not any(0xD800 <= ord(letter) <= 0xDFFF for letter in value)
        case list():
            return depth < 32 and all(acceptable(item, depth + 1) for item in value)
        case dict():
            parts = [*value.keys(), *value.values()]
            return depth < 32 and all(acceptable(part, depth + 1) for part in parts)
    raise AssertionError(type(value))


def accepts(body: bytes) -> bool:
    try:
        read_json(body)
    except MalformedJson:
        return False
    return True


@given(good_values, st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_what_is_accepted_means_what_it_means_to_everyone(
    value: Any, escaped: bool, indent: int | str | None
) -> None:
    body = json.dumps(value, ensure_ascii=escaped, indent=indent).encode()
    assert read_json(body) == json.loads(body) == value


@examples(max_examples=500)
@given(any_values, st.booleans())
def test_exactly_the_contract_s_list_is_refused(value: Any, escaped: bool) -> None:
    body = json.dumps(value, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    assert accepts(body) == acceptable(value)


@examples(max_examples=500)
@given(st.text('[]{}:,"\\u0dtrue1.e-+ \n\x00é', max_size=20) | st.binary(max_size=20).map(repr))
def test_junk_is_refused_wherever_the_standard_reader_refuses_it(text: str) -> None:
    try:
        json.loads(text)
    except ValueError:
        assert not accepts(text.encode())


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused_and_nothing_else(body: bytes) -> None:
    try:
        body.decode()
    except UnicodeDecodeError:
        assert not accepts(body)
    else:
        accepts(body)


@pytest.mark.parametrize("depth", [1, 31, 32, 33, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_nesting_ends_at_32(depth: int, opening: str, closing: str) -> None:
    levels = opening.count("[") + opening.count("{")
    body = opening * depth + "1" + closing * depth
    assert accepts(body.encode()) == (depth * levels <= 32)


@pytest.mark.parametrize("unit", ["[],", "{},", '{"a":[]},'])
def test_a_body_holds_at_most_100_000_containers(unit: str) -> None:
    count = (MAX_CONTAINERS - 1) // (unit.count("[") + unit.count("{"))
    beside = '"' + "[{" * 100_000 + '\\\\\\"[",'
    assert accepts(f"[{beside}{unit * count}0]".encode())
    with pytest.raises(MalformedJson, match="objects and arrays"):
        read_json(f"[{unit * (count + 2)}0]".encode())


@pytest.mark.parametrize("count", [MAX_KEYS, MAX_KEYS + 1])
def test_an_object_has_at_most_100_000_keys(count: int) -> None:
    assert accepts(json.dumps(dict.fromkeys(map(str, range(count)))).encode()) == (count == MAX_KEYS)


@given(st.dictionaries(EASY_TEXT, INTEGERS, min_size=65, max_size=80))
def test_the_canonical_text_of_many_keys_is_that_of_few(value: dict[str, int]) -> None:
    in_order = sorted(value.items(), key=lambda item: item[0].encode())
    texts = ",".join(f"{canonical_json(key)}:{number}" for key, number in in_order)
    assert canonical_json(read_json(json.dumps(value).encode())) == f"{{{texts}}}"


def test_brackets_inside_strings_are_no_nesting() -> None:
    text = "[{" * 50
    assert read_json(json.dumps([text]).encode()) == [text]


@pytest.mark.parametrize(
    "body",
    [
        '{"a":1,"a":1}',
        '{"a":1,"\\u0061":2}',
        '[{"b":{"x":1,"y":2,"x":3}}]',
    ],
)
def test_a_key_that_comes_twice_is_refused_in_any_spelling(body: str) -> None:
    assert not accepts(body.encode())


@pytest.mark.parametrize(
    "number",
    [
        "01",
        "+1",
        ".5",
        "1.",
        "1e",
        "0x10",
        "1_000",
        "NaN",
        "Infinity",
        "-Infinity",
        "-",
        "1e400",
        "-1e400",
        "٣",
    ],
)
def test_what_is_no_number_is_refused(number: str) -> None:
    assert not accepts(number.encode())


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1", "utf-8-sig"])
def test_only_plain_utf_8_is_read(encoding: str) -> None:
    assert accepts('{"é":"ü"}'.encode())
    assert not accepts('{"é":"ü"}'.encode(encoding))


@pytest.mark.parametrize(
    ("one", "other"),
    [("1", "1.0"), ("1", "1e0"), ("100", "1E+2"), ("0", "-0.0"), ("-5", "-50e-1"), ("0.1", "1e-1")],
)
def test_equal_numbers_have_one_canonical_text(one: str, other: str) -> None:
    assert canonical_json(read_json(one.encode())) == canonical_json(read_json(other.encode()))


@pytest.mark.parametrize(("one", "other"), [("1", "true"), ("0", "false"), ("0", "null"), ('"1"', "1")])
def test_values_of_other_types_have_other_texts(one: str, other: str) -> None:
    assert canonical_json(read_json(one.encode())) != canonical_json(read_json(other.encode()))


@given(good_values)
def test_canonical_text_reads_back_and_stays(value: Any) -> None:
    text = canonical_json(read_json(json.dumps(value).encode()))
    assert read_json(text.encode()) == value
    assert canonical_json(read_json(text.encode())) == text


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": "secret-Zx9\\u0000"}',
        b'{"a": secret-Zx9}',
        b'["secret-Zx9 \\x"]',
        b'{"secret-Zx9": 1, "secret-Zx9": 2}',
        b'"secret-Zx9',
    ],
)
def test_a_refusal_says_where_and_never_what_a_value_was(body: bytes) -> None:
    with pytest.raises(MalformedJson) as refused:
        read_json(body)
    assert "Zx9" not in str(refused.value)
    assert re.search(r"[a-z]", str(refused.value))
