"""``/account/second-factor``: codes by the clock, and recovery codes."""

from __future__ import annotations

from io import BytesIO

from flask import Blueprint, Response
from markupsafe import Markup

from flaskmail.accounts.faults import DirectoryError
from flaskmail.accounts.totp import Enrolment, WrongCode
from flaskmail.accounts.websessions import WebSession
from flaskmail.errors import RequestError
from flaskmail.server import Server
from flaskmail.web.pages.account import notice
from flaskmail.web.pages.frame import page, wait_sentence, waiting, wrong_code
from flaskmail.web.pages.recording import AUTH, recorded
from flaskmail.web.pages.visits import Visit, go, lead, visit

PATH = "/account/second-factor"


def qr_code(text: str) -> Markup:
    """A QR code (ISO/IEC 18004) as an SVG element, dark on light whatever the page's colours are: cameras want it so."""
    import segno

    out = BytesIO()
    segno.make(text, error="m", micro=False).save(
        out,
        kind="svg",
        xmldecl=False,
        svgns=False,
        omitsize=True,
        border=4,
        dark="#000",
        light="#fff",
        svgclass="qr",
        lineclass=None,
        nl=False,
    )
    svg = out.getvalue().decode()
    return Markup(svg.replace("<svg ", '<svg role="img" aria-label="QR code of the set-up key" ', 1))


def grouped(secret: str) -> str:
    """A base32 secret in groups of four, as people copy it."""
    return " ".join(secret[start : start + 4] for start in range(0, len(secret), 4))


def add(blueprint: Blueprint, server: Server) -> None:
    """Adds the pages."""
    plain = {"strict_slashes": False, "merge_slashes": False}

    def enrolment(now: Visit, session: WebSession) -> Enrolment | None:
        return server.directory.second_factors.enrolment(session.principal, now.host)

    def enrolling(found: Enrolment, status: int = 200, error: str = "") -> Response:
        return page(
            "enrol.html", status, qr=qr_code(found.uri), secret=grouped(found.secret), uri=found.uri, error=error
        )

    @blueprint.get(PATH, **plain)
    def second_factor() -> Response:
        session = visit().signed_in()
        return _overview(session)

    def _overview(session: WebSession, status: int = 200, **errors: str) -> Response:
        factor = server.directory.second_factors.get(session.principal.id)
        return page("secondfactor.html", status, factor=factor, notice=notice(), errors=errors)

    @blueprint.post(f"{PATH}/enrol", **plain)
    def enrol_factor() -> Response:
        now = visit()
        now.form()
        session = now.confirmed(PATH)
        try:
            server.directory.second_factors.enrol(session.principal)
        except DirectoryError:
            return go(PATH)
        return go(f"{PATH}/enrol")

    @blueprint.get(f"{PATH}/enrol", **plain)
    def enrolling_factor() -> Response:
        now = visit()
        # The page shows a secret.
        session = now.confirmed(PATH)
        found = enrolment(now, session)
        return go(PATH) if found is None else enrolling(found)

    lead(blueprint, f"{PATH}/confirm", f"{PATH}/enrol")
    lead(blueprint, f"{PATH}/recovery-codes", PATH)
    lead(blueprint, f"{PATH}/remove", PATH)

    @blueprint.post(f"{PATH}/confirm", **plain)
    def confirm_factor() -> Response:
        now = visit()
        form, session = now.form(), now.confirmed(PATH)
        found = enrolment(now, session)
        if found is None:
            return go(PATH)
        try:
            with recorded(server, session, AUTH, type="confirmOtpAuth"):
                codes = server.directory.second_factors.confirm(session.principal, form.get("code", ""))
        except WrongCode as error:
            return wrong_code(error, lambda told, status: enrolling(found, status, told))
        server.directory.web_sessions.end_others(session.principal, session.id)
        server.tell("account.changed", account=session.principal.name, id=session.principal.id)
        # They are shown in the answer itself: an address to go on to would have to find them somewhere.
        return page("recovery.html", codes=codes, first=True)

    @blueprint.post(f"{PATH}/recovery-codes", **plain)
    def renew_codes() -> Response:
        now = visit()
        now.form()
        session = now.confirmed(PATH)
        try:
            with recorded(server, session, AUTH, type="renewRecoveryCodes"):
                codes = server.directory.second_factors.renew_recovery_codes(session.principal)
        except DirectoryError:
            return go(PATH)
        return page("recovery.html", codes=codes, first=False)

    @blueprint.post(f"{PATH}/remove", **plain)
    def remove_factor() -> Response:
        now = visit()
        form, session = now.form(), now.managing()
        if not server.directory.second_factors.has_second_factor(session.principal.id):
            return go(PATH)
        try:
            secret = now.check(session.principal.name, form.get("password", ""))
        except RequestError as error:
            if error.status != 429:
                raise
            return waiting(_overview(session, 429, password=wait_sentence(error)), error)
        if secret is None:
            return _overview(session, 422, password="This is not your password.")
        try:
            server.directory.second_factors.check(session.principal, form.get("code", ""))
        except WrongCode as error:
            return wrong_code(error, lambda told, status: _overview(session, status, code=told))
        with recorded(server, session, AUTH, type="disableOtpAuth"):
            server.directory.second_factors.remove(session.principal)
        server.tell("account.changed", account=session.principal.name, id=session.principal.id)
        return go(f"{PATH}?done=second-factor")
