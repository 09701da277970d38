"""Blob/copy: octets from one account to another without a way over the client. RFC 8620 section 6.3."""

from __future__ import annotations

from pathlib import Path

from flaskmail.datatypes.core.capability import CORE
from flaskmail.errors import MethodError, OverQuota, SetError
from flaskmail.jmap.context import BlobContent, Context
from flaskmail.jmap.method import Method
from flaskmail.jmap.methods.arguments import check_arguments
from flaskmail.jmap.storage import Reader, Record
from flaskmail.values.checks import identifier, list_of, text


def _copy(ctx: Context, arguments: Record) -> Record:
    known = {"fromAccountId": identifier, "blobIds": list_of(text)}
    check_arguments(arguments, known, required=("fromAccountId", "blobIds"))
    source, target = arguments["fromAccountId"], arguments["accountId"]
    if source not in ctx.accounts:
        raise MethodError("fromAccountNotFound", "There is no account with the id that fromAccountId gives.")
    if source == target:
        raise MethodError("invalidArguments", "Blobs are copied between two different accounts.")
    wanted: list[str] = list(dict.fromkeys(arguments["blobIds"]))
    if len(wanted) > ctx.limits.maxObjectsInSet:
        raise MethodError("requestTooLarge", f"At most {ctx.limits.maxObjectsInSet} blobs are copied at once.")
    copied: dict[str, str] = {}
    failed: dict[str, Record] = {}
    with ctx.store.read(source) as reader:
        for blob_id in wanted:
            try:
                copied[blob_id] = _copy_one(ctx, reader, blob_id, target)
            except SetError as error:
                failed[blob_id] = error.wire()
    return {"fromAccountId": source, "accountId": target, "copied": copied or None, "notCopied": failed or None}


def _copy_one(ctx: Context, reader: Reader, blob_id: str, target: str) -> str:
    """The id of the copy. SetError notFound or overQuota."""
    found = ctx.find_blob(reader, blob_id)
    if found is None:
        raise SetError("notFound", "The account has no such blob.")
    try:
        return _put(ctx, found, target)
    except OverQuota:
        raise SetError("overQuota", "There is no room left for this blob.") from None


def _put(ctx: Context, found: BlobContent, target: str) -> str:
    quota = ctx.accounts[target].quota
    if found.path is None:
        return ctx.store.put_blob(target, found.read(), found.size, quota=quota)
    with Path(found.path).open("rb") as stream:
        return ctx.store.put_blob(target, stream, found.size, quota=quota)


BLOB_COPY = Method("Blob/copy", CORE, _copy, writes=True)
"""Blob/copy. RFC 8620 section 6.3."""
