"""The authorization server: the decisions of :mod:`flaskmail.oauth` joined with what :mod:`flaskmail.accounts` stores.

``Server.oauth`` is an :class:`OAuthService`. It has two sides: ``people`` is for pages, ``endpoints`` for machines.
"""

from flaskmail.oauthservice.endpoints import Endpoints, Incoming
from flaskmail.oauthservice.people import Device
from flaskmail.oauthservice.service import OAuthService

__all__ = ["Device", "Endpoints", "Incoming", "OAuthService"]
