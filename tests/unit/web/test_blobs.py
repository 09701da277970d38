from __future__ import annotations

import io
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from flaskmail.testing import Jmap, MadeServer, make_server

from .conftest import SMALL
from .test_api import Counting, problem, raw

KINDS = [b"", b"hello", b"x" * 200_000, bytes(range(256)) * 1200]
"""Empty, small, in the database or in a file, and streamed."""


@pytest.fixture(params=["memory", "sqlite"])
def made(request: pytest.FixtureRequest) -> Iterator[MadeServer]:
    with make_server(config=SMALL, store=request.param) as made:
        yield made


@pytest.mark.parametrize("data", KINDS, ids=len)
def test_what_goes_up_comes_down(made: MadeServer, alice: Jmap, data: bytes) -> None:
    reply = alice.http("POST", f"/jmap/upload/{alice.id}/", data, {"Content-Type": "text/html; charset=x"})
    assert reply.status == 201
    found = reply.json()
    assert found == {
        "accountId": alice.id,
        "blobId": found["blobId"],
        "type": "text/html; charset=x",
        "size": len(data),
    }
    down = alice.http("GET", f"/jmap/download/{alice.id}/{found['blobId']}/a.html?accept=text/html")
    assert (down.status, down.body) == (200, data)
    assert {name: down.header(name) for name in (
        "Content-Type", "Content-Length", "Content-Disposition", "Cache-Control", "ETag", "Accept-Ranges",
        "X-Content-Type-Options", "Content-Security-Policy", "Cross-Origin-Resource-Policy", "Content-Encoding",
    )} == {
        "Content-Type": "text/html",
        "Content-Length": str(len(data)),
        "Content-Disposition": 'attachment; filename="a.html"',
        "Cache-Control": "private, immutable, max-age=31536000",
        "ETag": f'"{found["blobId"]}"',
        "Accept-Ranges": "bytes",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Content-Encoding": None,
    }  # fmt: skip
    for part in ({}, {"Range": "bytes=0-0"}, {"Range": f"bytes={len(data)}-"}):
        head = alice.http("HEAD", f"/jmap/download/{alice.id}/{found['blobId']}/a.html", headers=part)
        assert (head.status, head.body, head.header("Content-Length")) == (200, b"", str(len(data)))


@pytest.mark.parametrize("data", KINDS, ids=len)
def test_chunked_uploads(made: MadeServer, alice: Jmap, data: bytes) -> None:
    status, found = raw(made, f"/jmap/upload/{alice.id}/", io.BytesIO(data), HTTP_TRANSFER_ENCODING="chunked")
    assert (status, found["size"]) == (201, len(data))
    assert alice.download(found["blobId"]) == data
    assert found["blobId"] == alice.upload(data)


def test_an_upload_without_a_type_gets_the_plainest(alice: Jmap) -> None:
    for type in ("", "nonsense", "a/b; ="):
        reply = alice.http("POST", f"/jmap/upload/{alice.id}/", b"<html>", {"Content-Type": type})
        assert reply.json()["type"] == "application/octet-stream"


def test_an_upload_over_the_limit_is_413_and_not_kept(made: MadeServer, alice: Jmap) -> None:
    path = f"/jmap/upload/{alice.id}/"
    for environ, most in (
        ({"CONTENT_LENGTH": "400001"}, 400_001),
        ({"CONTENT_LENGTH": "1600001"}, 0),
        ({"HTTP_TRANSFER_ENCODING": "chunked"}, 2_000_000 + 64 * 1024),
    ):
        body = Counting()
        status, found = raw(made, path, body, **environ)
        assert (status, found["limit"]) == (413, "maxSizeUpload")
        assert body.taken <= most
        assert body.largest <= 64 * 1024
    assert alice.http("POST", path, b"x" * 400_000).status == 201


@pytest.mark.parametrize("size", [10, 200_000, 300_000])
def test_an_upload_that_ends_early_is_not_stored(made: MadeServer, alice: Jmap, size: int) -> None:
    status, _ = raw(made, f"/jmap/upload/{alice.id}/", io.BytesIO(b"x" * size), CONTENT_LENGTH=str(size + 1))
    assert status == 400
    with made.server.store.read(str(alice.id)) as reader:
        assert reader.used() == 0


def test_a_full_account_takes_no_more(made: MadeServer) -> None:
    alice = made.account("alice@example.org", quota=300_000)
    alice.upload(b"x" * 290_000)
    found = problem(alice.http("POST", f"/jmap/upload/{alice.id}/", b"y" * 20_000))
    assert (found["status"], found["type"]) == (413, "urn:ietf:params:jmap:error:overQuota")
    alice.upload(b"z" * 5_000)


@pytest.mark.parametrize("data", [b"0123456789", bytes(range(256)) * 1200], ids=len)
def test_ranges(alice: Jmap, data: bytes) -> None:
    path = f"/jmap/download/{alice.id}/{alice.upload(data)}/"
    etag = f'"{path.split("/")[-2]}"'
    size = len(data)

    def ask(**headers: str) -> tuple[int, bytes, str | None]:
        reply = alice.http("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})
        assert reply.header("Content-Length") in (None, str(len(reply.body)))
        return reply.status, reply.body, reply.header("Content-Range")

    assert ask(Range="bytes=2-4") == (206, data[2:5], f"bytes 2-4/{size}")
    assert ask(Range="bytes=-3") == (206, data[-3:], f"bytes {size - 3}-{size - 1}/{size}")
    assert ask(Range="bytes=0-") == (206, data, f"bytes 0-{size - 1}/{size}")
    assert ask(Range="bytes=0-1,4-5") == (200, data, None)
    assert ask(Range="bytes=2-4", If_Range=etag) == (206, data[2:5], f"bytes 2-4/{size}")
    assert ask(Range="bytes=2-4", If_Range='"other"') == (200, data, None)
    status, _, content_range = ask(Range=f"bytes={size}-")
    assert (status, content_range) == (416, f"bytes */{size}")
    assert ask(If_None_Match=etag) == (304, b"", None)
    assert ask(If_None_Match='"other"')[0] == 200


@pytest.mark.parametrize(
    "name",
    ["", "a.txt", "a/b/c", "/a", "../../etc/passwd", "ü.txt", "a\r\nX: y", 'q"\\', "\0", "a?b#c", "%2e%2e", "x" * 5000],
)
def test_any_name_is_only_a_name(alice: Jmap, name: str) -> None:
    reply = alice.http("GET", f"/jmap/download/{alice.id}/{alice.upload(b'data')}/{quote(name, safe='')}")
    assert (reply.status, reply.body) == (200, b"data")
    header = reply.header("Content-Disposition") or ""
    assert header.startswith("attachment")
    assert header.isascii()
    assert header.isprintable()


def test_the_type_is_what_the_client_asked_for_or_the_plainest(alice: Jmap) -> None:
    path = f"/jmap/download/{alice.id}/{alice.upload(b'<script>')}/x"
    for query, type in [
        ("?accept=image/svg+xml", "image/svg+xml"),
        ("?accept=text%2Fplain%3B%20charset%3Dutf-8", "text/plain; charset=utf-8"),
        ("?accept=text/html%0d%0aX:%20y", "application/octet-stream"),
        ("?accept=nonsense", "application/octet-stream"),
        ("", "application/octet-stream"),
    ]:
        assert alice.http("GET", path + query).header("Content-Type") == type


def test_others_blobs_are_as_if_they_were_not(alice: Jmap, bob: Jmap) -> None:
    theirs = alice.upload(b"secret of alice")
    never = "g" + "a" * 32
    own_account = [bob.http("GET", f"/jmap/download/{bob.id}/{id}/x") for id in (theirs, never, "?", "a b", "x" * 300)]
    other_account = [bob.http("GET", f"/jmap/download/{account}/{theirs}/x") for account in (alice.id, "a" * 25, "%00")]
    for replies in (own_account[:2], other_account):
        assert {(reply.status, reply.body) for reply in replies} == {(404, replies[0].body)}
        problem(replies[0])
    assert {reply.status for reply in own_account} == {404}
    refused = [bob.http("POST", f"/jmap/upload/{account}/", b"x") for account in (alice.id, "a" * 25)]
    assert refused[0].status == refused[1].status == 404
    assert refused[0].body == refused[1].body
    assert bob.upload(b"secret of alice") != theirs


def test_a_lost_file_is_an_error_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    with make_server(store="sqlite") as made:
        alice = made.account("alice@example.org")
        blob_id = alice.upload(b"x" * 300_000)
        with made.server.store.read(str(alice.id)) as reader:
            info = reader.blob(blob_id)
        assert info is not None
        assert info.path is not None
        info.path.unlink()
        reply = alice.http("GET", f"/jmap/download/{alice.id}/{blob_id}/x")
        assert problem(reply)["status"] == 503
        assert str(info.path) not in reply.body.decode()


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=0-9"}])
def test_a_damaged_file_is_not_sent(caplog: pytest.LogCaptureFixture, headers: dict[str, str]) -> None:
    with make_server(store="sqlite") as made:
        alice = made.account("alice@example.org")
        path = f"/jmap/download/{alice.id}/{alice.upload(b'x' * 300_000)}/x"
        assert alice.http("GET", path, None, headers).status == (206 if headers else 200)
        (file,) = (made.server.settings.storage.path / "accounts" / str(alice.id) / "blobs").glob("??/??/*")
        file.write_bytes(b"x" * 299_999 + b"y")
        reply = alice.http("GET", path, None, headers)
        assert (reply.status, b"xxx" in reply.body) == (503, False)
