"""Functions of texts."""

from __future__ import annotations

import re

from flaskmail.expressions.errors import Refusal
from flaskmail.expressions.functions.declaration import Function, Parameter
from flaskmail.expressions.operators import equal
from flaskmail.expressions.types import Type, Value, octets, text_of


def _check_separator(separator: str) -> None:
    if not separator:
        raise Refusal("an empty separator")


_TEXT = Parameter("text")
_SEPARATOR = Parameter("separator", check=_check_separator)
_EITHER = Parameter("text or list", Type.ANY)
_WORDS = re.compile(r"[^\W_]+")
_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def _folded(text: str) -> str:
    """Lower case for ASCII letters only: a Kelvin sign is no k."""
    return text.translate(_LOWER)


def _len(value: Value) -> int:
    return len(value) if isinstance(value, tuple) else len(octets(text_of(value)))


def _is_case(text: str, upper: bool) -> int:
    letters = [character for character in text if character.isalpha()]
    return int(bool(letters) and all(one.isupper() if upper else one.islower() for one in letters))


def _contains(where: Value, what: Value, *, fold: bool = False) -> int:
    if isinstance(where, tuple):
        if not fold:
            return int(any(equal(one, what) for one in where))
        wanted = _folded(text_of(what))
        return int(any(not isinstance(one, tuple) and _folded(text_of(one)) == wanted for one in where))
    text, part = text_of(where), text_of(what)
    return int(_folded(part) in _folded(text) if fold else part in text)


def _lines(text: str) -> tuple[str, ...]:
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return tuple(line.removesuffix("\r") for line in lines)


def _substring(text: str, start: int, length: int) -> str:
    if start < 0 or length < 0:
        raise Refusal("substring from or of less than zero characters")
    return text[start : start + length]


def _parts(text: str, separator: str, cuts: int = -1) -> tuple[str, ...]:
    _check_separator(separator)
    if cuts < -1:
        raise Refusal("less than zero cuts")
    return tuple(text.split(separator, cuts))


def _split_n(text: str, separator: str, cuts: int) -> tuple[str, ...]:
    if cuts < 0:
        raise Refusal("less than zero cuts")
    return _parts(text, separator, cuts)


def _split_once(text: str, separator: str) -> tuple[str, ...]:
    parts = _parts(text, separator, 1)
    return parts if len(parts) == 2 else ()


def _rsplit_once(text: str, separator: str) -> tuple[str, ...]:
    _check_separator(separator)
    parts = tuple(text.rsplit(separator, 1))
    return parts if len(parts) == 2 else ()


def _count(name: str, doc: str, test: str, example: str, value: int) -> Function:
    check = getattr(str, test)

    def call(text: str) -> int:
        return sum(map(check, text))

    return Function(name, call, (_TEXT,), Type.INTEGER, doc, ((example, value),))


TEXTS: tuple[Function, ...] = (
    Function(
        "trim",
        str.strip,
        (_TEXT,),
        Type.TEXT,
        "Without white space at both ends.",
        (("trim('  a b ')", "a b"),),
        maps=True,
    ),
    Function(
        "trim_start",
        str.lstrip,
        (_TEXT,),
        Type.TEXT,
        "Without white space at the start.",
        (("trim_start('  a ')", "a "),),
        maps=True,
    ),
    Function(
        "trim_end",
        str.rstrip,
        (_TEXT,),
        Type.TEXT,
        "Without white space at the end.",
        (("trim_end('  a ')", "  a"),),
        maps=True,
    ),
    Function(
        "to_lowercase",
        str.lower,
        (_TEXT,),
        Type.TEXT,
        "In lower case.",
        (("to_lowercase('ÄB')", "äb"), ("to_lowercase(['A', 'B'])", ("a", "b"))),
        maps=True,
    ),
    Function(
        "to_uppercase", str.upper, (_TEXT,), Type.TEXT, "In upper case.", (("to_uppercase('äb')", "ÄB"),), maps=True
    ),
    Function(
        "len",
        _len,
        (_EITHER,),
        Type.INTEGER,
        "Octets of a text in UTF-8, members of a list. `count_chars` counts characters.",
        (("len('näh')", 4), ("len(['a', 'b'])", 2)),
    ),
    Function("count_chars", len, (_TEXT,), Type.INTEGER, "Characters.", (("count_chars('näh')", 3),)),
    _count("count_spaces", "Characters that are white space.", "isspace", "count_spaces('a b c')", 2),
    _count("count_uppercase", "Upper-case letters.", "isupper", "count_uppercase('AbC')", 2),
    _count("count_lowercase", "Lower-case letters.", "islower", "count_lowercase('AbC')", 1),
    Function(
        "is_uppercase",
        lambda text: _is_case(text, True),
        (_TEXT,),
        Type.INTEGER,
        "Whether it has letters, and all are upper case.",
        (("is_uppercase('A-1')", 1), ("is_uppercase('1')", 0)),
    ),
    Function(
        "is_lowercase",
        lambda text: _is_case(text, False),
        (_TEXT,),
        Type.INTEGER,
        "Whether it has letters, and all are lower case.",
        (("is_lowercase('a-1')", 1), ("is_lowercase('aB')", 0)),
    ),
    Function(
        "has_digits",
        lambda text: int(any("0" <= one <= "9" for one in text)),
        (_TEXT,),
        Type.INTEGER,
        "Whether a digit from 0 to 9 is in it.",
        (("has_digits('a1')", 1),),
    ),
    Function(
        "contains",
        _contains,
        (_EITHER, Parameter("what", Type.ANY)),
        Type.INTEGER,
        "Whether a text has that part, or a list that member (as `==` compares).",
        (("contains('abc', 'bc')", 1), ("contains(['80', '443'], 443)", 1), ("contains(['abc'], 'bc')", 0)),
    ),
    Function(
        "contains_ignore_case",
        lambda where, what: _contains(where, what, fold=True),
        (_EITHER, Parameter("what", Type.SCALAR)),
        Type.INTEGER,
        "The same, but ASCII letters of either case are equal.",
        (("contains_ignore_case('aBc', 'BC')", 1),),
    ),
    Function(
        "eq_ignore_case",
        lambda one, other: int(_folded(one) == _folded(other)),
        (_TEXT, Parameter("other")),
        Type.INTEGER,
        "Whether two texts are equal, but for the case of ASCII letters.",
        (("eq_ignore_case('Ab', 'aB')", 1),),
    ),
    Function(
        "starts_with",
        lambda text, prefix: int(text.startswith(prefix)),
        (_TEXT, Parameter("prefix")),
        Type.INTEGER,
        "Whether it begins so.",
        (("starts_with('/api/x', '/api')", 1),),
    ),
    Function(
        "ends_with",
        lambda text, suffix: int(text.endswith(suffix)),
        (_TEXT, Parameter("suffix")),
        Type.INTEGER,
        "Whether it ends so.",
        (("ends_with('a.php', '.php')", 1),),
    ),
    Function(
        "strip_prefix",
        lambda text, prefix: text.removeprefix(prefix) if text.startswith(prefix) else "",
        (_TEXT, Parameter("prefix")),
        Type.TEXT,
        "What follows the prefix; an empty text when it does not begin so.",
        (("strip_prefix('/api/x', '/api')", "/x"), ("strip_prefix('/x', '/api')", "")),
        maps=True,
    ),
    Function(
        "strip_suffix",
        lambda text, suffix: text.removesuffix(suffix) if text.endswith(suffix) else "",
        (_TEXT, Parameter("suffix")),
        Type.TEXT,
        "What precedes the suffix; an empty text when it does not end so.",
        (("strip_suffix('a.php', '.php')", "a"),),
        maps=True,
    ),
    Function(
        "substring",
        _substring,
        (_TEXT, Parameter("start", Type.INTEGER), Parameter("length", Type.INTEGER)),
        Type.TEXT,
        "So many characters, from the one at `start` (0 is the first); fewer at the end of the text.",
        (("substring('abcdef', 2, 3)", "cde"),),
        maps=True,
    ),
    Function(
        "lines", _lines, (_TEXT,), Type.LIST, "The lines, without their ends.", (("lines('a\\r\\nb\\n')", ("a", "b")),)
    ),
    Function(
        "split",
        _parts,
        (_TEXT, _SEPARATOR),
        Type.LIST,
        "The parts between separators.",
        (("split('a,b,', ',')", ("a", "b", "")),),
    ),
    Function(
        "rsplit",
        lambda text, separator: _parts(text, separator)[::-1],
        (_TEXT, _SEPARATOR),
        Type.LIST,
        "The same parts, the last one first.",
        (
            ("rsplit('mail.example.org', '.')", ("org", "example", "mail")),
            ("rsplit('mail.example.org', '.')[0]", "org"),
        ),
    ),
    Function(
        "split_n",
        _split_n,
        (_TEXT, _SEPARATOR, Parameter("cuts", Type.INTEGER)),
        Type.LIST,
        "The parts after at most so many cuts: one part more than cuts.",
        (("split_n('a,b,c', ',', 1)", ("a", "b,c")),),
    ),
    Function(
        "split_once",
        _split_once,
        (_TEXT, _SEPARATOR),
        Type.LIST,
        "What precedes and what follows the first separator; an empty list without one.",
        (("split_once('a=b=c', '=')", ("a", "b=c")), ("split_once('a', '=')[1]", "")),
    ),
    Function(
        "rsplit_once",
        _rsplit_once,
        (_TEXT, _SEPARATOR),
        Type.LIST,
        "What precedes and what follows the last separator; an empty list without one.",
        (("rsplit_once('a=b=c', '=')", ("a=b", "c")),),
    ),
    Function(
        "split_words",
        lambda text: tuple(_WORDS.findall(text)),
        (_TEXT,),
        Type.LIST,
        "The words: runs of letters and digits.",
        (("split_words('one, two-3')", ("one", "two", "3")),),
    ),
)
"""Functions of texts."""
