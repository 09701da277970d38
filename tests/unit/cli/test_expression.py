"""``flaskmail expression`` with what plugins bring."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from flaskmail.cli import main

PLUGIN = """
from flaskmail.expressions import Function, Parameter, Type
from flaskmail.hookspecs import hookimpl


@hookimpl
def expression_functions(policy):
    suffix = policy.options["loud"]["suffix"]
    shout = lambda text: text.upper() + suffix
    return [Function("shout", shout, (Parameter("text"),), Type.TEXT, "Upper case.", ())]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loud.py").write_text(PLUGIN)
    (tmp_path / "config.toml").write_text('plugins.paths = ["loud.py"]\nplugins.loud.suffix = "!"\n')
    return tmp_path


def evaluate(*arguments: str) -> Result:
    done = CliRunner().invoke(main, ["expression", *arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def test_it_knows_the_functions_of_plugins(folder: Path) -> None:
    done = evaluate("shout(method)", "--var", "method=get", "--json")
    assert json.loads(done.stdout) == {"type": "text", "value": "GET!"}


def test_without_them_they_are_unknown(folder: Path) -> None:
    (folder / "config.toml").write_text("")
    done = evaluate("shout('a')")
    assert (done.exit_code, "shout" in done.stderr) == (1, True)


def test_a_plugin_that_does_not_load_is_told_only_where_it_is_needed(folder: Path) -> None:
    (folder / "loud.py").write_text("import nothing_of_this_name\n")
    assert evaluate("1 + 1").stdout == "integer: 2\n"
    done = evaluate("shout('a')")
    assert (done.exit_code, "nothing_of_this_name" in done.stderr) == (2, True)


def test_a_number_of_a_variable_is_read_whole() -> None:
    for text in ("12345678901234567890", "-12345678901234567890", "1_0", " 1", "1.5"):
        done = evaluate("local_port", "--var", f"local_port={text}")
        assert (done.exit_code, "an integer of 64 bits" in done.stderr) == (2, True), text
