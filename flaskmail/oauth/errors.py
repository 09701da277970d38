"""The refusal of an OAuth endpoint, as the client reads it."""

from __future__ import annotations

from collections.abc import Mapping

from flaskmail.errors import FlaskmailError


class OAuthError(FlaskmailError):
    """An endpoint refuses (RFC 6749 section 5.2, RFC 8628 section 3.5, RFC 7591 section 3.2.2).

    error: the standard's code; description: a sentence for the developer of the client, printable ASCII without quotation marks
    and backslashes (RFC 6749 section 5.2); status: of HTTP; headers: that belong to the refusal.
    """

    def __init__(
        self, error: str, description: str, *, status: int = 400, headers: Mapping[str, str] | None = None
    ) -> None:
        self.error, self.description, self.status, self.headers = error, description, status, dict(headers or {})
        super().__init__(f"{error}: {description}")

    def wire(self) -> dict[str, str]:
        """The members of the response's JSON object."""
        return {"error": self.error, "error_description": self.description}


def invalid_request(description: str) -> OAuthError:
    """A parameter is missing, repeated, or malformed."""
    return OAuthError("invalid_request", description)


def invalid_grant(description: str) -> OAuthError:
    """A code or token that is wrong, over, used, or somebody else's; which of them is not told."""
    return OAuthError("invalid_grant", description)


def invalid_client(description: str, *, basic: bool = False) -> OAuthError:
    """The client is not who it says. basic: it tried HTTP Basic."""
    if not basic:
        # A 401 needs a challenge (RFC 9110 section 15.5.2), which makes browsers ask for a password.
        return OAuthError("invalid_client", description)
    # RFC 6749 section 5.2: then the status is 401, with a challenge for the scheme that was used.
    headers = {"WWW-Authenticate": 'Basic realm="flaskmail", charset="UTF-8"'}
    return OAuthError("invalid_client", description, status=401, headers=headers)
