"""The browser, and the site of another origin."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from browsing import PATIENCE, Browser, Site

PAGE = Path(__file__).parent / "page.html"


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The browser; it is ended at the end with whatever it has started."""
    for needed in ("chromium", "chromedriver"):
        if shutil.which(needed) is None:
            pytest.skip(f"there is no {needed}: apt-get install chromium chromium-driver")
    folder = tmp_path_factory.mktemp("chromium")
    driver, port = started(folder)
    try:
        window = Browser(f"http://127.0.0.1:{port}", folder / "profile")
        yield window
        with suppress(OSError):
            window.close()
    finally:
        end(driver)


def started(folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    """A driver, and its port. It takes one that is free for IPv6, and gives up when IPv4 has it: then it is started anew."""
    for attempt in range(20):
        log = folder / f"driver-{attempt}.log"
        with log.open("wb") as output:
            driver = subprocess.Popen(
                ["chromedriver", "--port=0"], stdout=output, stderr=output, cwd=folder, start_new_session=True
            )
        deadline = time.monotonic() + PATIENCE
        while driver.poll() is None and time.monotonic() < deadline:
            if found := re.search(rb"successfully on port ([0-9]+)", log.read_bytes()):
                return driver, int(found[1])
            time.sleep(0.02)
        end(driver)
        if b"Address already in use" not in log.read_bytes():
            break
    raise AssertionError(log.read_text())


def end(driver: subprocess.Popen[bytes]) -> None:
    """Ends the driver, which leads a group of its own, to which everything that it has started belongs."""
    with suppress(ProcessLookupError):
        os.killpg(driver.pid, signal.SIGKILL)
    driver.wait(PATIENCE)


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """An http.server on a port of its own: ``/`` is page.html, ``/basic`` asks for a password."""
    made = Site("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            made.asked.append(path)
            status, headers, body = 200, {"Content-Type": "text/html; charset=utf-8"}, b""
            if path == "/":
                body = PAGE.read_bytes()
            elif path == "/basic":
                status, headers = 401, {"WWW-Authenticate": 'Basic realm="x"'}
            elif path in made.pages:
                headers, body = made.pages[path]
            else:
                status = 404
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made.origin = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE)
