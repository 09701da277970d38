"""What clients do wrong below HTTP, under gunicorn: refused in the words, and with the header fields, of every other response."""

from __future__ import annotations

import ssl
from typing import Any

from gunicorn import util
from gunicorn.http import body, message, wsgi
from gunicorn.http.errors import NoMoreData, ParseException
from werkzeug.exceptions import BadRequest

from flaskmail.policy.answers import problem

_WHY = {
    400: "This is not a request of HTTP/1.1 as RFC 9112 describes it.",
    403: "This connection is not accepted.",
    414: "The request line is longer than this server allows.",
    417: "This server does nothing of what the Expect header asks for.",
    431: "The header fields of the request are more, or longer, than this server allows.",
    501: "This server does not know this transfer coding.",
}


class Unreadable(BadRequest, NoMoreData):  # type: ignore[misc]
    """The rest of a request's body is garbled, or does not come. Applications answer 400; for gunicorn, which reads what they
    leave unread, the client is gone."""


class Body(body.Body):  # type: ignore[misc]
    """gunicorn's body of a request, whose faults are the client's: no application has to know what gunicorn raises."""

    def _read_reader(self, size: int) -> bytes:
        try:
            octets: bytes = super()._read_reader(size)
        except ParseException:
            # RFC 9112 section 7.1.
            raise Unreadable("The body is not in chunks as its Transfer-Encoding says.") from None
        except (NoMoreData, ConnectionError):
            raise Unreadable("The connection ended before the body did.") from None
        return octets


def install(policy: Any) -> None:
    """Lets the worker of this process answer what it cannot read as the application would. policy: the HttpPolicy of the
    application, None when it has none; then gunicorn's own answers stay."""
    message.Body = Body
    if policy is None:
        return

    def write_error(sock: Any, status: int, reason: str, mesg: str) -> None:
        # What gunicorn has to say repeats the client's words; the log has it.
        answer = problem(status, _WHY.get(status, "An error of the server's. Its log knows more."))
        fields = [
            ("Server", wsgi.SERVER),
            ("Date", util.http_date()),
            ("Connection", "close"),
            ("Content-Length", str(len(answer.body))),
        ]
        out = policy.policy.unread(isinstance(sock, ssl.SSLSocket))
        # A configured name is in wsgi.SERVER already.
        fields += (pair for pair in out.merged(answer.headers) if pair[0].lower() != "server")
        head = "".join(f"{name}: {value}\r\n" for name, value in fields)
        util.write_nonblock(sock, f"HTTP/1.1 {answer.line}\r\n{head}\r\n".encode("latin-1") + answer.body)

    util.write_error = write_error
