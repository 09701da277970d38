"""Every public name says what it is for."""

from __future__ import annotations

import ast
from collections.abc import Iterator


def silent(body: list[ast.stmt], prefix: str) -> Iterator[str]:
    """The public classes, functions and methods without a docstring, below one module or class."""
    for node in body:
        if isinstance(node, (ast.If, ast.Try)):
            yield from silent(node.body, prefix)
        if not isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) or node.name.startswith("_"):
            continue
        name = f"{prefix}.{node.name}"
        told = {ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list}
        if not (ast.get_docstring(node) or "").strip() and not told & {"overload", "setter", "override"}:
            yield name
        if isinstance(node, ast.ClassDef):
            yield from silent(node.body, name)


def test_every_public_name_has_a_docstring(modules):
    wrong = [module.name for module in modules.values() if not ast.get_docstring(module.tree)]
    for module in modules.values():
        wrong += silent(module.tree.body, module.name)
    assert not wrong, "\n".join(wrong)


def test_the_test_sees_a_silent_name(module_of):
    source = (
        "class A:\n    def b(self): ...\n    def _c(self): ...\n"
        "def d():\n    'told'\n    def e(): ...\n"
        "class _F:\n    def g(self): ...\n"
    )
    assert list(silent(module_of("flaskmail.x", source).tree.body, "x")) == ["x.A", "x.A.b"]
