from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flaskmail.values import ijson

HOSTILE = [
    pytest.param(b"[" * 100_000, id="deep array"),
    pytest.param(b"[" * 100_000 + b"]" * 100_000, id="deep and closed"),
    pytest.param(b'{"a":' * 100_000, id="deep object"),
    pytest.param(b"[" * 101 + b"]" * 101, id="one too deep"),
    pytest.param(b'{"a":' * 101 + b"1" + b"}" * 101, id="one object too deep"),
    pytest.param(b"9" * 1_000_000, id="digits"),
    pytest.param(b"-" + b"9" * 1_000_000, id="negative digits"),
    pytest.param(b"1." + b"9" * 1_000_000, id="fraction"),
    pytest.param(b"1e999", id="beyond a double"),
    pytest.param(b"9" * 399, id="beyond a double without exponent"),
    pytest.param(b"NaN", id="NaN"),
    pytest.param(b"[Infinity]", id="Infinity"),
    pytest.param(b"[-Infinity]", id="-Infinity"),
    pytest.param(b'{"a":1,"a":1}', id="name twice"),
    pytest.param(b'{"a":1,"\\u0061":1}', id="name twice, once escaped"),
    pytest.param(b'["\\ud800"]', id="lone high surrogate"),
    pytest.param(b'{"\\uDC00\\ud800":1}', id="surrogates the wrong way round, in a name"),
    pytest.param(b'"\xed\xa0\x80"', id="surrogate in UTF-8"),
    pytest.param(b'"\xff"', id="no UTF-8"),
    pytest.param('"a"'.encode("utf-16"), id="UTF-16"),
    pytest.param(b"\xef\xbb\xbf{}", id="byte order mark"),
    pytest.param(b"{} {}", id="two values"),
    pytest.param(b"", id="nothing"),
    pytest.param(b"   ", id="blanks"),
    pytest.param(b'["\n"]', id="control character"),
    pytest.param(b"[1,]", id="trailing comma"),
    pytest.param(b"{'a':1}", id="single quotes"),
    pytest.param(b"[01]", id="leading zero"),
    pytest.param(b"[1] // a", id="comment"),
]


@pytest.fixture
def processor_time() -> Iterator[None]:
    """Five times what hostile input may cost."""
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_utime
    yield
    assert resource.getrusage(resource.RUSAGE_THREAD).ru_utime - before < 0.25


@pytest.mark.usefixtures("processor_time")
@pytest.mark.parametrize("octets", HOSTILE)
def test_what_is_not_i_json_is_refused_with_a_sentence(octets: bytes) -> None:
    with pytest.raises(ijson.NotIJson) as refused:
        ijson.loads(octets)
    sentence = str(refused.value)
    assert sentence.endswith(".")
    assert len(sentence) < 250


@pytest.mark.parametrize(
    ("octets", "value"),
    [
        (b' {"a":[1,-2,3.5,true,null,"\\u00e9"]}\r\n', {"a": [1, -2, 3.5, True, None, "é"]}),
        (b'"\\ud83d\\ude00 \\\\ud800"', "\U0001f600 \\ud800"),
        (b"[" * 100 + b"]" * 100, json.loads("[" * 100 + "]" * 100)),
        (b"[" + b"[]," * 1000 + b"{}]", [[] for _ in range(1000)] + [{}]),
        (b"9007199254740993", 9007199254740993),
        (b"123456789012345678901234", 1.2345678901234568e23),
        (b"-0", 0),
        (b'{"":{"":1}}', {"": {"": 1}}),
    ],
)
def test_i_json_is_read(octets: bytes, value: Any) -> None:
    assert ijson.loads(octets) == value
    assert ijson.loads(memoryview(octets)) == value


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
)


@given(values)
def test_what_is_written_is_read_back(value: Any) -> None:
    assert ijson.loads(ijson.dumps(value)) == value
    assert ijson.loads(json.dumps(value).encode()) == value


@given(st.binary())
def test_any_octets_are_read_or_refused(octets: bytes) -> None:
    try:
        ijson.dumps(ijson.loads(octets))
    except ijson.NotIJson:
        pass


def test_ready_json_is_put_in_as_it_is() -> None:
    assert ijson.dumps({"list": [msgspec.Raw(b'{"a": 1}')]}) == b'{"list":[{"a": 1}]}'
