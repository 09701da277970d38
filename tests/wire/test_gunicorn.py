"""gunicorn with our configuration, around a small application: what is silenced, what a reload does, how mistakes end."""

from __future__ import annotations

import base64
import http.client
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trustme

APPLICATION = """
import logging, os, stat
from flaskmail.config import current

def application(environ, start_response):
    logging.getLogger("flaskmail.access").info("line for %s", environ["PATH_INFO"])
    logging.getLogger("flaskmail.test").info("a message")
    limit = current().jmap.protocol.get.max_objects
    body = f"{limit} {environ['wsgi.url_scheme']} {environ['SCRIPT_NAME']} {os.umask(0o77):o}".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


class Gunicorn:
    """A running gunicorn; ``log`` is what it has written so far."""

    def __init__(self, folder: Path, *arguments: str, application: str = "small:application") -> None:
        self.folder = folder
        (folder / "small.py").write_text(APPLICATION)
        environ = {k: v for k, v in os.environ.items() if not k.startswith(("FLASKMAIL_", "GUNICORN_"))}
        self._output = (folder / "log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "-c", "python:flaskmail.gunicornconf", *arguments, application],
            cwd=folder,
            # The proxies that the environment would have gunicorn believe are none of its business either.
            env=environ | {"FORWARDED_ALLOW_IPS": "*", "PYTHONPATH": str(Path(__file__).parents[2])},
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def wait_for(self, pattern: str, after: int = 0) -> re.Match[str]:
        """The first match in the log from an offset on."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            match = re.compile(pattern).search(self.log, after)
            if match:
                return match
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(f"{pattern!r} did not come:\n{self.log}")

    @property
    def port(self) -> int:
        return int(self.wait_for(r"Listening at: https?://127\.0\.0\.1:(\d+)")[1])

    def get(self, path: str = "/", context: ssl.SSLContext | None = None, **headers: str) -> http.client.HTTPResponse:
        connection = (
            http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=context)
            if context
            else http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        )
        try:
            connection.request("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})
            response = connection.getresponse()
            response.text = response.read().decode()
            return response
        finally:
            connection.close()

    def reload(self, settings: str) -> str:
        """Write settings, send SIGHUP, wait until new workers are up; the log since."""
        (self.folder / "config.toml").write_text(settings)
        before = len(self.log)
        self.process.send_signal(signal.SIGHUP)
        self.wait_for(r"(Settings: nothing changed|old ones stay in force|Settings: changed|needs a restart)", before)
        self.wait_for(r"(?s)(Settings|old ones).*Booting worker.*Worker exiting|Worker exiting.*Booting worker", before)
        return self.log[before:]

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(120)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self._output.close()


@pytest.fixture
def gunicorn(tmp_path):
    """A function (settings, further arguments, application) -> Gunicorn; all are stopped at the end."""
    running: list[Gunicorn] = []

    def start(settings: str = "", *arguments: str, **named: str) -> Gunicorn:
        if settings:
            (tmp_path / "config.toml").write_text(settings)
        running.append(Gunicorn(tmp_path, *arguments, **named))
        return running[-1]

    yield start
    for one in running:
        one.stop()


BASE = '[server]\nworkers = 1\nthreads = 4\nbind = "127.0.0.1:0"\n'


def test_what_a_client_says_about_its_way_here_is_not_believed(gunicorn):
    server = gunicorn(BASE)
    response = server.get("/a/x", X_Forwarded_Proto="https", X_Forwarded_Ssl="on", SCRIPT_NAME="/a")
    assert response.text == "500 http  77"
    assert response.headers["Server"] == "flaskmail"


def test_the_logs_go_where_they_should(gunicorn, tmp_path):
    server = gunicorn(BASE + 'access-log = "access.log"\n')
    assert server.get("/wanted").status == 200
    server.wait_for(r"\[INFO\] a message")
    assert (tmp_path / "access.log").read_text() == "line for /wanted\n"
    assert "line for" not in server.log


def test_an_access_log_that_cannot_be_opened_stops_the_start(gunicorn):
    server = gunicorn(BASE + 'access-log = "no/such/folder.log"\n')
    assert server.process.wait(120) == 1
    assert "cannot open its access log" in server.log
    assert "Traceback" not in server.log


def test_all_mistakes_in_the_settings_are_said_at_the_start(gunicorn):
    server = gunicorn("[server]\nworkerz = 1\nthreads = 0\n")
    assert server.process.wait(120) == 1
    assert "server.workerz: found an unknown key, expected a known one (did you mean 'server.workers'?)" in server.log
    assert "server.threads: found 0" in server.log
    assert "Traceback" not in server.log


def test_the_command_line_wins(gunicorn):
    server = gunicorn('[server]\nworkers = 3\nbind = "127.0.0.1:1"\n', "-b", "127.0.0.1:0", "-w", "1")
    assert server.get().status == 200
    # A reload does not take back what the command line said.
    log = server.reload('[server]\nworkers = 2\nbind = "127.0.0.1:1"\n')
    assert "Settings: changed: server.workers" in log
    assert log.count("Booting worker") == 1


def test_sighup_reloads_what_it_can_and_names_the_rest(gunicorn):
    server = gunicorn(BASE)
    assert server.get().text.startswith("500 ")
    log = server.reload(
        '[server]\nworkers = 2\nbind = "127.0.0.1:1"\nbacklog = 5\n[jmap.protocol.get]\nmax-objects = 77\n'
    )
    assert "Settings: changed: server.workers, server.threads, jmap.protocol.get.max-objects" in log
    assert "Settings: needs a restart: server.bind, server.backlog" in log
    server.wait_for(r"(?s)Hang up.*Booting worker.*Booting worker")
    assert server.get().text.startswith("77 ")


def test_a_reload_with_mistakes_changes_nothing(gunicorn):
    server = gunicorn(BASE + "[jmap.protocol.get]\nmax-objects = 9\n")
    assert server.get().text.startswith("9 ")
    log = server.reload("[server]\nworkerz = 2\n[jmap.protocol.get]\nmax-objects = 0\n")
    assert "server.workerz" in log
    assert "jmap.protocol.get.max-objects" in log
    assert server.get().text.startswith("9 ")


def test_a_renewed_certificate_is_used_without_a_reload(gunicorn, tmp_path):
    authorities = [trustme.CA(), trustme.CA()]

    def renew(authority: trustme.CA) -> None:
        issued = authority.issue_cert("127.0.0.1")
        issued.private_key_pem.write_to_path(tmp_path / "key.pem")
        with (tmp_path / "cert.pem").open("wb") as file:
            for blob in issued.cert_chain_pems:
                file.write(blob.bytes())

    contexts = [ssl.create_default_context(cadata=ca.cert_pem.bytes().decode()) for ca in authorities]
    renew(authorities[0])
    config = BASE + '[server.tls]\ncertificate = "cert.pem"\nprivate-key = "key.pem"\n'
    server = gunicorn(config)
    assert server.get(context=contexts[0]).text.startswith("500 https")
    # Half of a renewal: the certificate is there, its key is not; the old pair goes on.
    (tmp_path / "cert.pem").write_text("not yet")
    assert server.get(context=contexts[0]).status == 200
    # Workers that begin now do so, too.
    assert "server.tls.certificate: found a file without a certificate" in server.reload(config)
    assert server.get(context=contexts[0]).status == 200
    renew(authorities[1])
    assert server.get(context=contexts[1]).status == 200


def test_flaskmail_itself_starts_in_any_folder_and_names_a_useless_data_folder(gunicorn, tmp_path):
    (tmp_path / "not a folder").write_text("")
    server = gunicorn(BASE + '[storage]\npath = "not a folder/data"\n', application="wsgi:app")
    assert server.process.wait(120) == 1
    assert f"cannot start: the data folder {tmp_path}/not a folder/data cannot be" in server.log
    assert "Traceback" not in server.log


def test_a_plugin_that_does_not_load_stops_the_start_with_a_sentence(gunicorn, tmp_path):
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "broken.py").write_text("this is no Python\n")
    server = gunicorn(BASE + '[plugins]\npaths = ["plugins"]\n', application="wsgi:app")
    assert server.process.wait(120) == 1
    assert "broken.py" in server.log
    assert "its configuration is wrong" in server.log
    assert "Traceback" not in server.log


def test_the_first_start_tells_how_to_begin(gunicorn, tmp_path):
    server = gunicorn(BASE, application="wsgi:app")
    told = server.wait_for(r"curl -u (\S+) http://localhost:(\d+)(/\S+)")
    assert int(told[2]) == server.port
    credentials = base64.b64encode(told[1].encode()).decode()
    response = server.get(told[3], Authorization=f"Basic {credentials}")
    assert response.status in (200, 301, 302, 307, 308)
    assert (tmp_path / "data" / "control.db").stat().st_mode & 0o077 == 0
