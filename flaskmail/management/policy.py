"""What the HTTP policy does with a request, and why: the questions of ``flaskmail policy explain`` over the API."""

from __future__ import annotations

import re
from typing import Annotated, Any

from msgspec import Meta

from flaskmail.management.operation import Call, Members, Resource
from flaskmail.management.refusals import invalid, not_found
from flaskmail.management.shapes import PORT, V6

resource = Resource("policy", "What the HTTP policy does with a request, and why.")


URL = rf"^(/|https?://([A-Za-z0-9.-]+|\[({V6})\])(:{PORT})?(/|$))[!-\[\]-~]*$"
"""How a question's URL has to look: a path, or http(s) with a host and nothing of a user."""
HEADER = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+:[ -~]*$"
"""How a header line has to look (RFC 9110 section 5.1)."""
PEER = {"anyOf": [{"format": "ipv4"}, {"format": "ipv6"}, {"const": "unix"}]}
"""Who may connect, as JSON Schema says it."""


class Asked(Members):
    """A request to be explained; none is made, nothing is counted."""

    url: Annotated[
        str,
        # Told here and checked below, in a sentence that people understand; so are the lines of the header.
        Meta(
            max_length=8000,
            description="What the server is asked for, or a path alone.",
            extra_json_schema={"pattern": URL},
        ),
    ]
    method: Annotated[str, Meta(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,40}$")] = "GET"
    peer: Annotated[str, Meta(max_length=64, description="Who connects.", extra_json_schema=PEER)] | None = None
    headers: Annotated[
        list[Annotated[str, Meta(max_length=8000, extra_json_schema={"pattern": HEADER})]], Meta(max_length=100)
    ] = []
    origin: Annotated[str, Meta(max_length=2000)] | None = None
    listener: Annotated[str, Meta(max_length=32)] | None = None


@resource.operation(
    "POST",
    "/policy/explain",
    "policy.explain",
    permissions=("policy-explain",),
    body=Asked,
    answer=dict[str, Any],
    refuses={404: "There is no listener of that name."},
    changes=False,
    example={"url": "/jmap/session", "peer": "127.0.0.1", "headers": ["X-Forwarded-For: 203.0.113.9"]},
)
def explained(call: Call, body: Asked) -> dict[str, Any]:
    """Say what the policy does with a request, and why.

    docs/explain.md describes the answer."""
    # The policy brings Flask along, for which the commands that come this way need not wait.
    from flaskmail.policy.explaining import explain
    from flaskmail.policy.plan import of_settings
    from flaskmail.policy.question import BadQuestion, Question, asked

    if not re.fullmatch(URL, body.url):
        raise invalid("url", "a path, or an http(s) URL, is wanted, such as /jmap/session", repr(body.url[:80]))
    for number, line in enumerate(body.headers):
        if not re.fullmatch(HEADER, line):
            raise invalid(f"headers[{number}]", "a line such as 'X-Forwarded-For: 192.0.2.1' is wanted")
    settings = call.server.settings
    question = Question(body.url, body.method, body.peer, tuple(body.headers), body.origin, body.listener)
    try:
        environ, notes = asked(question, settings)
    except BadQuestion as error:
        if error.member == "listener":
            raise not_found("listener", str(body.listener)) from None
        raise invalid(error.member, error.expected) from None
    found = explain(of_settings(settings, call.server), environ, settings)
    return found.as_data() | {"notes": notes}
