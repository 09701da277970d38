"""A module imports only from lower floors or from its own package. docs/architecture.md draws the house."""

from __future__ import annotations

import ast
import re

import pytest

# From the ground up. Names in one tuple stand side by side and do not see each other.
FLOORS: list[tuple[str, ...]] = [
    ("errors", "ending", "durable"),
    ("values",),
    ("formats", "config", "expressions", "decisions", "logs", "oauth"),
    ("jmap", "sockets", "hookvalues", "doctor", "metrics", "dnscheck"),
    ("hookspecs",),
    ("plugins",),
    ("datatypes", "store", "accounts"),
    ("delivery", "builtin", "sessions", "livesettings", "upkeep", "oauthservice"),
    ("backup", "jobs"),
    ("parts",),
    ("process",),
    ("server",),
    ("policy",),
    ("management",),
    ("web",),
    ("app", "gunicornfaults", "gunicornlog", "gunicornproxy", "gunicornworker"),
    ("gunicornconf", "cli"),
    ("testing",),
    ("__main__",),
]
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}

# Delivery stands beside the stores and the types; of its neighbours it sees the accounts.
FORBIDDEN = {("delivery", "store"), ("delivery", "datatypes")}

# Distribution -> the places that may import it.
OWNERS = {
    "flask": {"policy", "web", "app", "cli", "testing"},
    "werkzeug": {"policy", "web", "app", "gunicornfaults", "cli", "testing"},
    "jinja2": {"web", "app", "cli", "testing"},
    "click": {"cli", "app"},
    "gunicorn": {"gunicornconf", "gunicornfaults", "gunicornlog", "gunicornproxy", "gunicornworker"},
    "apsw": {"store", "accounts"},
    "sqlite3": set(),
    "pluggy": {"hookspecs", "plugins"},
    "argon2": {"accounts"},
    "authlib": {"oauth"},
    "joserfc": {"oauth"},
    "pyotp": {"accounts"},
    "segno": {"web"},
    "cryptography": {"accounts"},
    "dns": {"dnscheck"},
    "idna": {"values"},
    "tomli": {"config"},
    "tomllib": set(),
    "re2": {"expressions"},
}

SQL = re.compile(
    r"\s*(SELECT\s.+\sFROM\s|INSERT\s+(OR\s+\w+\s+)?INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s|CREATE\s+(TABLE|INDEX|UNIQUE|VIRTUAL|TRIGGER)\s"
    r"|PRAGMA\s|BEGIN\s+IMMEDIATE)",
    re.DOTALL,
)


def place(name: str) -> str:
    """The floor's inhabitant that a module belongs to: "store" for flaskmail.store.sqlite.files; "" for flaskmail itself."""
    return name.split(".")[1] if "." in name else ""


def trespasses(module, known) -> list[str]:
    """What is wrong with the imports of one module, as sentences."""
    own = place(module.name)
    if own and own not in FLOOR:
        return [f"{module.name} stands on no floor: add it to docs/architecture.md and to this test"]
    wrong = []
    for target in sorted(module.imports(known)):
        distribution = target.split(".")[0]
        if distribution != "flaskmail":
            if distribution in OWNERS and own not in OWNERS[distribution]:
                wrong.append(f"{module.name} imports {distribution}, which is for {sorted(OWNERS[distribution])}")
            continue
        other = place(target)
        if other in (own, ""):
            continue
        if other not in FLOOR:
            wrong.append(f"{module.name} imports {target}, which stands on no floor")
        elif not own or FLOOR[other] >= FLOOR[own] or (own, other) in FORBIDDEN:
            wrong.append(f"{module.name} imports {target}, which is not below it")
    return wrong


def docstrings(tree: ast.Module) -> set[int]:
    """The ids of the nodes that are docstrings or texts standing alone."""
    return {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def sql(module) -> list[int]:
    """The lines of string constants that look like SQL."""
    skip = docstrings(module.tree)
    return [
        node.lineno
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in skip
        and SQL.match(node.value)
    ]


def test_every_module_imports_from_lower_floors_only(modules):
    wrong = [sentence for module in modules.values() for sentence in trespasses(module, modules)]
    assert not wrong, "\n".join(wrong)


def test_sql_is_spoken_in_the_stores_and_accounts_only(modules):
    wrong = [
        f"{module.path}:{line}"
        for module in modules.values()
        if place(module.name) not in ("store", "accounts")
        for line in sql(module)
    ]
    assert not wrong, "\n".join(wrong)


def test_modules_stay_within_600_lines(modules):
    long = {module.name: count for module in modules.values() if (count := module.source.count("\n")) > 600}
    assert not long


@pytest.mark.parametrize(
    ("name", "source", "said"),
    [
        ("flaskmail.store.sqlite.files", "from flaskmail.datatypes import mail", "not below"),
        ("flaskmail.store.sqlite.files", "from ...accounts import names", "not below"),
        ("flaskmail.store.sqlite.files", "from flaskmail import web", "not below"),
        ("flaskmail.jmap.wire", "import flaskmail.server", "not below"),
        ("flaskmail.jmap.wire", "def late():\n    from flaskmail.plugins import load", "not below"),
        ("flaskmail.jmap.wire", "import importlib\nimportlib.import_module('flaskmail.web')", "not below"),
        (
            "flaskmail.jmap.wire",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import flaskmail.web",
            "not below",
        ),
        ("flaskmail.delivery.importing", "import flaskmail.store", "not below"),
        ("flaskmail.formats.html", "import flaskmail.config", "not below"),
        ("flaskmail.errors", "from . import values", "not below"),
        ("flaskmail.jmap.wire", "from flask import Flask", "imports flask"),
        ("flaskmail.server", "import werkzeug.http", "imports werkzeug"),
        ("flaskmail.delivery.importing", "import apsw", "imports apsw"),
        ("flaskmail.cellar", "", "stands on no floor"),
    ],
)
def test_the_test_sees_a_trespass(modules, module_of, name, source, said):
    found = trespasses(module_of(name, source), modules | {"flaskmail.web": None, "flaskmail.values": None})
    assert len(found) == 1
    assert said in found[0]


def test_the_test_sees_sql(module_of):
    assert sql(module_of("flaskmail.web.x", '"""SELECT a FROM docstring"""\nq = "DELETE FROM account"\n')) == [2]


def test_what_is_allowed_is_not_reported(modules, module_of):
    source = "from ..errors import SetError\nfrom . import files\nfrom flaskmail.jmap import storage\nimport apsw\n"
    assert trespasses(module_of("flaskmail.store.memory", source), modules) == []
