"""The first ten minutes of docs/management.md, as they stand there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flaskmail.testing import live_server

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "management.md").read_text(encoding="utf-8")


def test_the_first_ten_minutes(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    section = PAGE.partition("## The first ten minutes")[2].partition("\n## ")[0]
    first, *steps = re.findall(r"^```sh\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    assert first.strip() == "make run", "test_readme.py tries it"
    start = ("-c", str(ROOT / "gunicorn.conf.py"), "wsgi:app")
    with live_server(folder=tmp_path, arguments=start, python_path=ROOT) as server:
        password = re.search(r"password:  (\S+)", server.log())
        assert password is not None, server.log()
        script = "\n".join(steps).replace(":8080", f":{server.port}")
        for theirs, ours in ((". .venv/bin/activate", ":"), ("the password that was printed", password[1])):
            assert theirs in script
            script = script.replace(theirs, ours)
        (tmp_path / "flaskmail").write_text(
            f"#!/bin/sh\nexec {sys.executable} -c 'from flaskmail.cli import main; main()' \"$@\"\n"
        )
        (tmp_path / "flaskmail").chmod(0o755)
        (tmp_path / "python").symlink_to(sys.executable)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FLASKMAIL_")}
        environment |= {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        # A refusal of curl's has the exit code 0: whatever is refused shows in what is said.
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done
    said = done.stdout
    assert '"title"' not in said, said
    assert '"name": "admin"' in said
    assert '"username": "alice@example.org"' in said
    assert re.search(r"^X-Served-By: flaskmail\r?$", said, re.MULTILINE | re.IGNORECASE), said
    assert "203.0.113.9" in said
    assert "bob@example.org" in said
    assert re.search(r"^\S+ +admin +password +127\.0\.0\.1 +principal\.create", said, re.MULTILINE), said
