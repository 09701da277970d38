"""The parameters of a request to an OAuth endpoint (RFC 6749 section 3.1, 3.2 and appendix B)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from flaskmail.oauth.errors import OAuthError, invalid_request

MAX_FORM = 16 * 1024
"""Octets of a form at most."""
MAX_FIELDS = 64
"""Parameters of a request at most."""

_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,64}")

Parameters = Mapping[str, str]
"""Each parameter once; those that were sent empty are not there."""


def parse_parameters(encoded: bytes) -> dict[str, str]:
    """The parameters of a query or a form (``application/x-www-form-urlencoded`` in UTF-8).

    Raises OAuthError ``invalid_request`` when one is repeated, and for what is no such text."""
    found, wrong = separate_parameters(encoded)
    if wrong:
        raise next(iter(wrong.values()))
    return found


def separate_parameters(encoded: bytes) -> tuple[dict[str, str], dict[str, OAuthError]]:
    """(the parameters that are right, what is wrong with each of the others), for whoever can say it to the client only when some
    of them are right. Raises OAuthError ``invalid_request`` for what is no such text."""
    if len(encoded) > MAX_FORM:
        raise invalid_request(f"The parameters are longer than {MAX_FORM} octets.")
    try:
        pairs = parse_qsl(
            encoded.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS, separator="&"
        )
    except ValueError:
        # UnicodeDecodeError is one too.
        raise invalid_request("The parameters are not form-urlencoded UTF-8 text, or there are too many.") from None
    found: dict[str, str] = {}
    wrong: dict[str, OAuthError] = {}
    for name, value in pairs:
        if name in found:
            # RFC 6749 section 3.1: parameters MUST NOT be included more than once.
            named = name if _NAME.fullmatch(name) else "A parameter"
            wrong[name] = invalid_request(f"{named} was sent more than once.")
        elif "\0" in value:
            wrong[name] = invalid_request("A parameter holds a NUL character.")
        found[name] = value
    # RFC 6749 section 3.1: what is sent without a value counts as omitted.
    return {name: value for name, value in found.items() if value and name not in wrong}, wrong


def required(parameters: Parameters, name: str) -> str:
    """A parameter's value. Raises OAuthError ``invalid_request`` when it is not there."""
    try:
        return parameters[name]
    except KeyError:
        raise invalid_request(f"The parameter {name} is missing.") from None
