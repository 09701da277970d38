"""A real Chromium, driven over W3C WebDriver, and a site of another origin whose pages it opens."""

from __future__ import annotations

import base64
import json
import shutil
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PATIENCE = 60
"""Seconds for whatever the browser is asked to do."""

SWITCHES = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

EVIL = b"<!doctype html><title>before</title><script>document.title = 'ran'; fetch('/beacon')</script><p>hello"
"""A page that says so when its script runs."""


class Browser:
    """One window. The methods raise an OSError of urllib with what the driver says when something is wrong."""

    def __init__(self, base: str, folder: Path) -> None:
        options = {"args": [*SWITCHES, f"--user-data-dir={folder}"], "binary": shutil.which("chromium")}
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "timeouts": {"script": PATIENCE * 1000},
            # The certificates of tests are nobody's.
            "acceptInsecureCerts": True,
        }
        made = self._send("POST", f"{base}/session", {"capabilities": {"alwaysMatch": wanted}})
        self._base = f"{base}/session/{made['sessionId']}"

    @staticmethod
    def _send(method: str, url: str, body: object = None) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        asked = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked, timeout=PATIENCE + 5) as answer:
            return json.load(answer)["value"]

    def open(self, url: str) -> None:
        """Goes there, and waits until it is loaded."""
        self._send("POST", f"{self._base}/url", {"url": url})

    def run(self, script: str, *arguments: object) -> Any:
        """What an async function with this body answers in the page; an exception is answered as {"thrown": text}."""
        whole = (
            "const done = arguments[arguments.length - 1];"
            f"(async (...given) => {{ {script} }})(...Array.from(arguments).slice(0, -1))"
            ".then(done, error => done({thrown: String(error)}));"
        )
        return self._send("POST", f"{self._base}/execute/async", {"script": whole, "args": list(arguments)})

    def cdp(self, command: str, **parameters: object) -> Any:
        """One command of the Chrome DevTools Protocol."""
        return self._send("POST", f"{self._base}/goog/cdp/execute", {"cmd": command, "params": parameters})

    def at(self) -> str:
        """The address of the page."""
        return str(self._send("GET", f"{self._base}/url"))

    def find(self, selector: str) -> str:
        """The driver's name for the one element of this CSS selector; AssertionError when there are more or fewer."""
        found = self._send("POST", f"{self._base}/elements", {"using": "css selector", "value": selector})
        assert len(found) == 1, f"{len(found)} elements of {selector!r} at {self.at()}"
        return str(next(iter(found[0].values())))

    def type(self, selector: str, text: str) -> None:
        """Puts this into a field, as keys that are pressed."""
        element = self.find(selector)
        self._send("POST", f"{self._base}/element/{element}/clear", {})
        self._send("POST", f"{self._base}/element/{element}/value", {"text": text})

    def click(self, selector: str) -> None:
        """A click with the mouse that leads to no other page."""
        self._send("POST", f"{self._base}/element/{self.find(selector)}/click", {})

    def follow(self, selector: str) -> None:
        """A click that leads to another page, through any number of redirects; waits until that is loaded."""
        self._sync("window.left = true")
        self.click(selector)
        deadline = time.monotonic() + PATIENCE
        while not (self._sync("return window.left === undefined") and self.loaded()):
            assert time.monotonic() < deadline, f"still at {self.at()}: {self.text()}"
            time.sleep(0.02)

    def loaded(self) -> bool:
        """Whether the page is all there."""
        return self._sync("return document.readyState") == "complete"

    def _sync(self, script: str) -> Any:
        try:
            return self._send("POST", f"{self._base}/execute/sync", {"script": script, "args": []})
        except urllib.error.HTTPError:
            # One page is gone, the next one is not there yet.
            return None

    def text(self) -> str:
        """What the page says."""
        return str(self.run("return document.body.innerText"))

    def screen(self, width: int, height: int, scheme: str) -> None:
        """The size of the window in CSS pixels, and whether the person likes it "light" or "dark"."""
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def picture(self) -> bytes:
        """The whole page as a PNG."""
        return base64.b64decode(self.cdp("Page.captureScreenshot", captureBeyondViewport=True)["data"])

    def send_always(self, headers: dict[str, str]) -> None:
        """Header fields for every request from now on, those for pages that are opened included."""
        for name, given in (("Network.enable", {}), ("Network.setExtraHTTPHeaders", {"headers": headers})):
            self._send("POST", f"{self._base}/goog/cdp/execute", {"cmd": name, "params": given})

    def close(self) -> None:
        """Ends the browser."""
        self._send("DELETE", self._base)


@dataclass
class Site:
    """A site. origin: of its pages; asked: the paths of the requests so far; pages: path -> (headers, body) for more of them."""

    origin: str
    asked: list[str] = field(default_factory=list)
    pages: dict[str, tuple[dict[str, str], bytes]] = field(default_factory=dict)
