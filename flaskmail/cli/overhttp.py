"""A server at a URL, for commands: requests to its management API, and what is said when none comes through."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flaskmail.cli.common import Failed
from flaskmail.doctor.asking import Target

PATIENCE = 60.0
"""Seconds that a server at a URL may take to answer."""
_UNKNOWN_ISSUER = (18, 19, 20, 21)
"""OpenSSL's numbers for a certificate that is its own issuer, or whose issuer is not known."""
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "UNEXPECTED_EOF_WHILE_READING")
"""What OpenSSL calls it when the other side speaks something else."""


@dataclass(frozen=True, slots=True)
class AtUrl:
    """A server at a URL. authorization: the value of the header; credential: as Manager says."""

    target: Target
    authorization: str
    credential: str

    @property
    def where(self) -> str:
        """As Manager says."""
        return f"at {self.target.url}"

    def send(
        self, method: str, path: str, query: Mapping[str, str], body: Any, headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str], Iterable[bytes]]:
        """As Manager says."""
        octets = None if body is None else json.dumps(body).encode()
        sent = {"Authorization": self.authorization, "Accept": "application/json", **headers}
        if octets is not None:
            sent["Content-Type"] = "application/json"
        url = f"{self.target.prefix}/api{path}" + (f"?{urlencode(query)}" if query else "")
        connection = self._connection()
        try:
            with self._reached():
                connection.request(method, url, octets, sent)
                response = connection.getresponse()
        except BaseException:
            connection.close()
            raise
        return (
            response.status,
            {name.lower(): value for name, value in response.getheaders()},
            self._pieces(connection, response),
        )

    def _pieces(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> Iterator[bytes]:
        missing = response.length
        with closing(connection), self._reached():
            # What has come is handed on at once: the log is followed this way.
            while piece := response.read1(64 * 1024):
                if missing is not None:
                    missing -= len(piece)
                yield piece
        if missing:
            raise self._cut_short()

    def _cut_short(self) -> Failed:
        return Failed(f"the answer {self.where} was cut short")

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except ssl.SSLCertVerificationError as error:
            told = f"the certificate {self.where} is not right: {error.verify_message}"
            if error.verify_code in _UNKNOWN_ISSUER:
                told += ". If its CA is your own, name the file of the CA in SSL_CERT_FILE"
            raise Failed(told) from None
        except ssl.SSLError as error:
            told = "it speaks no TLS; does the URL begin with http://?" if error.reason in _NO_TLS else error.reason
            raise Failed(f"no connection {self.where}: {told}") from None
        except http.client.BadStatusLine as error:
            told = "it speaks no HTTP"
            if isinstance(error, http.client.RemoteDisconnected):
                told = "it closed the connection without an answer"
            raise Failed(f"no connection {self.where}: {told}") from None
        except http.client.IncompleteRead:
            raise self._cut_short() from None
        except (OSError, http.client.HTTPException) as error:
            reason = (
                error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
            )
            if isinstance(error, socket.gaierror):
                reason = f"there is no host {self.target.host}"
            raise Failed(f"nothing answers {self.where}: {reason}") from None

    def _connection(self) -> http.client.HTTPConnection:
        if self.target.scheme == "https":
            return http.client.HTTPSConnection(self.target.host, self.target.port, timeout=PATIENCE)
        return http.client.HTTPConnection(self.target.host, self.target.port, timeout=PATIENCE)
