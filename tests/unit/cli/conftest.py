from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from flaskmail.cli import main

Command = Callable[..., Result]


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs ``flaskmail ARGUMENTS`` on data of its own, in which there is nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLASKMAIL_DATA", str(tmp_path / "data"))

    def run(*arguments: str | Path, input: str | None = None) -> Result:
        done = CliRunner().invoke(main, [str(one) for one in arguments], input=input)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert "Traceback" not in done.output
        return done

    return run


@pytest.fixture
def flaskmail(bare: Command) -> Command:
    """Runs ``flaskmail ARGUMENTS`` on data of its own, with the account ann@example.org."""
    made = bare("account", "create", "ann@example.org", "--password-stdin", input="correct horse battery\n")
    assert made.exit_code == 0, made.output
    return bare


@pytest.fixture
def told(flaskmail: Command) -> Callable[..., Any]:
    """The JSON that a command with ``--json`` writes."""
    return lambda *arguments: json.loads(flaskmail(*arguments, "--json").stdout)
