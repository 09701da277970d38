from __future__ import annotations

import json
import os
import socket
import struct
import time
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from flaskmail.testing import Jmap, LiveServer, basic

ECHO = json.dumps({"using": ["urn:ietf:params:jmap:core"], "methodCalls": [["Core/echo", {"a": 1}, "c"]]}).encode()


@pytest.fixture(scope="module")
def alice(live: LiveServer) -> Jmap:
    return live.account("alice@example.org")


def raw(live: LiveServer, octets: bytes) -> bytes:
    """What the server answers to octets, until it closes."""
    with socket.create_connection(("127.0.0.1", live.port), timeout=60) as connection:
        connection.sendall(octets)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


def test_the_urls_of_the_session_work(live: LiveServer, alice: Jmap) -> None:
    for key in ("apiUrl", "uploadUrl", "downloadUrl", "eventSourceUrl"):
        parts = urlsplit(alice.session[key])
        assert (parts.scheme, parts.netloc) == ("http", f"localhost:{live.port}")
    api = urlsplit(alice.session["apiUrl"]).path
    reply = alice.http("POST", api, ECHO, {"Content-Type": "application/json"})
    assert reply.json()["methodResponses"] == [["Core/echo", {"a": 1}, "c"]]
    assert reply.json()["sessionState"] == alice.session["state"]
    assert reply.header("Server") == "flaskmail"


@pytest.mark.parametrize("size", [0, 5, 200_000, 1_000_000, 20_000_000])
def test_blobs_of_all_sizes(alice: Jmap, size: int) -> None:
    data = os.urandom(size)
    blob_id = alice.upload(data)
    assert alice.download(blob_id) == data
    if size:
        reply = alice.http("GET", f"/jmap/download/{alice.id}/{blob_id}/x", headers={"Range": f"bytes={size // 2}-"})
        assert (reply.status, reply.body) == (206, data[size // 2 :])
        assert reply.header("Content-Length") == str(len(reply.body))
        head = alice.http("HEAD", f"/jmap/download/{alice.id}/{blob_id}/x")
        assert (head.status, head.header("Content-Length")) == (200, str(size))


def test_a_chunked_upload(live: LiveServer, alice: Jmap) -> None:
    connection = live.connect()
    pieces = [os.urandom(100_000) for _ in range(7)]
    headers = {"Authorization": basic("alice@example.org")}
    connection.request("POST", f"/jmap/upload/{alice.id}/", iter(pieces), headers, encode_chunked=True)
    response = connection.getresponse()
    found = json.loads(response.read())
    connection.close()
    assert (response.status, found["size"]) == (201, 700_000)
    assert alice.download(found["blobId"]) == b"".join(pieces)


def resident(live: LiveServer) -> int:
    """Octets of memory of the workers together, at their highest."""
    children = Path(f"/proc/{live.process.pid}/task/{live.process.pid}/children").read_text().split()
    peaks = [
        line.split()[1]
        for pid in children
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmHWM:")
    ]
    return sum(int(peak) for peak in peaks) * 1024


def test_what_is_too_large_is_refused_and_never_in_memory(live: LiveServer, alice: Jmap) -> None:
    before = resident(live)
    headers = {"Authorization": basic("alice@example.org"), "Content-Type": "application/json"}
    for path, status, name in (
        ("/jmap/", 400, "maxSizeRequest"),
        (f"/jmap/upload/{alice.id}/", 413, "maxSizeUpload"),
    ):
        connection = live.connect()
        connection.putrequest("POST", path)
        for key, value in headers.items():
            connection.putheader(key, value)
        connection.putheader("Content-Length", str(10**12))
        connection.endheaders()
        response = connection.getresponse()
        assert response.status == status
        assert json.loads(response.read())["limit"] == name
        connection.close()
    # One that is not much too large is heard out, and its sender hears why it is refused.
    reply = alice.http("POST", f"/jmap/upload/{alice.id}/", b"x" * 60_000_000)
    assert (reply.status, reply.json()["limit"]) == (413, "maxSizeUpload")
    reply = alice.http("POST", "/jmap/", b"x" * 20_000_000, {"Content-Type": "application/json"})
    assert (reply.status, reply.json()["limit"]) == (400, "maxSizeRequest")
    assert resident(live) - before < 32 * 2**20


def test_one_connection_carries_many_requests(live: LiveServer, alice: Jmap) -> None:
    connection = live.connect()
    headers = {"Authorization": basic("alice@example.org"), "Content-Type": "application/json"}
    sockets = set()
    for path, body, status in [
        ("/jmap/", ECHO, 200),
        ("/jmap/", b"no", 400),
        ("/nowhere", b"x" * 5000, 404),
        (f"/jmap/upload/{alice.id}/", b"data", 201),
        ("/jmap/", ECHO, 200),
    ]:
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        response.read()
        assert response.status == status
        assert connection.sock is not None
        sockets.add(connection.sock.fileno())
    assert len(sockets) == 1
    connection.close()


@pytest.mark.parametrize(
    "name",
    ["", "a.txt", "a/b", "/a", "../../../etc/passwd", "ü.txt", "a\r\nSet-Cookie: x=y", 'q"\\', "\0", "\u202egpj.exe"],
)
def test_hostile_names(alice: Jmap, name: str) -> None:
    blob_id = alice.upload(b"data")
    reply = alice.http("GET", f"/jmap/download/{alice.id}/{blob_id}/{quote(name, safe='')}?accept=text/html")
    assert (reply.status, reply.body) == (200, b"data")
    assert (reply.header("Content-Disposition") or "").startswith("attachment")
    assert reply.header("Set-Cookie") is None


def test_hosts(live: LiveServer) -> None:
    auth = b"Authorization: " + basic("alice@example.org").encode() + b"\r\n"

    def ask(head: bytes) -> bytes:
        return raw(live, head + auth + b"Connection: close\r\n\r\n")

    forged = ask(b"GET /jmap/session HTTP/1.1\r\nHost: evil.example:99\r\nX-Forwarded-Proto: https\r\n")
    assert forged.startswith(b"HTTP/1.1 200 ")
    assert f'"apiUrl":"http://localhost:{live.port}/jmap/"'.encode() in forged
    assert b"evil" not in forged
    for head in (b"Host: a b\r\n", b"Host: evil/..\r\n", b"Host: a\r\nHost: b\r\n", b""):
        assert ask(b"GET /jmap/session HTTP/1.1\r\n" + head).startswith(b"HTTP/1.1 400 "), head


def test_paths_do_not_forge_log_lines(live: LiveServer, alice: Jmap) -> None:
    alice.http(
        "GET", "/" + quote("a\r\n2026-01-01T00:00:00Z 1.2.3.4 forged\x1b[31m\u2028x", safe="") + "?secret=canary"
    )
    log = live.log()
    [line] = [line for line in log.splitlines() if "forged" in line]
    assert "/a\\x0d\\x0a2026-01-01T00:00:00Z\\x201.2.3.4\\x20forged\\x1b[31m\\u2028x" in line
    assert line.split(" ")[6] == "404"
    assert "canary" not in log


def test_trace_is_refused(live: LiveServer) -> None:
    assert live.send("TRACE", "/jmap/", {"X-Secret": "canary"}, b"").status == 405


def test_no_traceback_was_logged(live: LiveServer) -> None:
    """Last in this file: all that came before was answered without an error of ours."""
    assert "Traceback" not in live.log()


FORM = b"Host: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"


@pytest.mark.parametrize(
    "body",
    [
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
        b"Content-Length: 9\r\n\r\nab",
    ],
)
def test_a_garbled_body_is_its_senders_fault(live: LiveServer, body: bytes) -> None:
    answer = raw(live, b"POST /auth/token HTTP/1.1\r\n" + FORM + body)
    assert answer.startswith(b"HTTP/1.1 400 ")
    # One answer, as nobody knows where a next request would begin.
    assert answer.count(b"HTTP/1.1 ") == 1


def test_a_client_that_breaks_off_is_no_error_of_the_servers(live: LiveServer, alice: Jmap) -> None:
    upload = f"/jmap/upload/{alice.id}/"
    known = f"Host: x\r\nAuthorization: {basic('alice@example.org')}\r\n".encode()
    for path, head, size in (("/auth/token", FORM, 900), (upload, known, 400_000)):
        for length in (b"Transfer-Encoding: chunked\r\n", b"Content-Length: %d\r\n" % size):
            before = live.log().count(f" POST {path} ")
            with socket.create_connection(("127.0.0.1", live.port), timeout=60) as connection:
                connection.sendall(
                    f"POST {path} HTTP/1.1\r\n".encode() + head + length + b"Expect: 100-continue\r\n\r\n"
                )
                # It is at work on the request.
                assert connection.recv(25).startswith(b"HTTP/1.1 100 ")
                connection.sendall(b"61a80\r\nab")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            give_up = time.monotonic() + 60
            while live.log().count(f" POST {path} ") == before:
                assert time.monotonic() < give_up
                time.sleep(0.02)
            line = [line for line in live.log().splitlines() if f" POST {path} " in line][-1]
            assert f" POST {path} 400 " in line
    assert "Traceback" not in live.log()
    assert "cannot be written" not in live.log()


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: one\r\nHost: other\r\n\r\n", 400),
        (b"GET /" + b"secret" * 1000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nExpect: secret\r\n\r\n", 417),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"secret" * 2000 + b"\r\n\r\n", 431),
    ],
)
def test_what_is_no_request_is_answered_like_everything_else(live: LiveServer, octets: bytes, status: int) -> None:
    head, _, body = raw(live, octets).decode("latin-1").partition("\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ")
    lines = head.split("\r\n")
    for line in (
        "Server: flaskmail",
        "Connection: close",
        f"Content-Length: {len(body)}",
        "Content-Type: application/problem+json",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        "Referrer-Policy: no-referrer",
    ):
        assert lines.count(line) == 1, head
    assert json.loads(body)["status"] == status
    assert "secret" not in body
