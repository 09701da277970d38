"""Upload and download of blobs (RFC 8620 sections 6.1 and 6.2)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

import msgspec
from flask import Response, request
from werkzeug.routing import BaseConverter
from werkzeug.wsgi import FileWrapper

from flaskmail.accounts.principals import Principal
from flaskmail.errors import AccountMissing, RequestError, StoreDamaged
from flaskmail.jmap.context import AccountAccess, BlobContent
from flaskmail.policy.adapter import KEEP
from flaskmail.server import Server
from flaskmail.values.ids import is_id
from flaskmail.web.admission import PIECE, BodyReader, Environ, announced_length, cut_short, drop
from flaskmail.web.problems import limit_error
from flaskmail.web.ranges import OCTETS, Unsatisfiable, disposition, matches, media_type, query_value, wanted_range

IN_MEMORY = 256 * 1024
"""Octets of an upload up to which it is read at once; a larger one streams to the store."""


class NameConverter(BaseConverter):
    """The last part of a download URL: anything, with slashes, or nothing."""

    regex = r"[\s\S]*"
    part_isolating = False


def account_of(server: Server, principal: Principal, account_id: str) -> AccountAccess:
    """The account, as this principal sees it. Raises RequestError 404, the same for another's and for one that never was."""
    account = server.accounts_of(principal).get(account_id)
    if account is None:
        raise RequestError(404, "You have no account of this id.")
    return account


def upload(server: Server, principal: Principal, account_id: str, environ: Environ) -> bytes:
    """Stores the body as a blob and answers the JSON that tells so. Raises RequestError 404, 403, 400 or 413, OverQuota,
    StoreError."""
    account = account_of(server, principal, account_id)
    if account.is_read_only:
        raise RequestError(403, "You may only read this account.")
    limit = server.limits.maxSizeUpload
    length = announced_length(environ)
    if length is not None and length > limit:
        drop(environ, length, limit)
        raise _too_large(limit)
    stream = cast(BinaryIO, environ["wsgi.input"])
    if length is not None and length <= IN_MEMORY:
        data = stream.read(length) if length else b""
        if len(data) < length:
            raise cut_short()
        blob_id, size = server.store.put_blob(account.id, data, length, quota=account.quota), length
    elif length is not None:
        reader = cast(BinaryIO, BodyReader(stream, length))
        blob_id, size = server.store.put_blob(account.id, reader, length, quota=account.quota), length
    else:
        blob_id, size = _upload_chunked(server, account, environ, limit)
    # RFC 8620 section 6.1: the type is the client's word; nothing is guessed.
    type = media_type(environ.get("CONTENT_TYPE")) or OCTETS
    return msgspec.json.encode({"accountId": account.id, "blobId": blob_id, "type": type, "size": size})


def _upload_chunked(server: Server, account: AccountAccess, environ: Environ, limit: int) -> tuple[str, int]:
    size, stream = 0, environ["wsgi.input"]
    # The store wants to know the size before it takes the octets.
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as spool:
        while piece := stream.read(PIECE):
            size += len(piece)
            if size > limit:
                drop(environ, None, limit)
                raise _too_large(limit)
            spool.write(piece)
        spool.seek(0)
        return server.store.put_blob(account.id, cast(BinaryIO, spool), size, quota=account.quota), size


def _too_large(limit: int) -> RequestError:
    return limit_error("maxSizeUpload", f"The file is larger than {limit} octets.", 413)


def download(server: Server, principal: Principal, account_id: str, blob_id: str, name: str) -> Response:
    """Sends a blob, whole or one range of it. name: what the client will call the file.

    Raises RequestError 404 (the same for another account's blob and for one that never was) or 416."""
    account = account_of(server, principal, account_id)
    if not is_id(blob_id):
        raise _no_blob()
    try:
        with server.store.read(account.id) as reader:
            context = server.context_for(principal)
            context.account = account
            found = context.find_blob(reader, blob_id)
            if found is None:
                raise _no_blob()
            etag = f'"{found.id}"'
            if matches(request.environ.get("HTTP_IF_NONE_MATCH"), etag):
                return _described(Response(b"", 304), etag, name)
            span = _span(found.size, etag)
            if found.path is not None and request.method != "HEAD":
                # Reading none of it compares the file with its hash, once a process: no damage is sent as if it were whole.
                reader.read_blob(found.id, 0, 0)
            # Opened, or read, while the snapshot still keeps it from being swept.
            return _described(_contents(found, span), etag, name)
    except AccountMissing:
        raise _no_blob() from None


def _no_blob() -> RequestError:
    return RequestError(404, "This account has no such blob.")


def _span(size: int, etag: str) -> tuple[int, int] | None:
    environ = request.environ
    # RFC 9110 section 14.2: the field MUST be ignored where the method is not GET.
    if request.method != "GET":
        return None
    # RFC 9110 section 13.1.5: a range of another version is of no use; a blob never changes, so only its tag can match.
    if environ.get("HTTP_IF_RANGE", etag).strip() != etag:
        return None
    try:
        return wanted_range(environ.get("HTTP_RANGE"), size)
    except Unsatisfiable:
        raise RequestError(416, f"The blob has {size} octets.", headers={"Content-Range": f"bytes */{size}"}) from None


def _contents(found: BlobContent, span: tuple[int, int] | None) -> Response:
    start, end = span or (0, found.size)
    body: bytes | Iterable[bytes]
    if found.path is None:
        data = found.read()
        if len(data) != found.size:
            raise StoreDamaged(f"blob {found.id} has {len(data)} octets instead of {found.size}")
        body = data if span is None else data[start:end]
    else:
        body = _file(found, start, end)
    response = Response(body, 200 if span is None else 206, direct_passthrough=not isinstance(body, bytes))
    response.content_length = end - start
    if span is not None:
        response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{found.size}"
    return response


def _file(found: BlobContent, start: int, end: int) -> Iterable[bytes]:
    try:
        file = Path(cast(str, found.path)).open("rb")  # noqa: SIM115 - the response closes it
    except FileNotFoundError as error:
        raise StoreDamaged(f"the file of blob {found.id} is missing") from error
    if request.method == "HEAD":
        file.close()
        return ()
    if (start, end) == (0, found.size):
        # The server's own way of sending a file, which may never bring it into this process.
        wrapper = request.environ.get("wsgi.file_wrapper", FileWrapper)
        return cast(Iterable[bytes], wrapper(file, PIECE))
    return _Part(file, start, end)


class _Part:
    """A range of an open file, in pieces; closes it."""

    def __init__(self, file: BinaryIO, start: int, end: int) -> None:
        self._file, self._left = file, end - start
        file.seek(start)

    def __iter__(self) -> Iterator[bytes]:
        while self._left > 0:
            piece = self._file.read(min(PIECE, self._left))
            if not piece:
                return
            self._left -= len(piece)
            yield piece

    def close(self) -> None:
        self._file.close()


def _described(response: Response, etag: str, name: str) -> Response:
    headers = response.headers
    accept = query_value(request.environ.get("QUERY_STRING", ""), "accept")
    # RFC 8620 section 6.2: the client says which type it wants to see.
    headers["Content-Type"] = media_type(accept) or OCTETS
    headers["Content-Disposition"] = disposition(name)
    headers["Cache-Control"] = "private, immutable, max-age=31536000"
    headers["ETag"] = etag
    headers["Accept-Ranges"] = "bytes"
    # Whatever stands in a blob came from strangers: it is never to run as a page of this server.
    request.environ[KEEP] = True
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    headers["Vary"] = "Authorization"
    return response
