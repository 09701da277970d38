"""How quick `flaskmail import` is: messages a second, and the ratio to the standard library merely parsing the same messages.

    python benchmarks/importing.py [mbox, folder or tar archive]

Without a path 3,000 messages are made. The import is the whole of it: reading, MIME, threads, counters, search index, and
durable commits.
"""

from __future__ import annotations

import email
import email.policy
import random
import sys
import tempfile
import time
from pathlib import Path

from flaskmail.datatypes.mail.filing import MailFiler
from flaskmail.delivery.importing import import_messages
from flaskmail.formats.archives import Found, read_path
from flaskmail.testing import make_server

WORDS = [f"{a}{b}{c}" for a in ("mo", "ta", "ri", "ke") for b in ("lan", "ver", "sti", "dro") for c in ("", "s", "ing")]


def made(folder: Path, count: int) -> Path:
    """An mbox with ``count`` messages of about 4 kB, a third of them with HTML, in threads of four."""
    chance = random.Random(7)
    path = folder / "made.mbox"
    with path.open("w") as file:
        for n in range(count):
            text = "\n".join(" ".join(chance.choices(WORDS, k=11)) for _ in range(40))
            file.write(f"From a@example.org Fri Feb 22 {n // 3600 % 24:02}:{n // 60 % 60:02}:{n % 60:02} 2008\n")
            file.write(
                f"From: Ann {n} <ann{n % 50}@example.org>\nTo: Bob <bob@example.net>\nSubject: report {n // 4}\n"
            )
            file.write(f"Message-ID: <{n}@example.org>\nReferences: <{n // 4 * 4}@example.org>\nMIME-Version: 1.0\n")
            if n % 3:
                file.write(f"Content-Type: text/plain; charset=utf-8\n\n{text}\n\n")
            else:
                file.write('Content-Type: multipart/alternative; boundary="b"\n\n--b\nContent-Type: text/plain\n\n')
                file.write(f"{text}\n--b\nContent-Type: text/html\n\n<p>{text}</p>\n--b--\n\n")
    return path


def main() -> None:
    """Prints both rates and the ratio."""
    with tempfile.TemporaryDirectory() as folder, make_server(store="sqlite") as server:
        path = Path(sys.argv[1]) if len(sys.argv) > 1 else made(Path(folder), 3000)
        account = server.account("a@example.org")
        assert account.id is not None
        principal = server.server.directory.principals.get("a@example.org")
        ctx = server.server.context_for(principal)
        ctx.account = ctx.accounts[account.id]
        began = time.perf_counter()
        items = read_path(path, max_size=75_000_000)
        summary = import_messages(server.server.store, account.id, MailFiler(ctx), items)
        ours = (summary.imported + summary.duplicate) / (time.perf_counter() - began)
        raw = [item.raw for item in read_path(path, max_size=75_000_000) if isinstance(item, Found)]
        began = time.perf_counter()
        for message in raw:
            parsed = email.message_from_bytes(message, policy=email.policy.default)
            for part in parsed.walk():
                part.get_content_type()
            _ = parsed["from"], parsed["to"], parsed["subject"], parsed["date"]
        theirs = len(raw) / (time.perf_counter() - began)
    print(
        f"{summary.found} messages: imported {ours:,.0f}/s; email.policy.default parses {theirs:,.0f}/s; {ours / theirs:.2f}x"
    )


if __name__ == "__main__":
    main()
