"""What is stored: checking it, backups, search indexes, purging, and the octets of blobs. Whatever takes long is a job."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Annotated, Any

import msgspec

from flaskmail.accounts.principals import Principal
from flaskmail.backup import make_backup
from flaskmail.backup.making import name_of_now
from flaskmail.errors import StoreError
from flaskmail.jmap.storage import BlobInfo
from flaskmail.jobs import JobRunning, Work
from flaskmail.management.jobs import JobInfo, described, seen
from flaskmail.management.operation import Call, F, Octets, Query, Resource
from flaskmail.management.refusals import conflict, not_found, unsupported
from flaskmail.upkeep import Tell, purge_blobs, purge_data, purge_histories, purge_memory, reindex_all, verify_all
from flaskmail.upkeep.checking import stored_accounts

resource = Resource("store", "What is stored: checking it, backups, search indexes, purging, blobs.")

_RUNNING = "A job of this kind runs already; `job` is its id, null when it is of another domain."
_MOST = 1000
"""Entries of one list in a job's result."""
_CHUNK = 1024 * 1024
_SHA256 = re.compile(r"[0-9a-f]{64}")


# ---- what the operations share


def _start(call: Call, kind: str, work: Work, **about: Any) -> JobInfo:
    """Begins a job; refused while one of its kind runs. about: what it works on; what is None is left out."""
    told = {name: value for name, value in about.items() if value is not None}
    if call.access.domain is not None:
        told["domain"] = call.access.domain
    try:
        job = call.server.jobs.start(kind, work, by=call.principal.name, about=told)
    except JobRunning as error:
        # Whose job it is, is nobody else's business.
        job_id = error.job if error.job and seen(call, error.job) else None
        raise conflict(f"A job of the kind {kind} runs already.", job=job_id) from None
    call.changed = {"job": job.id, **told}
    return described(job)


def _account(call: Call, name: str) -> Principal:
    """The account of that name or id, within his reach. Raises RequestError 404, also when it has no mail."""
    for principal in call.server.directory.principals.all():
        if name.lower() in (principal.name, principal.id):
            call.reach(principal.domain, "account", name)
            if principal.has_mail:
                return principal
    raise not_found("account", name)


def _accounts(call: Call, name: str | None) -> list[tuple[str, str]] | None:
    """(id, name) of that account; None for everything that is stored, which takes whoever may do it everywhere."""
    if name is None:
        _whole(call)
        return None
    principal = _account(call, name)
    return [(principal.id, principal.name)]


def _whole(call: Call) -> None:
    """Refuses one whose reach is a domain: this concerns the whole server."""
    if call.access.domain is not None:
        raise call.access.lacking("all-domains")


def _begins(
    path: str,
    name: str,
    permission: str,
    *,
    query: type[Query] | None = None,
    by_get: str | None = None,
    refuses: Mapping[int, str] | None = None,
) -> Callable[[F], F]:
    """Declares what begins a job. by_get: what the old API's GET of the same path does; None where it had none."""

    def declare(function: F) -> F:
        if by_get is not None:
            given = {} if query is None else {"query": query()}
            _by_get(path, f"{name}ByGet", permission, partial(function, **given), by_get)
        declared = resource.operation(
            "POST",
            path,
            name,
            permissions=(permission,),
            query=query,
            answer=JobInfo,
            status=202,
            refuses=refuses or {409: _RUNNING},
        )
        return declared(function)

    return declare


def _by_get(path: str, name: str, permission: str, start: Callable[..., JobInfo], what: str) -> None:
    """Declares a GET of the old API, behind management.legacy-get, which begins a job and says nothing of it."""

    def of_account(call: Call, account: str) -> None:
        start(call, account)

    def of_all(call: Call) -> None:
        start(call)

    handler: Callable[..., None] = of_account if "{account}" in path else of_all
    handler.__doc__ = f"{what}, as the old API did it: by GET."
    resource.operation(
        "GET", path, name, permissions=(permission,), legacy=True, changes=True, refuses={409: _RUNNING}
    )(handler)


# ---- verify, backup, reindex


class VerifyQuery(Query, kw_only=True):
    """What is checked."""

    account: Annotated[str, msgspec.Meta(description="Only this account, by name or id.")] | None = None
    repair: Annotated[bool, msgspec.Meta(description="Mend what can be mended from what is there.")] = False


@_begins(
    "/store/verify",
    "store.verify",
    "storage-verify",
    query=VerifyQuery,
    refuses={404: "There is no such account.", 409: _RUNNING},
)
def verify(call: Call, query: VerifyQuery) -> JobInfo:
    """Check what is stored; everything takes the permission all-domains, too.

    The job's result: `accounts`, `findings` with `account`, `what` and `mended`, `swept`. At most 1000 findings are listed."""
    server, wanted = call.server, _accounts(call, query.account)

    def work(tell: Tell) -> Any:
        done = verify_all(server.store, server.types.values(), server.directory, wanted, repair=query.repair, tell=tell)
        found = [{"account": name, "what": f.what, "mended": f.mended} for name, f in done.findings[:_MOST]]
        return {"accounts": done.accounts, "findings": found, "wrong": done.wrong, "swept": done.swept}

    return _start(call, "verify", work, account=query.account, repair=query.repair)


@_begins(
    "/store/backup",
    "store.backup",
    "backup",
    refuses={409: "The setting storage.backup-path names no folder, or a job of this kind runs already."},
)
def backup(call: Call) -> JobInfo:
    """Make a backup while the server works.

    It becomes a folder that is named by the time, in the folder that the setting `storage.backup-path` names. The job's result:
    `backup`, `accounts`, `files`, `octets`, `problems`."""
    _whole(call)
    server = call.server
    storage, source = server.settings.storage, server.settings.source
    if storage.backup_path is None:
        raise unsupported("Backups over the API need a folder: set storage.backup-path in the settings file.")
    destination = storage.backup_path / name_of_now()

    def work(tell: Tell) -> Any:
        made = make_backup(server.store, server.directory, storage.path, destination, settings=source, tell=tell)
        return {
            "backup": destination.name,
            "accounts": len(made.accounts),
            "files": made.files,
            "octets": made.octets,
            "problems": made.problems[:_MOST],
        }

    return _start(call, "backup", work, backup=destination.name)


class ReindexQuery(Query, kw_only=True):
    """What is indexed."""

    missing: Annotated[bool, msgspec.Meta(description="Only what the index has nothing of.")] = False
    fresh: Annotated[bool, msgspec.Meta(description="Empty the index first: for one that is damaged.")] = False


def _reindex(call: Call, name: str | None, query: ReindexQuery) -> JobInfo:
    server, wanted = call.server, _accounts(call, name)

    def work(tell: Tell) -> Any:
        accounts = stored_accounts(server.store, server.directory) if wanted is None else wanted
        done, failed = reindex_all(
            server.store, server.types.values(), accounts, missing=query.missing, fresh=query.fresh, tell=tell
        )
        return {
            "accounts": len(accounts),
            "records": done.records,
            "lost": [{"type": kind, "id": id} for kind, id in done.lost[:_MOST]],
            "failed": [{"account": account, "reason": reason} for account, reason in failed[:_MOST]],
            "problems": done.problems,
        }

    return _start(call, "reindex", work, account=name)


@_begins("/store/reindex", "store.reindex", "fts-reindex", query=ReindexQuery, by_get="Make search indexes anew")
def reindex(call: Call, query: ReindexQuery) -> JobInfo:
    """Make the search indexes of all accounts anew.

    The job's result: `accounts`, `records`, `lost`, `failed`, `problems`."""
    return _reindex(call, None, query)


@_begins(
    "/store/reindex/{account}",
    "store.reindexAccount",
    "fts-reindex",
    query=ReindexQuery,
    by_get="Make the search index of one account anew",
)
def reindex_account(call: Call, account: str, query: ReindexQuery) -> JobInfo:
    """Make the search index of one account anew."""
    return _reindex(call, account, query)


# ---- purge


_BLOBS = ("blob", "blobs", purge_blobs)
_HISTORIES = ("account", "forgotten", purge_histories)
"""What is purged, how the answer calls what went, and by which function."""


def _purge_accounts(call: Call, name: str | None, what: str, told_as: str, purge: Callable[..., Any]) -> JobInfo:
    server, wanted = call.server, _accounts(call, name)

    def work(tell: Tell) -> Any:
        accounts = stored_accounts(server.store, server.directory) if wanted is None else wanted
        removed, failed = purge(server.store, accounts, tell=tell)
        told = [{"account": account, "reason": reason} for account, reason in failed[:_MOST]]
        return {"accounts": len(accounts), told_as: removed, "failed": told}

    return _start(call, "purge", work, what=what, account=name)


def _purge(call: Call, what: str, work: Callable[[], Any]) -> JobInfo:
    _whole(call)
    return _start(call, "purge", lambda tell: work(), what=what)


@_begins("/store/purge/blob", "store.purgeBlobs", "purge-blob-store", by_get="Remove uploads that nothing refers to")
def purge_blob(call: Call) -> JobInfo:
    """Remove uploads that nothing has referred to for a day.

    The job's result: `accounts`, `blobs`, `failed`."""
    return _purge_accounts(call, None, *_BLOBS)


@_begins("/store/purge/blob/{account}", "store.purgeBlobsOfAccount", "purge-blob-store")
def purge_blob_of(call: Call, account: str) -> JobInfo:
    """Remove uploads of one account that nothing has referred to for a day."""
    return _purge_accounts(call, account, *_BLOBS)


@_begins("/store/purge/account", "store.purgeAccounts", "purge-account", by_get="Forget what was destroyed long ago")
def purge_accounts(call: Call) -> JobInfo:
    """Forget what was destroyed before the newest `jmap.protocol.changes.max-history` changes of each account.

    The job's result: `accounts`, `forgotten`, `failed`."""
    return _purge_accounts(call, None, *_HISTORIES)


@_begins(
    "/store/purge/account/{account}",
    "store.purgeAccount",
    "purge-account",
    by_get="Forget what was destroyed long ago in one account",
)
def purge_account(call: Call, account: str) -> JobInfo:
    """Forget what was destroyed before the newest `jmap.protocol.changes.max-history` changes of one account."""
    return _purge_accounts(call, account, *_HISTORIES)


@_begins("/store/purge/data", "store.purgeData", "purge-data-store", by_get="Remove credentials that have expired")
def purge_expired(call: Call) -> JobInfo:
    """Remove credentials that expired a day ago, and what is left of accounts that were never finished.

    The job's result: how many of each kind."""
    server = call.server
    return _purge(call, "data", lambda: purge_data(server.store, server.directory))


@_begins(
    "/store/purge/in-memory",
    "store.purgeInMemory",
    "purge-in-memory-store",
    by_get="Remove counts of wrong passwords that hold nobody back",
)
def purge_in_memory(call: Call) -> JobInfo:
    """Remove counts of wrong passwords that hold nobody back any more.

    The job's result: how many."""
    server = call.server
    return _purge(call, "in-memory", lambda: purge_memory(server.directory))


_by_get(
    "/store/purge/lookup",
    "store.purgeLookupByGet",
    "purge-in-memory-store",
    purge_in_memory,
    "Remove counts of wrong passwords that hold nobody back",
)


# ---- blobs


class BlobQuery(Query, kw_only=True):
    """Which octets."""

    offset: Annotated[int, msgspec.Meta(ge=0, le=2**53, description="The first octet.")] = 0
    limit: Annotated[int, msgspec.Meta(ge=0, le=2**53, description="How many octets; 0 for all.")] = 0
    account: Annotated[str, msgspec.Meta(description="Only of this account, by name or id.")] | None = None


@resource.operation(
    "GET",
    "/store/blobs/{hash}",
    "store.blob",
    permissions=("blob-fetch",),
    query=BlobQuery,
    answer=Octets,
    media="application/octet-stream",
    # Whoever reads the mail of others is written down.
    changes=True,
)
def blob(call: Call, hash: str, query: BlobQuery) -> Octets:
    """Read the octets of a blob.

    `hash` is the SHA-256 of the octets in hex, or a blobId. Every account within reach is searched."""
    for id, name in _searched(call, query.account):
        info = _found(call, id, hash)
        if info is not None:
            start = min(query.offset, info.size)
            end = min(start + query.limit, info.size) if query.limit else info.size
            call.changed = {"account": name, "blobId": info.id}
            headers = (("Content-Length", str(end - start)), ("Content-Disposition", "attachment"))
            return Octets(_octets(call, id, info.id, start, end), "application/octet-stream", headers)
    raise not_found("blob", hash)


def _searched(call: Call, name: str | None) -> list[tuple[str, str]]:
    if name is not None:
        principal = _account(call, name)
        return [(principal.id, principal.name)]
    if call.access.domain is None:
        return stored_accounts(call.server.store, call.server.directory)
    everybody = call.server.directory.principals.all()
    return [(one.id, one.name) for one in everybody if one.has_mail and call.access.reaches(one.domain)]


def _found(call: Call, account_id: str, hash: str) -> BlobInfo | None:
    try:
        with call.server.store.read(account_id) as reader:
            return reader.blob_of(bytes.fromhex(hash)) if _SHA256.fullmatch(hash) else reader.blob(hash)
    except StoreError:
        # Deleted meanwhile, or damaged: it may lie in another.
        return None


def _octets(call: Call, account_id: str, blob_id: str, start: int, end: int) -> bytes | Iterator[bytes]:
    def read(at: int) -> bytes:
        with call.server.store.read(account_id) as reader:
            return reader.read_blob(blob_id, at, min(at + _CHUNK, end))

    first = read(start)
    if end - start <= _CHUNK:
        return first

    def pieces() -> Iterator[bytes]:
        yield first
        for at in range(start + _CHUNK, end, _CHUNK):
            yield read(at)

    return pieces()
