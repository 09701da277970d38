"""What one process of a server has open, and what it makes of the settings in force."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from time import monotonic
from types import MappingProxyType

import msgspec

from flaskmail.accounts.directory import Directory
from flaskmail.accounts.principals import Principal
from flaskmail.accounts.scopes import CORE, capabilities_within
from flaskmail.config import Settings
from flaskmail.errors import RequestError
from flaskmail.jmap.context import REQUEST_SECONDS, AccountAccess, Context
from flaskmail.jmap.datatype import DataType
from flaskmail.jmap.session import session_object
from flaskmail.jmap.storage import Store
from flaskmail.jobs import Jobs
from flaskmail.parts import Parts

StoreMaker = Callable[[Path, Sequence[DataType]], Store]
"""Makes the store once the data types are known; the path is the data folder."""


def sqlite_store(root: Path, types: Sequence[DataType]) -> Store:
    """The store of a server that nobody gave another one."""
    from flaskmail.store.sqlite import SqliteStore

    return SqliteStore(root, types)


@dataclass(frozen=True, slots=True)
class Session:
    """The session object (RFC 8620 section 2) as it is sent. state: its ``state``."""

    body: bytes
    state: str


class Process:
    """What a process holds; made at first use, and anew after a fork."""

    def __init__(self, server: object, parts: Parts, settings: Settings, make_store: StoreMaker) -> None:
        self._server, self._parts, self._extras = server, parts, parts.session_extras
        self.pid = os.getpid()
        self.ready = False
        self.blob_finders = parts.blob_finders
        self._take(settings)
        self.directory = Directory(settings.storage.path, settings.authentication)
        self.store = make_store(settings.storage.path, parts.types)
        self.store.keep_history(settings.jmap.protocol.changes.max_history)
        self.jobs = Jobs(settings.storage.path)

    def _take(self, settings: Settings) -> None:
        self.settings = settings
        self.engine = self._parts.engine(settings)
        self.limits = self.engine.limits
        self.types = self.engine.types
        self.accounts = lru_cache(maxsize=10_000)(self._accounts)
        self.session = lru_cache(maxsize=1000)(self._session)

    def renewed(self, settings: Settings) -> Process:
        """The same open things with other settings; whoever holds this one goes on with the old."""
        fresh = copy.copy(self)
        fresh._take(settings)
        fresh.store.keep_history(settings.jmap.protocol.changes.max_history)
        return fresh

    def _accounts(self, principal: Principal) -> Mapping[str, AccountAccess]:
        if not principal.has_mail:
            return MappingProxyType({})
        quota = self.settings.account.quota if principal.quota is None else principal.quota
        return MappingProxyType({principal.id: AccountAccess(principal.id, principal.name, quota=quota)})

    def allowed(self, principal: Principal) -> frozenset[str] | None:
        """The JMAP capabilities that the principal's grant lets it use; None for all. RequestError 403 when there is none."""
        scopes = principal.grant.scopes
        if scopes is None:
            return None
        allowed = capabilities_within(scopes, self.engine.capabilities.keys())
        if not allowed:
            # RFC 6750 section 3.1.
            challenge = f'Bearer realm="flaskmail", error="insufficient_scope", scope="{CORE}"'
            raise RequestError(
                403,
                "This credential has no scope for JMAP.",
                extra={"scope": CORE},
                headers={"WWW-Authenticate": challenge},
            )
        return allowed

    def _session(self, principal: Principal, base_url: str) -> Session:
        accounts = self.accounts(principal)
        complete = self._extras.of(self._server, principal, accounts)
        allowed = self.allowed(principal)
        found = session_object(self.engine, principal.name, accounts, base_url, complete, allowed)
        return Session(msgspec.json.encode(found), found["state"])

    def context(self, principal: Principal) -> Context:
        """The context of one request of this principal."""
        return Context(
            store=self.store,
            types=self.types,
            limits=self.limits,
            accounts=self.accounts(principal),
            username=principal.name,
            blob_finders=self.blob_finders,
            deadline=monotonic() + REQUEST_SECONDS,
            capabilities=self.allowed(principal),
        )

    def begin_mail(self, id: str, name: str, quota: int | None) -> None:
        """Gives a new account the records that every data type starts with."""
        access = AccountAccess(id, name, quota=quota)
        context = Context(
            store=self.store,
            types=self.types,
            limits=self.limits,
            accounts={id: access},
            username=name,
            account=access,
            blob_finders=self.blob_finders,
        )
        with self.store.write(id) as txn:
            for kind in self.types.values():
                kind.account_made(context, txn)


__all__ = ["Process", "Session", "StoreMaker", "sqlite_store"]
