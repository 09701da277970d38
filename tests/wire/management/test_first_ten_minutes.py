"""The first ten minutes of docs/management.md, as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

from asdocumented import typed

from flaskmail.testing import live_server

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "management.md").read_text(encoding="utf-8")


def test_the_first_ten_minutes(tmp_path: Path) -> None:
    section = PAGE.partition("## The first ten minutes")[2].partition("\n## ")[0]
    first, *steps = re.findall(r"^```sh\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    assert first.strip() == "make run", "test_readme.py tries it"
    start = ("-c", str(ROOT / "gunicorn.conf.py"), "wsgi:app")
    with live_server(folder=tmp_path, arguments=start, python_path=ROOT) as server:
        password = re.search(r"password:  (\S+)", server.log())
        assert password is not None, server.log()
        # A refusal of curl's has the exit code 0: whatever is refused shows in what is said.
        said = typed("\n".join(steps), server, {"the password that was printed": password[1]})
    assert '"title"' not in said, said
    assert '"name": "admin"' in said
    assert '"username": "alice@example.org"' in said
    assert re.search(r"^X-Served-By: flaskmail\r?$", said, re.MULTILINE | re.IGNORECASE), said
    assert "203.0.113.9" in said
    assert "bob@example.org" in said
    assert re.search(r"^\S+ +admin +password +127\.0\.0\.1 +principal\.create", said, re.MULTILINE), said
