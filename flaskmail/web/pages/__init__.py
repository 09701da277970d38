"""Pages for people: signing in and out, allowing applications and devices, one's own account. HTML without any script.

``pages_blueprint(server)`` belongs at the root of the host.
"""

from __future__ import annotations

from flask import Blueprint

from flaskmail.server import Server
from flaskmail.web.pages import access, account, assets, authorize, device, frame, secondfactor, signin
from flaskmail.web.pages.root import root_blueprint
from flaskmail.web.pages.visits import install


def pages_blueprint(server: Server) -> Blueprint:
    """``/login``, ``/logout``, ``/authorize``, ``/consent``, ``/device`` and ``/account``, for an application that has
    :func:`flaskmail.web.admission.install`."""
    blueprint = Blueprint("flaskmail-pages", __name__)
    install(blueprint, server)
    frame.install(blueprint, server)
    for module in (assets, signin, authorize, device, account, secondfactor, access):
        module.add(blueprint, server)
    return blueprint


__all__ = ["pages_blueprint", "root_blueprint"]
