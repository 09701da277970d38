"""docs/security.md names the tests that prove what it promises; they are there, and every row has some."""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/security.md").read_text(encoding="utf-8")
ROWS = {match[1]: match[2] for match in re.finditer(r"^\| ([BDM]\d\d) \|[^|]+\|([^|]+)\|$", TEXT, re.M)}
NAMED = sorted(set(re.findall(r"tests/[\w/]+\.py(?:::\w+)*(?: \(long\))?", TEXT)))


@lru_cache
def in_file(file: str) -> dict[str, bool]:
    """The tests of a file, as they are named; whether make test leaves them out."""
    found: dict[str, bool] = {}

    def look(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef):
                look(node.body, f"{node.name}::")
            elif isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                found[prefix + node.name] = any(
                    ast.unparse(one).startswith("pytest.mark.long") for one in node.decorator_list
                )

    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    look(tree.body, "")
    return found


def test_every_attack_has_a_row() -> None:
    wanted = {f"B{number:02}" for number in range(1, 20)} | {f"D{number:02}" for number in range(5, 9)} | {"M01", "M02"}
    assert ROWS.keys() == wanted
    for id, tests in ROWS.items():
        assert "::" in tests, id


@pytest.mark.parametrize("named", NAMED)
def test_every_test_that_is_named_exists(named: str) -> None:
    name, _, mark = named.partition(" ")
    file, _, test = name.partition("::")
    found = in_file(file)
    assert found, file
    if test:
        assert test in found, name
        assert found[test] == bool(mark), f"{name} is long or not, unlike what the document says"


def test_every_file_of_this_kind_is_named() -> None:
    here = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests/security").glob("test_*.py")}
    here |= {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests/wire/security").glob("test_*.py")}
    assert here - {"tests/security/test_document.py"} <= {one.partition("::")[0] for one in NAMED}
