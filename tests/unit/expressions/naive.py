"""Random expressions, and a second evaluator of them: it walks a tree of its own and shares no code with the language.

A tree is a tuple: ("lit", value), ("var", name), ("list", [trees]), ("index", tree, tree), ("call", name, [trees]),
("not", tree), ("neg", tree), (operator, tree, tree).
"""

from __future__ import annotations

import hashlib
import math
import random
from decimal import Decimal

BINDING = {"||": 1, "&&": 2, "^": 3, "==": 4, "!=": 4, ">": 5, ">=": 5, "<": 5, "<=": 5, "+": 6, "-": 6, "*": 7, "/": 7}
SPELLINGS = {"&&": ["&&", "&"], "||": ["||", "|"], "==": ["==", "="], ">=": [">=", "=>"], "<=": ["<=", "=<"]}
VARIABLES = {
    "name": "text",
    "path": "text",
    "digits": "text",
    "port": "integer",
    "flag": "integer",
    "share": "float",
    "fields": "list",
}
TOP = 2**63 - 1


class Fails(Exception):
    """The expression has no value."""


def variables(rng: random.Random) -> dict:
    return {
        "name": rng.choice(["", "mail", "Größe", "a b", "-7", "3.25", "x" * 30]),
        "path": rng.choice(["/", "/api/x", "/jmap/session", "a,b,,c", "one\r\ntwo\n"]),
        "digits": rng.choice(["0", "443", "-1", "8080", "9" * 25, "1.50"]),
        "port": rng.choice([0, 1, 443, 8080, TOP, -5]),
        "flag": rng.choice([0, 1]),
        "share": rng.choice([0.0, 0.5, -2.25, 1e15, 1e300]),
        "fields": rng.choice([[], ["a: b"], ["b", "a", "b", ""], ["443", "x"]]),
    }


def tree(rng: random.Random, want: str, depth: int):
    """A random tree, most likely of the type wanted: "text", "integer", "float", "list"."""
    if rng.random() < 0.04:
        want = rng.choice(["text", "integer", "float", "list"])
    if depth <= 0 or rng.random() < 0.15:
        return leaf(rng, want)

    def sub(*wanted: str):
        return tree(rng, rng.choice(wanted), depth - 1)

    number = ("integer", "integer", "float")
    scalar = ("text", "integer", "float")
    every = ("text", "integer", "float", "list")
    if want == "text":
        pick = rng.randrange(9)
        if pick < 3:
            return ("+", sub("text"), sub(*scalar)) if pick else ("+", sub(*number), sub("text"))
        if pick == 3:
            return ("index", sub("list"), ("lit", rng.randrange(3)))
        if pick == 4:
            return ("call", "if_then", [sub("integer"), sub("text"), sub("text")])
        if pick == 5:
            return ("call", "substring", [sub("text"), ("lit", rng.randrange(3)), ("lit", rng.randrange(5))])
        if pick == 6:
            return ("call", rng.choice(["strip_prefix", "strip_suffix"]), [sub("text"), sub("text")])
        if pick == 7:
            return ("call", "hash", [sub("text"), ("lit", rng.choice(["md5", "sha1", "sha256", "nothing"]))])
        return ("call", rng.choice(["trim", "to_uppercase", "to_lowercase"]), [sub("text")])
    if want == "list":
        pick = rng.randrange(7)
        if pick == 0:
            return ("list", [sub(*every) for _ in range(rng.randrange(4))])
        if pick == 1:
            return ("+", sub("list"), sub(*every)) if rng.random() < 0.7 else ("+", sub(*scalar), sub("list"))
        if pick == 2:
            return ("-", sub("list"), sub(*scalar))
        if pick == 3:
            return (
                "call",
                rng.choice(["split", "rsplit", "split_once", "rsplit_once"]),
                [sub("text"), ("lit", rng.choice([",", "/", ": ", ""]))],
            )
        if pick == 4:
            return ("call", "sort", [sub("list"), sub("integer")])
        if pick == 5:
            return ("call", rng.choice(["dedup", "winnow"]), [sub("list")])
        return ("call", "lines", [sub("text")])
    if want == "float":
        pick = rng.randrange(3)
        if pick == 0:
            return ("/", sub(*number), sub(*number, "text"))
        if pick == 1:
            return ("neg", sub("float"))
        return (rng.choice("+-*"), sub("float"), sub(*number))
    pick = rng.randrange(11)
    if pick < 3:
        return (rng.choice("+-*"), sub("integer"), sub("integer"))
    if pick == 3:
        return (rng.choice(["==", "!="]), sub(*scalar), sub(*scalar))
    if pick == 4:
        kind = rng.choice(["text", "integer", "list"])
        return (rng.choice(["<", "<=", ">", ">=", "==", "!="]), sub(kind), sub(kind))
    if pick < 7:
        return (rng.choice(["&&", "||", "^"]), sub("integer", *every), sub("integer", *every))
    if pick == 7:
        return ("not", sub(*every))
    if pick == 8:
        return ("neg", sub("integer"))
    if pick == 9:
        return ("call", rng.choice(["contains", "is_intersect"]), [sub("list", "text"), sub("text", "integer")])
    return (
        ("call", rng.choice(["count", "is_empty", "is_number"]), [sub(*every)])
        if rng.random() < 0.5
        else ("call", rng.choice(["len", "has_digits", "count_spaces", "is_uppercase", "count_chars"]), [sub("text")])
    )


def leaf(rng: random.Random, want: str):
    known = [name for name, type in VARIABLES.items() if type == want]
    if rng.random() < 0.6:
        return ("var", rng.choice(known))
    if want == "text":
        return ("lit", rng.choice(["", "a", "12", "-3", "0.5", "it's", 'a "b"', "\\d+\\.", "tab\there", "é", "/"]))
    if want == "integer":
        return ("lit", rng.choice([0, 1, 2, 7, 443, 10**9, TOP]))
    if want == "float":
        return ("lit", rng.choice([0.0, 0.25, 1.5, 1000000.125]))
    return ("list", [leaf(rng, rng.choice(["text", "integer"])) for _ in range(rng.randrange(3))])


def render(rng: random.Random, node, level: int = 0) -> str:
    """The source of a tree, with no more parentheses than it takes, or some more; white space and spellings vary."""
    text, own = _render(rng, node)
    return f"({text})" if own < level or rng.random() < 0.05 else text


def _render(rng, node) -> tuple[str, int]:
    space = rng.choice(["", " ", " ", "\t", "\n"])
    match node:
        case ("lit", str(value)):
            quote = rng.choice("'\"")
            for raw, escaped in (("\\", "\\\\"), (quote, "\\" + quote), ("\t", rng.choice(["\\t", "\t"]))):
                value = value.replace(raw, escaped)
            return f"{quote}{value}{quote}", 10
        case ("lit", value):
            return str(value), 10
        case ("var", name):
            return name, 11
        case ("list", items):
            return f"[{space}{', '.join(render(rng, item) for item in items)}]", 11
        case ("call", name, arguments):
            return f"{name}{space}({space}{(space + ',').join(render(rng, one) for one in arguments)})", 11
        case ("index", base, index):
            return f"{render(rng, base, 11)}[{render(rng, index)}{space}]", 11
        case ("not", operand):
            return f"!{space}{render(rng, operand, 9)}", 9
        case ("neg", operand):
            return f"-{space}{render(rng, operand, 9)}", 9
        case (operator, left, right):
            own = BINDING[operator]
            sign = rng.choice(SPELLINGS.get(operator, [operator]))
            left_level = own + 1 if own in (4, 5) else own
            return f"{render(rng, left, left_level)}{space}{sign}{space}{render(rng, right, own + 1)}", own


class Naive:
    """strict: evaluate everything, also what is not asked for, and fail where the types can be told to be wrong beforehand."""

    def __init__(self, values: dict, strict: bool = False) -> None:
        self.values, self.strict = values, strict

    def value(self, node):
        match node:
            case ("lit", value):
                return value
            case ("var", name):
                found = self.values[name]
                return tuple(found) if isinstance(found, list) else found
            case ("list", items):
                return tuple(self.value(item) for item in items)
            case ("index", base, index):
                values, number = self.value(base), self.value(index)
                number = whole(number)
                if not isinstance(values, tuple) or number < 0:
                    raise Fails
                return values[number] if number < len(values) else ""
            case ("not", operand):
                return 0 if self.truth(operand) else 1
            case ("neg", operand):
                found = numeric(self.value(operand))
                return -found if isinstance(found, float) else clamp(-found)
            case ("&&", left, right):
                if self.strict:
                    return int(bool(min(self.truth(left), self.truth(right))))
                return 1 if self.truth(left) and self.truth(right) else 0
            case ("||", left, right):
                if self.strict:
                    return max(self.truth(left), self.truth(right))
                return 1 if self.truth(left) or self.truth(right) else 0
            case ("^", left, right):
                return 1 if self.truth(left) != self.truth(right) else 0
            case ("call", "if_then", [asked, then, otherwise]):
                if self.strict:
                    found = self.value(then), self.value(otherwise)
                    return found[0] if self.truth(asked) else found[1]
                return self.value(then if self.truth(asked) else otherwise)
            case ("call", name, arguments):
                return function(name, [self.value(one) for one in arguments])
            case (operator, left, right):
                return self.binary(operator, self.value(left), self.value(right))
        raise AssertionError(node)

    def truth(self, node) -> bool:
        if node[0] == "lit" and isinstance(node[1], str):
            raise Fails
        found = self.value(node)
        return found not in ("", (), 0)

    def binary(self, operator, left, right):
        lists = isinstance(left, tuple), isinstance(right, tuple)
        if operator in ("==", "!="):
            if self.strict and any(lists) and not all(lists):
                raise Fails
            return int(same(left, right) == (operator == "=="))
        if operator in ("<", ">", "<=", ">="):
            sign = three_way(left, right)
            return int({"<": sign < 0, ">": sign > 0, "<=": sign <= 0, ">=": sign >= 0}[operator])
        if operator == "+" and any(lists):
            return (left if lists[0] else (left,)) + (right if lists[1] else (right,))
        if operator == "+" and (isinstance(left, str) or isinstance(right, str)):
            return written(left) + written(right)
        if operator == "-" and lists[0]:
            return tuple(one for one in left if not same(one, right))
        one, other = numeric(left), numeric(right)
        if operator == "/":
            if other == 0:
                raise Fails
            found = one / other
        else:
            found = {"+": one + other, "-": one - other, "*": one * other}[operator]
        if isinstance(found, float):
            if math.isinf(found) or math.isnan(found):
                raise Fails
            return found
        return clamp(found)


def clamp(number: int) -> int:
    return TOP if number > TOP else -TOP - 1 if number < -TOP - 1 else number


def spelled(text: str):
    """The number that a text spells, or None."""
    digits = text[1:] if text.startswith("-") else text
    whole_part, dot, fraction = digits.partition(".")
    for part in [whole_part, fraction] if dot else [whole_part]:
        if not 1 <= len(part) <= 20 or any(one not in "0123456789" for one in part):
            return None
    if dot:
        return float(text)
    number = int(text)
    return number if clamp(number) == number else None


def numeric(value):
    if isinstance(value, tuple):
        raise Fails
    found = spelled(value) if isinstance(value, str) else value
    if found is None:
        raise Fails
    return found


def whole(value) -> int:
    found = numeric(value)
    if found != math.floor(found):
        raise Fails
    return clamp(int(found))


def written(value) -> str:
    if isinstance(value, tuple):
        raise Fails
    if isinstance(value, float):
        return str(int(value)) if value == math.floor(value) else f"{Decimal(repr(value)):f}"
    return str(value)


def same(left, right) -> bool:
    if isinstance(left, tuple) or isinstance(right, tuple):
        if not (isinstance(left, tuple) and isinstance(right, tuple)) or len(left) != len(right):
            return False
        return all(same(one, other) for one, other in zip(left, right, strict=True))
    if isinstance(left, str) != isinstance(right, str):
        left, right = (spelled(one) if isinstance(one, str) else one for one in (left, right))
    return left == right


def three_way(left, right) -> int:
    lists = isinstance(left, tuple), isinstance(right, tuple)
    if all(lists):
        for one, other in zip(left, right, strict=False):
            if not same(one, other):
                return three_way(one, other)
        return len(left) - len(right)
    if any(lists):
        raise Fails
    if not (isinstance(left, str) and isinstance(right, str)):
        left, right = numeric(left), numeric(right)
    return (left > right) - (left < right)


def insertion_sorted(values) -> list:
    """By rank (number, text, list), then size."""

    def rank(value):
        return 0 if isinstance(value, (int, float)) else 1 if isinstance(value, str) else 2

    def before(one, other) -> bool:
        if rank(one) != rank(other):
            return rank(one) < rank(other)
        if rank(one) < 2:
            return one < other
        for a, b in zip(one, other, strict=False):
            if before(a, b) or before(b, a):
                return before(a, b)
        return len(one) < len(other)

    found = []
    for value in values:
        at = len(found)
        while at and before(value, found[at - 1]):
            at -= 1
        found.insert(at, value)
    return found


def function(name, values):
    first = values[0]
    if name == "count":
        return len(first) if isinstance(first, tuple) else 0 if first == "" else 1
    if name == "is_empty":
        return int(first == "" or first == ())
    if name == "is_number":
        return int(not isinstance(first, tuple) and (not isinstance(first, str) or spelled(first) is not None))
    if name == "is_intersect":
        one, other = (value if isinstance(value, tuple) else (value,) for value in values)
        return int(any(same(a, b) for a in one for b in other))
    if name == "contains":
        if isinstance(first, tuple):
            return int(any(same(one, values[1]) for one in first))
        return int(written(first).find(written(values[1])) >= 0)
    if name == "len" and isinstance(first, tuple):
        return len(first)
    if name in ("sort", "dedup", "winnow"):
        if not isinstance(first, tuple):
            raise Fails
        if name == "winnow":
            return tuple(one for one in first if not (isinstance(one, (str, tuple)) and len(one) == 0))
        if name == "dedup":
            found = []
            for one in first:
                if one not in found:
                    found.append(one)
            return tuple(found)
        if values[1] not in ("", (), 0):
            return tuple(insertion_sorted(first))
        # Descending, and what is equal stays in its order.
        return tuple(insertion_sorted(first[::-1])[::-1])
    maps = name in ("trim", "to_uppercase", "to_lowercase", "strip_prefix", "strip_suffix", "substring")
    if maps and isinstance(first, tuple):
        return tuple(function(name, [one if not isinstance(one, tuple) else fail(), *values[1:]]) for one in first)
    text = written(first)
    if name == "substring":
        start, length = whole(values[1]), whole(values[2])
        return "".join(text[at] for at in range(start, min(start + length, len(text))))
    rest = [written(one) for one in values[1:]]
    if name == "len":
        return len(text.encode())
    if name == "count_chars":
        return len(text)
    if name == "count_spaces":
        return len([one for one in text if one.isspace()])
    if name == "has_digits":
        return int(any(one in "0123456789" for one in text))
    if name == "is_uppercase":
        letters = [one for one in text if one.isalpha()]
        return int(len(letters) > 0 and not [one for one in letters if one != one.upper() or one == one.lower()])
    if name == "trim":
        return text.strip()
    if name == "to_uppercase":
        return text.upper()
    if name == "to_lowercase":
        return text.lower()
    if name == "strip_prefix":
        return text[len(rest[0]) :] if text.startswith(rest[0]) else ""
    if name == "strip_suffix":
        return text[: len(text) - len(rest[0])] if text.endswith(rest[0]) else ""
    if name == "hash":
        makers = {"md5": hashlib.md5, "sha1": hashlib.sha1, "sha256": hashlib.sha256}
        return makers[rest[0]](text.encode()).hexdigest() if rest[0] in makers else fail()
    if name == "lines":
        lines = text.split("\n")
        lines = lines[:-1] if lines[-1] == "" else lines
        return tuple(line[:-1] if line.endswith("\r") else line for line in lines)
    separator = rest[0] or fail()
    parts = text.split(separator)
    if name == "split":
        return tuple(parts)
    if name == "rsplit":
        return tuple(reversed(parts))
    if len(parts) == 1:
        return ()
    if name == "split_once":
        return parts[0], separator.join(parts[1:])
    return separator.join(parts[:-1]), parts[-1]


def fail():
    raise Fails
