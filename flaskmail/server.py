"""The Server: settings, store, data types, plugins and accounts, joined. The only place where that happens."""

from __future__ import annotations

import logging
import os
import signal
import threading
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Literal

from flaskmail.accounts.authentication import WRONG, parse_basic
from flaskmail.accounts.authorization import Access
from flaskmail.accounts.directory import Directory
from flaskmail.accounts.drafts import Draft, checked
from flaskmail.accounts.entries import Entry
from flaskmail.accounts.faults import DirectoryError, NameTaken
from flaskmail.accounts.names import ADMIN, account_name
from flaskmail.accounts.passwords import make_password
from flaskmail.accounts.principals import Principal, Secret, new_account_id
from flaskmail.config import Settings
from flaskmail.config.loading import CHECKS, Check
from flaskmail.errors import FlaskmailError, Problem, RequestError, StoreError
from flaskmail.hookspecs import Credentials, Denied, Event
from flaskmail.jmap.context import AccountAccess, Context, Limits
from flaskmail.jmap.datatype import DataType
from flaskmail.jmap.dispatch import Engine
from flaskmail.jmap.storage import Store
from flaskmail.jobs import Jobs
from flaskmail.livesettings import InForce, LiveSettings
from flaskmail.logs.happened import happened, is_wanted
from flaskmail.oauthservice import OAuthService
from flaskmail.parts import Parts
from flaskmail.plugins import HookFailed, Plugins, start
from flaskmail.plugins.loading import misnamed
from flaskmail.process import Process, Session, StoreMaker, sqlite_store

log = logging.getLogger("flaskmail.plugins")

LOOK = 0.3
"""Seconds after which a process that gets requests looks whether the settings have changed."""


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What ``Server.create_account`` did. domain: the domain that was made for it, or None."""

    principal: Principal
    domain: str | None


class Server:
    """One mail server: what the web, the command line and the tests work with.

    settings: None for those of file and environment (:func:`flaskmail.config.current`, asked anew after a fork, so that a
    reload reaches new workers); those that are stored in the data folder hold below them. store: makes the store; default
    SQLite below ``storage.path``. plugins: further plugin objects beside those that the settings name; installed: whether those
    of installed packages are found too.

    Making one reads the stored settings, loads the plugins and leaves nothing open: whatever holds a file or a lock is made at
    first use, in the process that uses it. ConfigError when settings, plugins or declarations are wrong; StoreError when the
    stored settings cannot be read.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        store: StoreMaker = sqlite_store,
        plugins: Iterable[object] = (),
        installed: bool = True,
    ) -> None:
        self._live, self._make_store = LiveSettings(settings), store
        self._lock = threading.RLock()
        self._process: Process | None = None
        self._checks: list[Check] = [self._misnamed]
        self._replaced: set[Check] = set()
        self._renewals: list[Callable[[], object]] = []
        self._looking = threading.RLock()
        self._look_at = 0.0
        self._looked_at: object = None
        self._parts = Parts(self, self.settings, plugins, installed)
        self._oauth = OAuthService(
            lambda: self.directory, lambda: self.settings, lambda: tuple(self.engine.capabilities)
        )
        # Whatever does not fit together stops the start, not the first request.
        self._parts.engine(self.settings)

    @property
    def _now(self) -> Process:
        process = self._process
        if process is None or process.pid != os.getpid() or not process.ready:
            with self._lock:
                process = self._process
                if process is None or process.pid != os.getpid():
                    process = self._process = Process(self, self._parts, self.settings, self._make_store)
                    try:
                        # A plugin may use the server already, so this thread finds the process where it will be.
                        start(self._parts.plugins, self)
                    except BaseException:
                        self.close()
                        raise
                    process.ready = True
                    self.tell("server.started", pid=process.pid)
        return process

    @property
    def settings(self) -> Settings:
        """Those in force in this process."""
        process = self._process
        if process is not None and process.pid == os.getpid():
            return process.settings
        return self._live.now.settings

    @property
    def live_settings(self) -> LiveSettings:
        """Where the settings come from, and what waits for a reload or a restart."""
        return self._live

    @property
    def settings_checks(self) -> tuple[Check, ...]:
        """What new settings have to pass, beyond the kinds of their values."""
        return (*(check for check in CHECKS if check not in self._replaced), *self._checks)

    def _misnamed(self, settings: Settings) -> Iterable[Problem]:
        return misnamed(self._parts.plugins, settings.plugins.disabled, settings.plugins.options)

    def follow_settings(
        self, renew: Callable[[], object], check: Check | None = None, instead: Check | None = None
    ) -> None:
        """For what is made of the settings outside of this class. renew: called when there are new ones in force in this
        process, in ``settings``; check: what is wrong with new ones, instead: the one of CHECKS whose place it takes. Where
        nothing is wrong, ``renew`` does not fail."""
        self._renewals.append(renew)
        if check is not None:
            self._checks.append(check)
        if instead is not None:
            self._replaced.add(instead)

    def refresh(self, *, now: bool = False) -> None:
        """Takes the settings that were changed by any process into force in this one. Every way in calls it first: it costs next
        to nothing, and looks at most every LOOK seconds. now: looks in any case; StoreError when that is not possible."""
        if monotonic() >= self._look_at or now:
            self._refresh(now)

    def _refresh(self, now: bool) -> None:
        # One thread looks; meanwhile the others go on with what they have.
        if not self._looking.acquire(blocking=now):
            return
        try:
            self._look_at = monotonic() + LOOK
            stored = self._now.directory.settings
            version = (os.getpid(), stored.version())
            if version != self._looked_at:
                self._looked_at = version
                if stored.marks() != self._live.now.marks:
                    self._renew()
        except Exception as error:
            # The request itself finds out, and is answered as its caller expects.
            self._looked_at = None
            if now:
                raise
            if not isinstance(error, FlaskmailError):
                log.exception("the settings could not be taken into force")
        finally:
            self._looking.release()

    def reload(self, *, dry_run: bool = False) -> InForce:
        """Reads the settings file again, here and within a second in every worker; what needs new workers gets them when this one
        is of a gunicorn with our configuration. Answers what is in force then. dry_run: only says what would be.

        ConfigError, with everything that is wrong: then nothing changes."""
        self.refresh(now=True)
        stored, checks = self.directory.settings, self.settings_checks
        state = stored.state()
        fresh = self._live.made_of(self._live.read_again(state, checks), state, checks)
        if not dry_run:
            stored.ask_for_reload()
            self.refresh(now=True)
            master = self._live.master
            if master is not None and "reload" in fresh.pending.values():
                os.kill(master, signal.SIGHUP)
        return fresh

    def _renew(self) -> None:
        process = self._now
        fresh = self._live.follow(process.directory.settings.state(), self.settings_checks)
        if fresh is None:
            return
        renewed = process.renewed(fresh.settings)
        process.directory.apply(fresh.settings.authentication)
        with self._lock:
            if self._process is process:
                self._process = renewed
        self._live.adopt(fresh)
        for renew in self._renewals:
            renew()
        self.tell("settings.changed", revision=fresh.state.revision)

    @property
    def limits(self) -> Limits:
        """The limits of the settings."""
        return self._now.limits

    @property
    def types(self) -> Mapping[str, DataType]:
        """The data types by name: built-in ones and those of plugins."""
        return self._now.types

    @property
    def engine(self) -> Engine:
        """What answers API requests."""
        return self._now.engine

    @property
    def store(self) -> Store:
        """The store of every account's data."""
        return self._now.store

    @property
    def directory(self) -> Directory:
        """Principals, domains, tokens."""
        return self._now.directory

    @property
    def oauth(self) -> OAuthService:
        """The authorization server."""
        return self._oauth

    @property
    def jobs(self) -> Jobs:
        """What works in the background."""
        return self._now.jobs

    @property
    def plugins(self) -> Plugins:
        """The plugins, built-in ones included."""
        return self._parts.plugins

    def authenticate(
        self, authorization: str | None, address: str, request: Callable[[], object] | None = None
    ) -> Principal:
        """The principal whose credentials these are, as plugins and then
        :meth:`flaskmail.accounts.authentication.Authenticator.authenticate` say, whose arguments and errors these are.

        request: makes the request for plugins. RequestError 503 when a plugin fails."""
        self.refresh()
        ask_plugins = self._parts.authenticate
        try:
            if ask_plugins is None:
                return self._now.directory.authenticator.authenticate(authorization, address)
            credentials = Credentials(authorization, address)
            found = ask_plugins(self, None if request is None else request(), credentials)
        except HookFailed:
            raise RequestError(503, "Credentials cannot be checked now.", headers={"Retry-After": "5"}) from None
        except RequestError as error:
            if authorization and self.is_observed:
                self.tell("authentication.failed", **self._attempt(authorization, address, error.status))
            raise
        if isinstance(found, Principal) and not found.disabled and not self._is_half(credentials, found):
            return found
        if self.is_observed:
            self.tell("authentication.failed", **self._attempt(authorization or "", address, 401))
        if not isinstance(found, (Principal, Denied)):
            log.error("a plugin answered authenticate with %s, no Principal", type(found).__name__)
            raise RequestError(503, "Credentials cannot be checked now.", headers={"Retry-After": "5"})
        raise RequestError(401, (isinstance(found, Denied) and found.detail) or WRONG)

    def _is_half(self, credentials: Credentials, found: Principal) -> bool:
        """Whether this is the password of an account that has a second factor, wherever the password is kept."""
        if credentials.scheme != "basic" or found.grant.kind != "password":
            return False
        return self.directory.second_factors.has_second_factor(found.id)

    def sign_in(
        self, name: str, password: str, address: str, request: Callable[[str], object] | None = None
    ) -> Secret | None:
        """Whose name and password these are, typed into a page of ours: as plugins say, and then
        :meth:`flaskmail.accounts.signingin.SignIn.password`, whose answer and errors these are. Throttled as a whole.

        request: makes the request for plugins, of the value of its Authorization header. RequestError 503 when a plugin
        fails."""
        self.refresh()
        asked = self._parts.authenticate_elsewhere
        if asked is None:
            return self.directory.sign_in.password(name, password, address)

        def elsewhere(name: str, password: str) -> Principal | Literal[False] | None:
            if ":" in name:
                # RFC 7617 section 2: it would end the name, and the tries would be counted as somebody else's.
                return None
            authorization = f"Basic {b64encode(f'{name}:{password}'.encode()).decode()}"
            brought = None if request is None else request(authorization)
            try:
                found = asked(self, brought, Credentials(authorization, address))
            except HookFailed:
                raise RequestError(503, "Passwords cannot be checked now.", headers={"Retry-After": "5"}) from None
            except RequestError as error:
                if error.status == 401:
                    return False
                raise
            if found is None:
                return None
            # What was made for programs, or for a part of the account, lets nobody in here.
            whole = isinstance(found, Principal) and found.grant.kind in ("password", "plugin")
            return found if whole and found.grant.scopes is None else False

        return self.directory.sign_in.password(name, password, address, elsewhere)

    def _attempt(self, authorization: str, address: str, status: int) -> dict[str, object]:
        credentials = Credentials(authorization, address)
        name = None
        if credentials.scheme == "basic":
            try:
                name = parse_basic(credentials.value)[0]
            except RequestError:
                pass
            # What is no name of ours may be a password in the wrong field.
            if name is not None and self.directory.principals.secret(name) is None:
                name = None
        return {"client": address or None, "scheme": credentials.scheme, "account": name, "status": status}

    def access_of(self, principal: Principal) -> Access:
        """What the principal may do now, with the grant it comes with, and in which domain."""
        return self._now.directory.authority.access_of(principal)

    def authorize(self, principal: Principal, permission: str, resource: Mapping[str, object] | None = None) -> Access:
        """The principal's access when it has the permission and no plugin objects. resource: what it is about, for plugins.

        RequestError 403 whose detail and member ``permission`` name what is missing."""
        access = self.access_of(principal)
        if not access.may(permission):
            raise access.lacking(permission)
        self.heed_plugins(principal, permission, resource)
        return access

    def heed_plugins(self, principal: Principal, permission: str, resource: Mapping[str, object] | None = None) -> None:
        """Asks the plugins whether they object to what the principal's permissions allow; arguments and errors are those of
        ``authorize``."""
        ask_plugins = self._parts.authorize
        if ask_plugins is not None:
            try:
                denied = ask_plugins(self, principal, permission, dict(resource or {}))
            except HookFailed:
                raise RequestError(
                    403, "Whether this is allowed cannot be found out now.", extra={"permission": permission}
                ) from None
            if denied:
                raise RequestError(403, denied[0].detail or "This is not allowed.", extra={"permission": permission})

    # ---- what has happened
    @property
    def is_observed(self) -> bool:
        """Whether a plugin or the log wants to know what happens."""
        return self._parts.observe is not None or is_wanted()

    def tell(self, event: str, /, **data: object) -> None:
        """Tells the plugins and the log what has happened. data: JSON values, never a secret."""
        happened(event, data)
        if self._parts.observe is not None:
            self._parts.observe(self, Event(event, data))

    def accounts_of(self, principal: Principal) -> Mapping[str, AccountAccess]:
        """The accounts that the principal may use, by id: its own; none for ``admin``. RequestError 403 when its grant has no
        scope for JMAP."""
        now = self._now
        now.allowed(principal)
        return now.accounts(principal)

    def context_for(self, principal: Principal) -> Context:
        """The context of one request of this principal."""
        return self._now.context(principal)

    def session(self, principal: Principal, base_url: str) -> Session:
        """The principal's session object. base_url: what its URLs begin with, without a final slash."""
        return self._now.session(principal, base_url)

    def handle(self, principal: Principal, body: bytes, base_url: str) -> bytes:
        """Answers one API request (RFC 8620 section 3.3) with the JSON of its response. Raises RequestError."""
        now = self._now
        return now.engine.handle(now.context(principal), body, now.session(principal, base_url).state)

    # ---- administration
    def create_account(
        self, name: str, password: str, *, description: str = "", quota: int | None = None
    ) -> NewAccount:
        """Makes an account with the records that every data type starts with. quota: octets, None for the default.

        Raises BadName, BadPassword or NameTaken; then nothing is left behind."""
        wanted, domain = account_name(name)
        directory = self.directory
        if directory.principals.secret(wanted) is not None:
            raise NameTaken(f"the account {wanted!r} exists already")
        hashed = directory.passwords.hash(password)
        with self._mail_for(wanted, quota, domain is not None) as id:
            principal, made = directory.principals.add(id, wanted, hashed, description=description, quota=quota)
        self.tell("account.created", account=principal.name, id=principal.id)
        return NewAccount(principal, domain if made else None)

    def create_principal(self, draft: Draft, access: Access, password: str | None = None) -> tuple[Entry, str | None]:
        """Makes a principal of any type for the one who asks; see :meth:`flaskmail.accounts.entries.Entries.create`.

        password: of an individual; None for one that cannot sign in with a password yet. BadPassword when it cannot be used."""
        checked(draft)
        hashed = "" if password is None else self.directory.passwords.hash(password)
        with self._mail_for(draft.name, draft.quota, draft.type == "individual") as id:
            entry, key = self.directory.entries.create(id, draft, hashed, access)
        if entry.principal.has_mail:
            self.tell("account.created", account=entry.principal.name, id=id)
        return entry, key

    def delete_principal(self, name: str, access: Access) -> Entry:
        """Removes a principal of any type, with all its mail; its credentials end first. Raises as
        :meth:`flaskmail.accounts.entries.Entries.delete`."""
        entry = self.directory.entries.delete(name, access)
        self.remove_mail(entry)
        return entry

    def remove_mail(self, entry: Entry) -> None:
        """Removes the mail, where there was any, of a principal that is deleted."""
        if entry.principal.has_mail:
            self.store.delete_account(entry.id)
            self.tell("account.deleted", account=entry.principal.name, id=entry.id)

    @contextmanager
    def _mail_for(self, name: str, quota: int | None, wanted: bool) -> Iterator[str]:
        """The id of a new principal, whose mail is there before anybody can sign in; it goes again when that fails."""
        id = new_account_id()
        if not wanted:
            yield id
            return
        self.store.create_account(id)
        try:
            self._now.begin_mail(id, name, quota)
            yield id
        except BaseException:
            self.store.delete_account(id)
            raise

    def delete_account(self, name: str) -> Principal:
        """Removes an account and everything in it; its credentials end first. Raises UnknownName, or DirectoryError for
        ``admin``, which can only be disabled."""
        principal = self.directory.principals.get(name)
        if principal.admin:
            raise DirectoryError(f"{ADMIN!r} cannot be deleted; `flaskmail account disable {ADMIN}` keeps it out")
        self.directory.principals.delete(principal.name)
        self.store.delete_account(principal.id)
        self.tell("account.deleted", account=principal.name, id=principal.id)
        return principal

    def ensure_admin(self) -> str | None:
        """Makes the administrator when there is none and answers its password; None when there is one. Exactly one of all
        processes that ask gets the password, which is not stored anywhere."""
        directory = self.directory
        if directory.principals.secret(ADMIN) is not None:
            return None
        password = make_password()
        try:
            directory.principals.add(new_account_id(), ADMIN, directory.passwords.hash(password))
        except NameTaken:
            return None
        return password

    def check(self) -> None:
        """Raises StoreError when the server cannot work now."""
        now = self._now
        now.directory.check()
        if not os.access(now.settings.storage.path, os.W_OK | os.X_OK):
            raise StoreError(f"{now.settings.storage.path} cannot be written")

    def close(self) -> None:
        """Closes what this process has open; the next use opens it again."""
        with self._lock:
            process, self._process = self._process, None
            if process is not None and process.pid == os.getpid():
                process.jobs.close()
                process.store.close()
                process.directory.close()


__all__ = ["NewAccount", "Server", "Session", "StoreMaker", "sqlite_store"]
