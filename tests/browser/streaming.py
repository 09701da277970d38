"""The server with views of its own for a page to read: a stream of events, and header fields of every kind."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from flask import Response

from flaskmail.app import create_app

app = create_app()
more = threading.Event()


@app.get("/test/events")
def events() -> Response:
    """Two events; the second one when ``/test/more`` was asked for."""

    def lines() -> Iterator[str]:
        more.clear()
        yield "id: 1\ndata: first\n\n"
        yield f"id: 2\ndata: {'second' if more.wait(60) else 'late'}\n\n"

    return Response(lines(), content_type="text/event-stream")


@app.post("/test/more")
def send_more() -> str:
    """Lets the second event go."""
    more.set()
    return "sent"


@app.get("/test/fields")
def fields() -> Response:
    """A response with fields that pages have to read, and one that is not for them."""
    return Response("x", 429, {"ETag": '"1"', "Location": "/there", "Retry-After": "7", "X-Inside": "secret"})


@app.get("/test/page")
def page() -> Response:
    """A page of this server's own origin."""
    return Response("<!doctype html><title>own</title><link rel=icon href=data:,>", content_type="text/html")
