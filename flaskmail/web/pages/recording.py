"""What people change on the pages goes into the audit log, under the names of the operations of the management API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flask import request

from flaskmail.accounts.faults import DirectoryError
from flaskmail.accounts.websessions import WebSession
from flaskmail.server import Server

AUTH, MADE, ENDED = "account.auth.update", "account.credential.create", "account.credential.delete"
"""How the account is signed in to; something that lets a program in; an end of either."""


@contextmanager
def recorded(server: Server, session: WebSession, operation: str, **change: object) -> Iterator[None]:
    """Notes a change around the block that makes it. change: what it is, JSON values without secrets. Raises StoreError when
    it cannot be noted: then nothing is changed."""
    principal = session.principal
    log = server.directory.audit
    id = log.begin(
        actor=principal.name,
        actor_id=principal.id,
        domain=principal.domain,
        via=f"{principal.grant.kind} {principal.grant.id}",
        address=request.environ.get("REMOTE_ADDR") or "",
        operation=operation,
        object=request.path,
        change=change,
        keep=server.settings.management.audit_keep,
    )
    status = 500
    try:
        yield
        status = 200
    except DirectoryError:
        status = 422
        raise
    finally:
        log.end(id, status)
