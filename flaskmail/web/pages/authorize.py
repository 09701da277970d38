"""``/authorize`` and ``/consent``: an application asks for access, and its user answers."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from urllib.parse import urlsplit

from flask import Blueprint, Response, request

from flaskmail.accounts.faults import UnknownName
from flaskmail.decisions.pages import form_source
from flaskmail.errors import RequestError
from flaskmail.oauth.authorization import AuthorizationRequest, RedirectError, Refused
from flaskmail.server import Server
from flaskmail.web.pages.frame import error_page, page
from flaskmail.web.pages.recording import MADE, recorded
from flaskmail.web.pages.visits import Elsewhere, Visit, go, lead, leave_for, read_form, sign_in_path, visit

PATH = "/authorize"
LONGEST_QUERY = 3500
"""Octets of a request that comes as a form: it goes on as an address, and servers take no longer ones."""


def leads_to(now: Visit, target: str) -> Iterable[str]:
    """Where a form may end that leads to this path of ours: an authorization request can pass the browser on at once."""
    path, _, query = target.partition("?")
    if path != PATH and not path.startswith(f"{PATH}/"):
        return
    found = now.server.oauth.authorization_request(query.encode(), now.base)
    if not isinstance(found, Refused):
        source = form_source(found.url if isinstance(found, RedirectError) else found.redirect_uri)
        if source is not None:
            yield source


def destination(uri: str) -> str:
    """Where a redirection URI leads, for people: the host, or what stands for one."""
    parts = urlsplit(uri)
    if parts.scheme in ("http", "https"):
        return "this device" if parts.hostname in ("localhost", "127.0.0.1", "::1") else parts.netloc
    return f"the app {parts.scheme}"


def add(blueprint: Blueprint, server: Server) -> None:
    """Adds the pages."""
    plain = {"strict_slashes": False, "merge_slashes": False}

    def read(now: Visit, query: bytes) -> AuthorizationRequest | Response:
        found = server.oauth.authorization_request(query, now.base)
        if isinstance(found, Refused):
            # RFC 6749 section 4.1.2.1: MUST NOT redirect the user-agent to the invalid redirection URI.
            return error_page(found.status, found.description, "This application cannot be let in")
        if isinstance(found, RedirectError):
            if now.principal is None and not found.silent:
                # RFC 9700 section 4.11.2: MUST always authenticate the user first. Whoever has registered a client could
                # else lend our name to any address, by a request that is wrong.
                raise Elsewhere(sign_in_path(f"{PATH}?{query.decode()}"))
            return leave_for(found.url)
        return found

    def ask(since: int) -> Response:
        now = visit()
        asked = read(now, request.query_string)
        if isinstance(asked, Response):
            return asked
        step = server.oauth.next_step(asked, now.principal, since)
        if isinstance(step, RedirectError):
            return leave_for(step.url)
        if step == "login":
            raise _login(now, asked, since)
        if step == "approve":
            return leave_for(_approve(now, asked))
        source = form_source(asked.redirect_uri)
        return page(
            "consent.html",
            form_actions=() if source is None else (source,),
            client=asked.client,
            destination=destination(asked.redirect_uri),
            scopes=server.oauth.sentences(asked.scopes),
            query=asked.query,
            since=since,
        )

    def _login(now: Visit, asked: AuthorizationRequest, since: int) -> Elsewhere:
        again = now.principal is not None
        return Elsewhere(sign_in_path(f"{PATH}/{since}?{asked.query}", again=again, hint=asked.login_hint))

    def _approve(now: Visit, asked: AuthorizationRequest) -> str:
        session = now.signed_in()
        try:
            with recorded(server, session, MADE, kind="oauth", client=asked.client.id, scopes=list(asked.scopes)):
                return server.oauth.approve(asked, session.principal)
        except UnknownName:
            raise RequestError(403, "The account was closed or changed meanwhile. Sign in again.") from None

    @blueprint.get(PATH, **plain)
    def authorize() -> Response:
        return ask(int(time.time()))

    @blueprint.post(PATH, **plain)
    def authorize_posted() -> Response:
        # OpenID Connect Core section 3.1.2.1: POST MUST be supported. It does what the same request by GET does, but browsers
        # send no cookie along with a form of another site.
        if request.mimetype != "application/x-www-form-urlencoded":
            raise RequestError(415, "A request for authorization is application/x-www-form-urlencoded.")
        query = read_form(LONGEST_QUERY)
        if not re.fullmatch(rb"[!-~]*", query) or b"#" in query:
            raise RequestError(400, "The form cannot be read.")
        return go(f"{PATH}?{query.decode('ascii')}")

    @blueprint.get(f"{PATH}/<int:since>", **plain)
    def authorize_since(since: int) -> Response:
        # Whoever writes another time into the address could leave out as well what asks for a new sign-in.
        return ask(min(since, int(time.time())))

    lead(blueprint, "/consent", "/account")

    @blueprint.post("/consent", **plain)
    def consent() -> Response:
        now = visit()
        form = now.form()
        # Nothing is taken from the page but the request as it came: it is read and judged again.
        asked = read(now, form.get("request", "").encode("utf-8", "replace"))
        if isinstance(asked, Response):
            return asked
        since = form.get("since", "")
        began = int(since) if re.fullmatch(r"[0-9]{1,12}", since) else int(time.time())
        step = server.oauth.next_step(asked, now.principal, began)
        if isinstance(step, RedirectError):
            return leave_for(step.url)
        if step == "login":
            raise _login(now, asked, int(time.time()))
        decision = form.get("decision")
        if decision == "allow":
            return leave_for(_approve(now, asked))
        if decision == "deny":
            return leave_for(server.oauth.deny(asked))
        raise RequestError(400, "The form does not say whether you allow it.")
