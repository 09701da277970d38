"""Runs what a page tells its reader to type, as it stands there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from flaskmail.testing import LiveServer

ROOT = Path(__file__).resolve().parents[2]


def typed(script: str, server: LiveServer, own: Mapping[str, str]) -> str:
    """What a shell says that runs ``script`` in the folder of the server; AssertionError when anything in it fails. own: what
    stands for the reader's own things, and what is put in its place."""
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    folder = server.folder
    script = script.replace(":8080", f":{server.port}")
    for theirs, ours in {". .venv/bin/activate": ":", **own}.items():
        assert theirs in script
        script = script.replace(theirs, ours)
    (folder / "flaskmail").write_text(
        f"#!/bin/sh\nexec {sys.executable} -c 'from flaskmail.cli import main; main()' \"$@\"\n"
    )
    (folder / "flaskmail").chmod(0o755)
    (folder / "python").symlink_to(sys.executable)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FLASKMAIL_")}
    environment |= {"PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done
    return done.stdout
