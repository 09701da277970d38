"""Proof Key for Code Exchange (RFC 7636): S256, always."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

from flaskmail.oauth.errors import invalid_request
from flaskmail.oauth.parameters import Parameters

METHODS = ("S256",)
"""What ``code_challenge_method`` may be."""

# RFC 7636 section 4.1: 43 to 128 unreserved characters.
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
# RFC 7636 section 4.2: base64url of a SHA-256 hash, without padding; of the last character two bits are unused.
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")


def read_challenge(parameters: Parameters) -> str:
    """The challenge of an authorization request. Raises OAuthError ``invalid_request`` when there is none, or not S256."""
    challenge = parameters.get("code_challenge")
    if challenge is None:
        # RFC 9700 section 2.1.1 asks for PKCE from every client; RFC 7636 section 4.4.1 names the error.
        raise invalid_request("The parameter code_challenge is missing: PKCE with S256 is required.")
    # RFC 7636 section 4.3: plain is what a missing method means.
    if parameters.get("code_challenge_method", "plain") not in METHODS:
        raise invalid_request("The code_challenge_method has to be S256.")
    if not _CHALLENGE.fullmatch(challenge):
        raise invalid_request("The code_challenge is not base64url of a SHA-256 hash.")
    return challenge


def challenge_of(verifier: str) -> str:
    """The S256 challenge of a verifier (RFC 7636 section 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest()).rstrip(b"=").decode()


def verifies(verifier: str | None, challenge: str) -> bool:
    """Whether the verifier is well-formed and the one that the challenge was made of."""
    if verifier is None or not _VERIFIER.fullmatch(verifier):
        return False
    return hmac.compare_digest(challenge_of(verifier), challenge)
