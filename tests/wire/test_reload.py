from __future__ import annotations

import signal
from pathlib import Path

from workers import each_worker, wait_for_workers, worker_ids

from flaskmail.testing import live_server

from .conftest import ROOT, START

CORE = "urn:ietf:params:jmap:core"


def test_sighup_brings_new_limits_to_every_worker(tmp_path: Path) -> None:
    config = "[jmap.protocol.get]\nmax-objects = {}\n"
    with live_server(config.format(321), folder=tmp_path, arguments=START, python_path=ROOT) as server:
        alice = server.account("alice@example.org")
        assert alice.session["capabilities"][CORE]["maxObjectsInGet"] == 321
        (tmp_path / "config.toml").write_text(config.format(123))
        before = worker_ids(server)
        server.process.send_signal(signal.SIGHUP)
        wait_for_workers(server, 2, gone=before)
        limits = set()
        for _ in each_worker(server):
            session = server.jmap("alice@example.org").session
            limits.add((session["capabilities"][CORE]["maxObjectsInGet"], session["state"] == alice.session["state"]))
        assert limits == {(123, False)}
        assert "Traceback" not in server.log()
