"""Fills the output of the commands into docs/explain.md."""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from click.testing import CliRunner

from flaskmail.cli import main

PAGE = Path(__file__).resolve().parents[1] / "docs" / "explain.md"
FILE = "/etc/flaskmail/config.toml"
"""Where the settings of the page are said to be."""

_COMMAND = re.compile(r"```console\n\$ ((?:[^\n]*\\\n)*[^\n]*)\n.*?```", re.DOTALL)


def filled(page: str) -> str:
    """The page with what its commands write, under the settings that it shows."""
    [settings] = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    with tempfile.TemporaryDirectory() as folder, _surroundings(folder):
        file = Path(folder, "config.toml")
        file.write_text(settings, encoding="utf-8")

        def run(match: re.Match[str]) -> str:
            arguments = shlex.split(match[1].replace("\\\n", " "))[1:]
            done = CliRunner().invoke(main, arguments, terminal_width=120)
            assert done.exit_code == 0, done.output
            return f"```console\n$ {match[1]}\n{done.stdout.replace(str(file), FILE)}```"

        return _COMMAND.sub(run, page)


@contextmanager
def _surroundings(folder: str) -> Iterator[None]:
    here = Path.cwd()
    kept = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("FLASKMAIL_")}
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(here)
        os.environ.update(kept)


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
