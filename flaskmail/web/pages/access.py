"""``/account/applications`` and ``/account/app-passwords``: who else has access, and how to end it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress

from flask import Blueprint, Response

from flaskmail.accounts.faults import UnknownName
from flaskmail.accounts.permissions import OWN
from flaskmail.accounts.scopes import ACCOUNT, CORE, MANAGEMENT
from flaskmail.accounts.tokens import Token
from flaskmail.accounts.websessions import WebSession
from flaskmail.server import Server
from flaskmail.web.pages.account import notice
from flaskmail.web.pages.frame import page
from flaskmail.web.pages.recording import ENDED, MADE, recorded
from flaskmail.web.pages.visits import go, lead, visit

APPLICATIONS, PASSWORDS = "/account/applications", "/account/app-passwords"
DAYS: Mapping[str, tuple[str, int | None]] = {
    "30": ("After 30 days", 30),
    "90": ("After 90 days", 90),
    "365": ("After a year", 365),
    "never": ("Never", None),
}
"""The value of the field -> what people read, and how many days an app password is good for."""
MOST = 100
LONGEST_NAME = 100


def add(blueprint: Blueprint, server: Server) -> None:
    """Adds the pages."""
    plain = {"strict_slashes": False, "merge_slashes": False}

    @blueprint.get(APPLICATIONS, **plain)
    def applications() -> Response:
        session = visit().signed_in()
        grants = [(grant, server.oauth.sentences(grant.scopes)) for grant in server.oauth.grants_of(session.principal)]
        return page("applications.html", notice=notice(), grants=grants)

    @blueprint.post(APPLICATIONS, **plain)
    def end_application() -> Response:
        now = visit()
        session = now.managing()
        id = now.form().get("id", "")
        with suppress(UnknownName), recorded(server, session, ENDED, kind="oauth", id=id[:40]):
            server.oauth.revoke(id, session.principal)
        return go(f"{APPLICATIONS}?done=application")

    def urns() -> list[str]:
        return [urn for urn in server.engine.capabilities if urn != CORE]

    def offered(session: WebSession) -> list[tuple[str, str]]:
        manages_others = server.access_of(session.principal).permissions - OWN
        return server.oauth.sentences([*urns(), ACCOUNT, *([MANAGEMENT] if manages_others else [])])

    def allowed(token: Token) -> list[tuple[str, str]]:
        # Without scopes it is good for all of JMAP, and for managing nothing.
        return server.oauth.sentences(urns() if token.scopes is None else sorted(token.scopes))

    def listing(
        status: int = 200,
        *,
        name: str = "",
        chosen: frozenset[str] | None = None,
        lasting: str = "365",
        error: str = "",
    ) -> Response:
        session = visit().signed_in()
        held = [token for token in server.directory.tokens.all(session.principal) if token.kind == "app-password"]
        scopes = offered(session)
        usual = frozenset(scope for scope, _ in scopes) - {ACCOUNT, MANAGEMENT}
        return page(
            "apppasswords.html",
            status,
            notice=notice(),
            now=time.time(),
            held=held,
            sentences={token.id: allowed(token) for token in held},
            scopes=scopes,
            chosen=usual if chosen is None else chosen,
            days=DAYS,
            lasting=lasting,
            name=name,
            error=error,
            factor=server.directory.second_factors.has_second_factor(session.principal.id),
        )

    @blueprint.get(PASSWORDS, **plain)
    def app_passwords() -> Response:
        return listing()

    @blueprint.post(PASSWORDS, **plain)
    def make_app_password() -> Response:
        now = visit()
        form = now.form()
        session = now.confirmed(PASSWORDS)
        name = " ".join(form.get("name", "").split())
        known = [scope for scope, _ in offered(session)]
        # A field for each scope: its name says which.
        scopes = frozenset(scope for scope in known if f"scope-{known.index(scope)}" in form)
        days = DAYS.get(form.get("days", ""))
        if not name or len(name) > LONGEST_NAME:
            told = f"Give it a name of 1 to {LONGEST_NAME} characters."
        elif not scopes or days is None:
            told = "Choose at least one thing that it may be used for, and when it ends."
        elif len([one for one in server.directory.tokens.all(session.principal) if one.kind == "app-password"]) >= MOST:
            told = f"There are {MOST} app passwords already. Remove some first."
        else:
            ends = None if days[1] is None else int(time.time()) + days[1] * 86400
            with recorded(server, session, MADE, kind="app-password", name=name, scopes=sorted(scopes)):
                token, secret = server.directory.tokens.create(
                    session.principal, name, ends, kind="app-password", scopes=scopes
                )
            # Shown in the answer itself, as recovery codes are.
            return page("apppassword.html", made=token, secret=secret, ends=ends)
        return listing(422, name=name[:LONGEST_NAME], chosen=scopes, lasting=form.get("days", ""), error=told)

    lead(blueprint, f"{PASSWORDS}/remove", PASSWORDS)

    @blueprint.post(f"{PASSWORDS}/remove", **plain)
    def remove_app_password() -> Response:
        now = visit()
        session = now.managing()
        id = now.form().get("id", "")
        held = [token.id for token in server.directory.tokens.all(session.principal) if token.kind == "app-password"]
        # What is gone already was ended by somebody else.
        with suppress(UnknownName):
            if id in held:
                with recorded(server, session, ENDED, kind="app-password", id=id):
                    server.directory.tokens.revoke(id)
        return go(f"{PASSWORDS}?done=app-password")
