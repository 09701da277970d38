"""``/login`` and ``/logout``."""

from __future__ import annotations

from flask import Blueprint, Response, request

from flaskmail.accounts.principals import Secret
from flaskmail.accounts.signingin import LONGEST_NAME
from flaskmail.accounts.totp import WrongCode
from flaskmail.decisions.pages import local_path
from flaskmail.errors import RequestError
from flaskmail.server import Server
from flaskmail.web.pages.authorize import leads_to
from flaskmail.web.pages.frame import page, wait_sentence, waiting, wrong_code
from flaskmail.web.pages.visits import Visit, go, lead, sign_in_path, visit

WRONG = "The user name or the password is wrong, or the account is closed."
_SIGNED_OUT = "You are signed out."
PASSWORD, CODE = "pwd", "otp"
"""How somebody signed in (RFC 8176 section 2)."""


def _next(text: str | None) -> str:
    return local_path(text) or "/account"


def _form(now: Visit, target: str, status: int = 200, *, name: str = "", error: str = "", notice: str = "") -> Response:
    return page(
        "login.html",
        status,
        form_actions=leads_to(now, target),
        target=target,
        name=now.principal.name if now.principal is not None else name,
        fixed=now.principal is not None,
        error=error,
        notice=notice,
    )


def _code_form(now: Visit, target: str, status: int = 200, *, error: str = "") -> Response:
    assert now.session is not None
    return page(
        "code.html",
        status,
        form_actions=leads_to(now, target),
        target=target,
        name=now.session.principal.name,
        error=error,
    )


def refused(server: Server, name: str, address: str, status: int) -> None:
    """Tells plugins of a sign-in that failed. name: as it was typed; only an account's own is passed on, for people type
    passwords into the wrong field."""
    if server.is_observed:
        name = name.strip().lower()
        known = name if server.directory.principals.secret(name) is not None else None
        server.tell("authentication.failed", client=address or None, scheme="form", account=known, status=status)


def add(blueprint: Blueprint, server: Server) -> None:
    """Adds the pages."""
    plain = {"strict_slashes": False, "merge_slashes": False}

    @blueprint.get("/login", **plain)
    def login() -> Response:
        now, target = visit(), _next(request.args.get("next"))
        if now.session is not None and now.session.pending:
            return _code_form(now, target)
        if now.principal is not None and request.args.get("again") != "1":
            return go(target)
        hint = request.args.get("hint", "")[:LONGEST_NAME]
        return _form(now, target, name=hint, notice=_SIGNED_OUT if request.args.get("done") == "signed-out" else "")

    @blueprint.post("/login", **plain)
    def sign_in() -> Response:
        now = visit()
        form = now.form()
        target = _next(form.get("next"))
        # Whoever is signed in already confirms to be the same.
        name = now.principal.name if now.principal is not None else form.get("name", "")
        if not name.strip() or not form.get("password"):
            return _form(now, target, 422, name=name, error="Enter your user name and your password.")
        try:
            secret = now.check(name, form["password"])
        except RequestError as error:
            if error.status != 429:
                raise
            refused(server, name, now.address, 429)
            return waiting(_form(now, target, 429, name=name, error=wait_sentence(error)), error)
        if secret is None:
            refused(server, name, now.address, 401)
            return _form(now, target, 422, name=name, error=WRONG)
        return _let_in(now, secret, target)

    def _let_in(now: Visit, secret: Secret, target: str) -> Response:
        if server.directory.second_factors.has_second_factor(secret.principal.id):
            now.begin(secret, (PASSWORD,), pending=True)
            return go(sign_in_path(target))
        now.begin(secret, (PASSWORD,))
        return go(target)

    lead(blueprint, "/login/code", "/login")

    @blueprint.post("/login/code", **plain)
    def give_code() -> Response:
        now = visit()
        form = now.form()
        target = _next(form.get("next"))
        session = now.session
        if session is None or not session.pending:
            return go(sign_in_path(target))
        principal = session.principal
        secret = server.directory.principals.secret_of(principal.id)
        try:
            server.directory.second_factors.check(principal, form.get("code", ""))
        except WrongCode as error:
            refused(server, principal.name, now.address, 401)
            return wrong_code(error, lambda told, status: _code_form(now, target, status, error=told))
        if secret is None:
            raise RequestError(403, WRONG)
        now.begin(secret, (PASSWORD, CODE))
        return go(target)

    @blueprint.get("/logout", **plain)
    def ask() -> Response:
        return page("logout.html") if visit().principal is not None else go("/login")

    @blueprint.post("/logout", **plain)
    def sign_out() -> Response:
        now = visit()
        target = local_path(now.form().get("next"))
        now.end()
        return go("/login?done=signed-out" if target is None else sign_in_path(target))
