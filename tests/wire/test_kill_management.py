"""kill -9 of random workers while administrators make and delete principals: what was acknowledged is so, and the audit log says
the same."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from typing import Any

import pytest
from workers import kill_amid

from flaskmail.testing import PASSWORD, LiveServer, basic, live_server

ADMIN = {"Authorization": basic("admin"), "Content-Type": "application/json"}


class Administrator(threading.Thread):
    """Makes principals and deletes some. there: name -> whether the last answer says that it is there; None when none came."""

    def __init__(self, number: int, server: LiveServer) -> None:
        super().__init__(name=f"administrator-{number}")
        self.server, self.number, self.random = server, number, random.Random(number)
        self.there: dict[str, bool | None] = {}
        self.refused: list[bytes] = []
        self.answers = 0
        self.stop = threading.Event()

    def ask(self, name: str, method: str, path: str, body: dict[str, Any] | None = None) -> None:
        self.there[name] = None
        try:
            reply = self.server.send(method, path, ADMIN, b"" if body is None else json.dumps(body).encode())
        except (OSError, http.client.HTTPException):
            time.sleep(0.02)
            return
        self.answers += 1
        if reply.status != 200:
            self.refused.append(reply.body)
        self.there[name] = method == "POST"

    def run(self) -> None:
        n = 0
        while not self.stop.is_set():
            n += 1
            kind = self.random.choice(("domain", "apiKey", "role", "delete"))
            present = [name for name, there in self.there.items() if there]
            if kind != "delete":
                name = f"w{self.number}n{n}" + ".example" * (kind == "domain")
                self.ask(name, "POST", "/api/principal", {"type": kind, "name": name})
            elif present:
                name = self.random.choice(present)
                self.ask(name, "DELETE", f"/api/principal/{name}")


def everything(server: LiveServer, path: str) -> list[dict[str, Any]]:
    reply = server.send("GET", f"/api/{path}?limit=0", ADMIN, b"")
    items: list[dict[str, Any]] = reply.json()["data"]["items"]
    return items


def made(entry: dict[str, Any]) -> str | None:
    """Which principal an entry of the audit log says was made, or deleted."""
    if entry["operation"] == "principal.create":
        return str(entry["change"]["name"])
    return str(entry["object"].rpartition("/")[2]) if entry["operation"] == "principal.delete" else None


@pytest.mark.long
@pytest.mark.parametrize("kills", [40])
def test_what_administrators_were_told_is_so(kills: int) -> None:
    with live_server() as server:
        done = server.cli("account", "set-password", "admin", "--password-stdin", input=PASSWORD + "\n")
        assert done.returncode == 0, done
        people = [Administrator(n, server) for n in range(3)]
        for one in people:
            one.start()
        chance = random.Random(1)
        try:
            for _ in range(kills):
                kill_amid(server, lambda: sum(one.answers for one in people), chance, (0.1, 0.5))
        finally:
            for one in people:
                one.stop.set()
            for one in people:
                one.join(180)
        assert [said for one in people for said in one.refused] == []
        told = {name: there for one in people for name, there in one.there.items()}
        known = {name: there for name, there in told.items() if there is not None}
        # The harness is blind unless the kills hit requests that were under way.
        assert len(known) >= kills
        assert len(told) > len(known)

        stored = {one["name"] for one in everything(server, "principal")} - {"admin"}
        assert {name: name in stored for name in known} == known
        entries: dict[str, list[dict[str, Any]]] = {}
        for entry in everything(server, "audit"):
            entries.setdefault(made(entry) or "", []).append(entry)
        for name in stored:
            assert any(
                entry["operation"] == "principal.create" and entry["status"] in (200, None) for entry in entries[name]
            )
        for name in known:
            # Whatever was answered was written down as done before that.
            newest = entries[name][0]
            assert (newest["status"], newest["operation"] == "principal.create") == (200, known[name]), newest
        assert {entry["status"] for found in entries.values() for entry in found} == {200, None}
        assert server.cli("verify").returncode == 0
