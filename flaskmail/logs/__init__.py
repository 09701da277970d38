"""The server's log: events, one JSON object in a line each, in files that all workers write and everybody may search."""

from flaskmail.logs.events import LEVELS, Event
from flaskmail.logs.handler import Handler
from flaskmail.logs.search import Found, Wanted, search
from flaskmail.logs.tail import LiveLog, Streams, Tail
from flaskmail.logs.writer import Writer

__all__ = ["LEVELS", "Event", "Found", "Handler", "LiveLog", "Streams", "Tail", "Wanted", "Writer", "search"]
