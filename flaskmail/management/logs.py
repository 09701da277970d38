"""The server's log: searched, and followed as it is written."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from flaskmail.errors import RequestError
from flaskmail.logs import Event, LiveLog, Streams, Wanted, search
from flaskmail.management.audit import MOMENT, moment
from flaskmail.management.operation import Call, Octets, Paged, Query, Resource

resource = Resource("logs", "What the server has to say: messages of all its processes, newest first.")

PERMISSION = "logs-view"
MOST = 10_000
"""Events of a page of which no limit was asked for."""

_streams = Streams()

Level = Literal["TRACE", "DEBUG", "INFO", "WARN", "ERROR"]
Filter = Annotated[str, Meta(max_length=300, description="Stands in the sentence, the id or the details, in any case.")]
EventId = Annotated[str, Meta(max_length=100, description="This one, or those that begin with it and a dot.")]
Least = Annotated[Level, Meta(description="The least urgent level.")]


class LogQuery(Paged, kw_only=True):
    """Which events."""

    filter: Filter = ""
    level: Least = "TRACE"
    event_id: EventId = ""
    since: Annotated[str, Meta(description="From this date and time on.", extra_json_schema=MOMENT)] | None = None
    before: Annotated[str, Meta(description="Before this date and time.", extra_json_schema=MOMENT)] | None = None
    limit: Annotated[int, Meta(ge=0, le=MOST, description="Events of a page; 0 for all, as far as they fit.")] = 100


class LiveQuery(Query, kw_only=True):
    """Which events, and for how long."""

    filter: Filter = ""
    level: Least = "TRACE"
    event_id: EventId = ""
    seconds: Annotated[int, Meta(ge=1, le=600, description="After so long the stream ends.")] = 600


class LogEvent(Struct):
    """An event. timestamp: UTC; event: a sentence; event_id: what stays the same whatever the sentence says; details: ``name =
    value, …``; data: the same as JSON."""

    timestamp: str
    level: str
    event: str
    event_id: str
    details: str
    data: dict[str, Any]


class LogPage(Struct):
    """A page. total: events that were found; complete: whether the whole log was looked through, else there may be more."""

    items: list[LogEvent]
    total: int
    complete: bool


def _shown(event: Event) -> LogEvent:
    return LogEvent(event.timestamp, event.level, event.event, event.event_id, event.told(), event.details)


@resource.operation("GET", "/logs", "logs.list", permissions=(PERMISSION,), query=LogQuery, answer=LogPage)
def logs(call: Call, query: LogQuery) -> LogPage:
    """Search the log, newest first.

    A search reads 64 MB and takes two seconds at most; name a time to look further back."""
    settings = call.server.settings
    wanted = Wanted(
        text=query.filter,
        level=query.level,
        event_id=query.event_id,
        since=moment("since", query.since),
        until=moment("before", query.before),
    )
    found = search(
        settings.log.folder(settings.storage.path), wanted, page=max(1, query.page), limit=query.limit or MOST
    )
    return LogPage([_shown(event) for event in found.events], found.total, found.complete)


@resource.operation(
    "GET",
    "/logs/live",
    "logs.live",
    permissions=(PERMISSION,),
    query=LiveQuery,
    answer=Octets,
    media="text/event-stream",
    refuses={503: "As many streams are open as this process has threads for."},
)
def live(call: Call, query: LiveQuery) -> Octets:
    """Follow the log as an event stream.

    ``text/event-stream`` with an event ``log`` for each line, a comment every 15 seconds of silence, and an end after
    ``seconds``, or a few seconds after the permission or the credential ended."""
    server = call.server.settings.server
    # Each stream keeps a thread to itself for minutes.
    most = max(1, server.threads // 8) if server.worker_class == "gthread" else 0
    if not _streams.take(most):
        raise RequestError(
            503, f"This process has {most} streams open, and threads for no more.", headers={"Retry-After": "30"}
        )

    def allowed() -> bool:
        try:
            return call.asker is None or call.asker()[1].may(PERMISSION)
        except RequestError:
            return False

    settings = call.server.settings
    stream = LiveLog(
        settings.log.folder(settings.storage.path),
        Wanted(text=query.filter, level=query.level, event_id=query.event_id),
        allowed=allowed,
        closed=_streams.give_back,
        shown=_shown,
        seconds=query.seconds,
    )
    # A proxy that waits for more would keep what is to be seen now.
    return Octets(stream, "text/event-stream", (("X-Accel-Buffering", "no"),))
