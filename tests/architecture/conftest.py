"""The source of flaskmail as syntax trees."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Module:
    """name: dotted; path: the file; source: its text; tree: its syntax tree."""

    name: str
    path: Path
    source: str
    tree: ast.Module

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    def imports(self, known: dict[str, Module]) -> set[str]:
        """Every module that is imported anywhere in it, also in functions and for type checkers only, by its absolute name."""
        found: set[str] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                base = self.absolute(node)
                # `from flaskmail import web` names a module, `from flaskmail.errors import SetError` does not.
                found |= {f"{base}.{alias.name}" if f"{base}.{alias.name}" in known else base for alias in node.names}
            elif (
                isinstance(node, ast.Call)
                and ast.unparse(node.func) in ("import_module", "importlib.import_module", "__import__")
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                found.add(str(node.args[0].value))
        return found

    def absolute(self, node: ast.ImportFrom) -> str:
        """The module that a `from … import` starts from."""
        if not node.level:
            return node.module or ""
        parts = self.name.split(".")
        package = parts if self.is_package else parts[:-1]
        package = package[: len(package) - node.level + 1]
        return ".".join([*package, *([node.module] if node.module else [])])


def read(path: Path, root: Path = ROOT) -> Module:
    name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
    source = path.read_text(encoding="utf-8")
    return Module(name, path, source, ast.parse(source, str(path)))


@pytest.fixture(scope="session")
def modules() -> dict[str, Module]:
    """Dotted name -> module, of the whole package."""
    found = [read(path) for path in sorted((ROOT / "flaskmail").rglob("*.py"))]
    return {module.name: module for module in found}


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder of the project."""
    return ROOT


@pytest.fixture
def module_of():
    """A function (dotted name, source, is it a package) -> Module, for testing the tests."""

    def make(name: str, source: str, is_package: bool = False) -> Module:
        parts = name.split(".")
        path = Path(*parts, "__init__.py") if is_package else Path(*parts).with_suffix(".py")
        return Module(name, path, source, ast.parse(source))

    return make
