"""The first steps of the README, as they stand there."""

from __future__ import annotations

import json
import mailbox
import os
import shutil
import subprocess
import sys
from email.message import EmailMessage
from pathlib import Path

import pytest

from flaskmail.testing import live_server

from .conftest import ROOT, START


def test_the_first_steps(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    archive = mailbox.mbox(tmp_path / "archive.mbox")
    for number in range(12):
        message = EmailMessage()
        message["From"], message["Subject"] = "Bob <bob@example.org>", f"Number {number}"
        message["Date"] = f"Mon, 02 Mar 2026 10:{number:02}:00 +0000"
        message.set_content("Hello\n")
        archive.add(message)
    archive.close()
    steps = (ROOT / "README.md").read_text(encoding="utf-8").partition("## First steps")[2].split("```")[1]
    with live_server(folder=tmp_path, arguments=START, python_path=ROOT) as server:
        steps = steps.removeprefix("sh\n").replace(":8080", f":{server.port}")
        # What stands for the reader's own things.
        for theirs, ours in ((". .venv/bin/activate", ":"), ("~/Mail/archive.mbox", "archive.mbox")):
            assert theirs in steps
            steps = steps.replace(theirs, ours)
        (tmp_path / "flaskmail").write_text(
            f"#!/bin/sh\nexec {sys.executable} -c 'from flaskmail.cli import main; main()' \"$@\"\n"
        )
        (tmp_path / "flaskmail").chmod(0o755)
        (tmp_path / "python").symlink_to(sys.executable)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FLASKMAIL_")}
        environment |= {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", steps],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done
    answer = json.loads(done.stdout[done.stdout.index("{") :])
    boxes, _, emails = (arguments for _, arguments, _ in answer["methodResponses"])
    assert {"Inbox": 12}.items() <= {box["name"]: box["totalEmails"] for box in boxes["list"]}.items()
    assert sorted(email["subject"] for email in emails["list"]) == sorted(f"Number {n}" for n in range(2, 12))
