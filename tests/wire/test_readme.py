"""The first steps of the README, as they stand there."""

from __future__ import annotations

import json
import mailbox
from email.message import EmailMessage
from pathlib import Path

from asdocumented import typed

from flaskmail.testing import live_server

from .conftest import ROOT, START


def test_the_first_steps(tmp_path: Path) -> None:
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
        said = typed(steps.removeprefix("sh\n"), server, {"~/Mail/archive.mbox": "archive.mbox"})
    answer = json.loads(said[said.index("{") :])
    boxes, _, emails = (arguments for _, arguments, _ in answer["methodResponses"])
    assert {"Inbox": 12}.items() <= {box["name"]: box["totalEmails"] for box in boxes["list"]}.items()
    assert sorted(email["subject"] for email in emails["list"]) == sorted(f"Number {n}" for n in range(2, 12))
