"""``/account``: what somebody sees and changes of the own account."""

from __future__ import annotations

from flask import Blueprint, Response, request

from flaskmail.accounts.faults import BadPassword
from flaskmail.accounts.passwords import prepare
from flaskmail.accounts.strength import check_strength
from flaskmail.errors import RequestError
from flaskmail.server import Server
from flaskmail.web.pages.frame import page, wait_sentence, waiting
from flaskmail.web.pages.recording import AUTH, ENDED, recorded
from flaskmail.web.pages.visits import go, visit

_NOTICES = {
    "password": "Your password was changed. All other sessions were ended, and applications have to ask for access again.",
    "second-factor": "The second factor was removed. The password alone signs you in again.",
    "session": "The session was ended.",
    "sessions": "All other sessions were ended.",
    "application": "The application has no access any more.",
    "app-password": "The app password was removed.",
}


def notice() -> str:
    """The sentence that the address names, after something was done; "" for none."""
    return _NOTICES.get(request.args.get("done", ""), "")


def add(blueprint: Blueprint, server: Server) -> None:
    """Adds the overview and the pages of password and sessions."""
    plain = {"strict_slashes": False, "merge_slashes": False}

    @blueprint.get("/account", **plain)
    def overview() -> Response:
        now = visit()
        session = now.signed_in()
        return page(
            "account.html",
            notice=notice(),
            session=session,
            factor=server.directory.second_factors.get(session.principal.id),
            sessions=len(server.directory.web_sessions.all(session.principal, now.limits)),
        )

    @blueprint.get("/account/password", **plain)
    def password() -> Response:
        visit().signed_in()
        return _password_form()

    def _password_form(status: int = 200, **errors: str) -> Response:
        length = server.settings.authentication.password.min_length
        return page("password.html", status, length=length, errors=errors)

    @blueprint.post("/account/password", **plain)
    def change_password() -> Response:
        now = visit()
        session, form = now.managing(), now.form()
        chosen = form.get("new", "")
        if chosen != form.get("again", ""):
            return _password_form(422, again="This is not what stands in the field above.")
        try:
            check_strength(chosen, session.principal.name, server.settings.authentication.password.min_length)
            prepare(chosen)
        except BadPassword as error:
            return _password_form(422, new=f"{str(error)[0].upper()}{str(error)[1:]}.")
        try:
            secret = server.directory.sign_in.again(session.principal, form.get("old", ""), now.address)
        except RequestError as error:
            if error.status != 429:
                raise
            return waiting(_password_form(429, old=wait_sentence(error)), error)
        if secret is None:
            return _password_form(422, old="This is not your current password.")
        hashed = server.directory.passwords.hash(chosen)
        with recorded(server, session, AUTH, type="setPassword"):
            server.directory.principals.set_password(session.principal.name, hashed)
        # Every session ended with the old password; this browser's goes on under a new cookie.
        changed = server.directory.principals.secret_of(session.principal.id)
        if changed is None:
            raise RequestError(403, "The account is gone.")
        now.begin(changed, session.amr)
        server.tell("account.changed", account=session.principal.name, id=session.principal.id)
        return go("/account?done=password")

    @blueprint.get("/account/sessions", **plain)
    def sessions() -> Response:
        now = visit()
        session = now.signed_in()
        found = server.directory.web_sessions.all(session.principal, now.limits)
        return page("sessions.html", notice=notice(), sessions=found, present=session.id)

    @blueprint.post("/account/sessions", **plain)
    def end_sessions() -> Response:
        now = visit()
        session, form = now.managing(), now.form()
        if form.get("all") == "1":
            with recorded(server, session, ENDED, kind="session", id="all others"):
                server.directory.web_sessions.end_others(session.principal, session.id)
            return go("/account/sessions?done=sessions")
        if form.get("id") == session.id:
            now.end()
            return go("/login?done=signed-out")
        with recorded(server, session, ENDED, kind="session", id=form.get("id", "")[:40]):
            server.directory.web_sessions.end(session.principal, form.get("id", ""))
        return go("/account/sessions?done=session")
