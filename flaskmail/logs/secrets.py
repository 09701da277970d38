"""What looks like a secret never gets into the log, whoever wrote it into a message by mistake."""

from __future__ import annotations

import re

HIDDEN = "(secret)"

_NAMES = (
    r"passw(?:or)?d|passphrase|secret|client_secret|private[-_ ]?key|access_token|refresh_token|id_token|device_code|user_code|"
    r"code_verifier|authorization|proxy-authorization|cookie|set-cookie|api[-_ ]?key|otp|csrf(?:_token)?|token"
)
_NAME = re.compile(rf"(?:.*[-_. ])?(?:{_NAMES})s?", re.IGNORECASE)
# RFC 9110 section 11.2: a scheme and its token68; what is a plain word is no secret.
_CREDENTIALS = re.compile(r"\b((?i:Basic|Bearer|DPoP))[ :=]+(?=[a-z]*[A-Z0-9._~+/-])[A-Za-z0-9._~+/-]{4,}=*")
_PREFIXED = re.compile(r"\b(fm[a-z]{1,3}_|api_)[A-Za-z0-9_+/=-]{12,}")
_ASSIGNED = re.compile(
    rf"""(?<![\w-])["']?((?:\w+[-_])?(?:{_NAMES}))["']?\s*[=:]\s*("[^"]*"|'[^']*'|[^\s,;&"'()<>]+)""", re.IGNORECASE
)
_JWT = re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL)
_MARKS = re.compile(r"basic|bearer|dpop|fm[a-z]{1,3}_|api_|[=:]|eyJ|-----BEGIN", re.IGNORECASE)


def is_secret(name: str) -> bool:
    """Whether what stands under this name is a secret."""
    return _NAME.fullmatch(name) is not None


def without_secrets(text: str) -> str:
    """The text, with ``(secret)`` in the place of credentials: HTTP's, tokens of this server, signed tokens, private keys,
    and what a name like ``password=`` announces."""
    if _MARKS.search(text) is None:
        return text
    text = _PEM.sub(HIDDEN, text)
    text = _CREDENTIALS.sub(rf"\1 {HIDDEN}", text)
    text = _PREFIXED.sub(rf"\1{HIDDEN}", text)
    text = _JWT.sub(HIDDEN, text)
    return _ASSIGNED.sub(_assigned, text)


def _assigned(match: re.Match[str]) -> str:
    # "found" begins what a report says of a setting; it is no value.
    plain = match[2] == "found" or match[2].startswith(("(secret", "Basic", "Bearer"))
    return match[0] if plain else f"{match[1]}={HIDDEN}"
