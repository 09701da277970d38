"""Nothing that is written in an expression, and nothing that a request brings, gets out of the language, hangs it or fills
the memory."""

from __future__ import annotations

import tracemalloc

import pytest
from guarding import within

from flaskmail.expressions import HTTP_TYPES, EvaluationError, ExpressionError, compile_expression

# Octets of a header field or request line at most, and of all fields together.
LINE, FIELDS = 65_536, 490_000
VALUES = {
    "listener": "http",
    "remote_ip": "192.0.2.1",
    "remote_port": 50000,
    "local_ip": "127.0.0.1",
    "local_port": 8080,
    "protocol": "http",
    "is_tls": 0,
    "method": "GET",
    "url_path": "a" * LINE,
    "url": "ab" * (LINE // 2),
    "headers": ["x" * 8_000 + ": é"] * 60,
}

REGEXES = [
    "(a+)+$",
    "(a*)*b",
    "(a|a)*$",
    "(a|aa)+$",
    "(a|a?)+$",
    "^(([a-z])+.)+[A-Z]([a-z])+$",
    "(.*)*b",
    "(.*a){20}",
    "(.*a){100}b",
    "(a?){300}b",
    "a?" * 100 + "a" * 100,
    "(x+x+)+y",
    "([a-zA-Z]+)*$",
    "(?:a|b|ab)*c",
    "^(a?){50}a{50}$",
    ".*.*.*.*.*.*.*=",
    "(.{0,200})(.{0,200})z",
    "(?:.{0,60}){8}z",
    "([^z]{1,30}){1,12}z",
    "((a{1,9}){1,9}){1,9}b",
    "(a{0,1000})b",
    "[a-z]{900}z",
    r"\C{999}\C{999}\C{999}",
    r"(?i)(\pL+\pN*)+$",
    "(" * 49 + "a?" + ")" * 49 + "b",
    "(?:" + "(a?)" * 45 + ")b",
    "(?s).*" * 60 + "z",
    "|".join(f"a{{{n}}}z" for n in range(1, 60)),
    "(()*)*z",
    "(?:(?:(?:a?)*)*)*z",
    "(a+)+" * 30 + "z",
    "(.)(.*)(.*)(.*)(.*)(.*)$z",
]
BAD_REGEXES = [
    "(" * 2000,
    "a{1001}",
    "((a{100}){100}){100}",
    r"\pL{1000}",
    "(?=a)",
    r"(a)\1",
    "[",
    "(a" * 400 + ")" * 400,
    "a**",
    r"\pL{100}z",
]

BOUND = 0.05 * 5
"""Seconds of CPU, five times what is promised: machines differ."""


def found(text: str, **options) -> object:
    """What an expression gives with the worst variables ("refused" or "failed" for errors)."""
    try:
        ready = compile_expression(text, variables=HTTP_TYPES, lookups={"default": {"hostname": "h"}}, **options)
        return ready.evaluate(VALUES)
    except EvaluationError:
        return "failed"
    except ExpressionError:
        return "refused"


def quoted(pattern: str) -> str:
    return "'" + pattern.replace("\\", "\\\\").replace("'", "\\'") + "'"


@pytest.mark.parametrize("pattern", [*REGEXES, *BAD_REGEXES], ids=lambda pattern: pattern[:20])
def test_no_regular_expression_takes_long(pattern):
    found("matches('a', 'a')")  # the import of RE2 does not count
    for subject in (
        "url_path",
        "url",
        "headers",
        "url_path + '!'",
        "substring(url, 0, 200)",
        "substring(url, 0, 2000)",
    ):
        text = f"matches({quoted(pattern)}, {subject})"
        result = within(BOUND, lambda asked=text: found(asked))
        assert result in (0, 1, "failed", "refused")
        assert (result == "refused") == (pattern in BAD_REGEXES), (pattern, result)


def test_many_searches_have_one_budget():
    text = " + ".join(["matches('(a?){20}z', url_path)"] * 200)
    assert within(BOUND, lambda: found(text)) == "failed"


DUNDERS = [
    "__import__",
    "__class__",
    "__builtins__",
    "__globals__",
    "__dict__",
    "__subclasses__",
    "__mro__",
    "__getattribute__",
    "__init__",
    "__doc__",
]
PYTHON = [
    "eval",
    "exec",
    "open",
    "compile",
    "globals",
    "locals",
    "vars",
    "getattr",
    "setattr",
    "type",
    "object",
    "print",
    "input",
    "help",
    "exit",
    "breakpoint",
    "str",
    "range",
    "map",
    "lambda",
]

REFUSED = [
    *DUNDERS,
    *PYTHON,
    *(f"{name}('os')" for name in DUNDERS + PYTHON),
    *(f"url.{name}" for name in DUNDERS),
    *(f"''.{name}" for name in DUNDERS),
    *(f"headers[0].{name}()" for name in DUNDERS),
    *(f"[].{name}" for name in DUNDERS),
    *(f"len.{name}" for name in DUNDERS),
    *(f"${name}" for name in DUNDERS),
    *(f"1.{name}" for name in DUNDERS),
    "url.format",
    "'{0.__class__}'.format(url)",
    "'%s' % url",
    "f'{url}'",
    "r'a'",
    "b'a'",
    "u'a'",
    "'a' 'b'",
    "'a' * 1000000000",
    "[0] * 1000000000",
    "headers * 3",
    "2 ** 64",
    "9 ** 9 ** 9",
    "1 << 1000000",
    "1 >> 1",
    "~1",
    "10 % 3",
    "7 // 2",
    "pow(9, 9)",
    "0x10",
    "1_000",
    "1e999",
    "0b1",
    "1j",
    "9" * 5000,
    "0." + "9" * 5000,
    "lambda: 1",
    "url if 1 else 2",
    "url for url in headers",
    "[url for url in headers]",
    "{}",
    "{'a': 1}",
    "(1, 2)",
    "()",
    "url; url",
    "url\\n",
    "url := 1",
    "import os",
    "not url",
    "url and url",
    "url is url",
    "url in headers",
    "headers[0:1]",
    "headers[:]",
    "headers[]",
    "*headers",
    "**url",
    "@url",
    "url?",
    "url!",
    "`url`",
    "#",
    "url # comment",
    "/* a */ 1",
    "-- 1 --",
    "${url}",
    "$(url)",
    "%{env:HOME}%",
    "config_get('server.tls.private-key')",
    "config_get(url)",
    "key_get('../default', 'a')",
    "key_get('__class__', 'a')",
    "matches(url, url)",
    "matches('a' + 'b', url)",
    "if_then(1, 2)",
    "trim()",
    "(" * 10_000 + "1" + ")" * 10_000,
    "[" * 5_000 + "]" * 5_000,
    "!" * 9_999 + "1",
    "-" * 9_999 + "1",
    "trim(" * 1_600 + "url" + ")" * 1_600,
    "headers" + "[0]" * 3_000,
    "if_then(1, " * 800 + "1" + ", 1)" * 800,
    "'" + "a" * 20_000 + "'",
    "1+" * 6_000 + "1",
    "(1+" * 3_000,
    "'" * 9_999,
    "[" + "1," * 6_000 + "1]",
    "a" * 10_001,
    "\x00",
    "\ud800",
    "url\u200b",
    "‘a’",
    "１",
    "ürl",
]

# They are right in form; what they could cost is bounded by the budget.
BOUNDED = [
    " + ".join(["url"] * 1000),
    " + ".join(["headers"] * 900),
    "(" + " + ".join(["url_path"] * 500) + ") == url",
    " + ".join(["trim(url)"] * 600),
    "len(" + " + ".join(["headers"] * 800) + ")",
    "[" + ", ".join(["url"] * 900) + "] + headers",
    "split(" + " + ".join(["url"] * 60) + ", 'b')",
    "sort(split(url, 'b') + split(url, 'a'), false)",
    " + ".join(["split(url, 'b')"] * 300),
    "is_intersect(split(url, 'b'), split(url_path, 'c') + split(url, 'b'))",
    "split(url, 'b') - url",
    "headers - headers[0] - url - url - url",
    "dedup(" + " + ".join(["split(url, 'a')"] * 40) + ")",
    " + ".join(["hash(url, 'sha512')"] * 400),
    "to_uppercase(" + " + ".join(["url"] * 14) + ")",
    " || ".join(["contains(url, url_path + 'b')"] * 300),
    " || ".join(["headers == headers + 1"] * 350),
    "split_words(" + " + ".join(["url"] * 12) + ")",
    "strip_prefix(split(url, 'b'), url)",
    "count_spaces(" + " + ".join(["url"] * 10) + ")",
    "substring(split(url, 'a'), 0, 9223372036854775807)",
    "rsplit(url, 'a')[9223372036854775807]",
    "split_n(url, 'a', 9223372036854775807)",
    " && ".join(["is_email(url + '@' + url)"] * 200),
    " + ".join(["lines(url)"] * 500),
    "[" * 40 + "headers" + "]" * 40,
    "headers < headers + 'a'",
    "url * 10",
    "winnow(split(url, 'a') + split(url, 'b'))",
    " ^ ".join(["url < url_path"] * 500),
    "contains_ignore_case(headers, url)",
]


def test_there_are_two_hundred_forms():
    assert len(set(REFUSED + BOUNDED)) >= 200


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_what_is_not_of_the_language_is_refused(number):
    assert within(BOUND, lambda: found(REFUSED[number])) == "refused", REFUSED[number][:100]


@pytest.mark.parametrize("text", BOUNDED, ids=lambda text: text[:30])
def test_work_is_bounded_by_the_budget(text):
    # The first of three may have to warm up; tracing memory would count as time.
    assert within(0.2 * 5, lambda: found(text)) != "refused"
    tracemalloc.start()
    try:
        found(text)
        assert tracemalloc.get_traced_memory()[1] < 60_000_000
    finally:
        tracemalloc.stop()


def test_results_of_constants_have_one_budget_too():
    text = " + ".join(["'" + "a" * 4000 + "'"] + ["key_get('default', 'big')"] * 200)
    big = {"default": {"big": "b" * 100_000}}

    def compile_it() -> None:
        with pytest.raises(ExpressionError, match="too much work"):
            compile_expression(text, variables={}, lookups=big)

    within(BOUND, compile_it)
