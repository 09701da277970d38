"""``/device``: a device without a keyboard shows a code, and its user types it here (RFC 8628 section 3.3)."""

from __future__ import annotations

from flask import Blueprint, Response, request

from flaskmail.accounts.faults import UnknownName
from flaskmail.errors import RequestError
from flaskmail.oauthservice import Device
from flaskmail.server import Server
from flaskmail.web.pages.frame import page, wait_sentence, waiting
from flaskmail.web.pages.recording import MADE, recorded
from flaskmail.web.pages.visits import Visit, lead, visit

PATH = "/device"
UNKNOWN = "No device waits with this code. Codes are good for a short while: look at the device again."
LONGEST = 40


def add(blueprint: Blueprint, server: Server) -> None:
    """Adds the pages."""
    plain = {"strict_slashes": False, "merge_slashes": False}

    def form(code: str, status: int = 200, error: str = "") -> Response:
        return page("device.html", status, code=code[:LONGEST], error=error)

    def look(now: Visit, code: str) -> Device | Response:
        # RFC 8628 section 5.1: a user code is short, so guesses are counted before they are looked at.
        principal = now.signed_in().principal
        try:
            server.directory.sign_in.guess("device", principal, now.address)
        except RequestError as error:
            return waiting(form(code, 429, wait_sentence(error)), error)
        found = server.oauth.device_request(code)
        if found is None:
            return form(code, 422, UNKNOWN)
        server.directory.sign_in.guessed("device", principal, now.address)
        return found

    @blueprint.get(PATH, **plain)
    def device() -> Response:
        visit().signed_in()
        # RFC 8628 section 3.3.1: a code in the address saves typing, not the question whether it is meant.
        return form(request.args.get("user_code", ""))

    @blueprint.post(PATH, **plain)
    def device_shown() -> Response:
        now = visit()
        code = now.form().get("user_code", "")
        found = look(now, code)
        if isinstance(found, Response):
            return found
        return page(
            "device_consent.html",
            device=found,
            scopes=server.oauth.sentences(found.scopes),
        )

    lead(blueprint, f"{PATH}/answer", PATH)

    @blueprint.post(f"{PATH}/answer", **plain)
    def device_answered() -> Response:
        now = visit()
        given = now.form()
        found = look(now, given.get("user_code", ""))
        if isinstance(found, Response):
            return found
        decision = given.get("decision")
        if decision not in ("allow", "deny"):
            raise RequestError(400, "The form does not say whether you allow it.")
        session = now.signed_in()
        try:
            if decision == "allow":
                with recorded(server, session, MADE, kind="oauth", client=found.client.id, scopes=list(found.scopes)):
                    in_time = server.oauth.approve_device(found, session.principal)
            else:
                in_time = server.oauth.deny_device(found)
        except UnknownName:
            raise RequestError(403, "The account was closed or changed meanwhile. Sign in again.") from None
        if not in_time:
            return form("", 422, UNKNOWN)
        return page("device_done.html", client=found.client, allowed=decision == "allow")
