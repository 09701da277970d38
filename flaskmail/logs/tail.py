"""The log as it is written: an event stream (``text/event-stream`` of the HTML standard)."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from flaskmail import ending
from flaskmail.logs.events import Event
from flaskmail.logs.files import LogFile, files
from flaskmail.logs.search import LONGEST, Wanted

PAUSE = 0.5
"""Seconds between two looks at the files."""
HEARTBEAT = 15.0
"""Seconds of silence after which a comment is sent, so that proxies keep the connection and a client that is gone is noticed."""
LENGTH = 600.0
"""Seconds after which a stream ends; clients come back by themselves."""
PIECE = 256 * 1024


class Tail:
    """What is appended to the log from now on."""

    def __init__(self, folder: Path, wanted: Wanted) -> None:
        self._folder, self._test = folder, wanted.test()
        self._is: LogFile | None = max(files(folder), default=None)
        self._position = 0 if self._is is None else self._size(self._is)
        self._rest = b""

    def _size(self, one: LogFile) -> int:
        try:
            return (self._folder / one.name).stat().st_size
        except OSError:
            return 0

    def new(self) -> list[Event]:
        """The events that are wanted and have come since the last call."""
        found = self._read()
        if not found:
            # A file that has a successor is not appended to; what came last was read just now.
            later = [one for one in files(self._folder) if self._is is None or one > self._is]
            if later:
                found = self._read()
                self._is, self._position, self._rest = later[0], 0, b""
                found += self._read()
        lines = (self._rest + found).split(b"\n")
        self._rest = lines.pop()[-LONGEST:]
        return [event for one in lines if one and (event := self._test(one)) is not None]

    def _read(self) -> bytes:
        if self._is is None:
            return b""
        try:
            file = os.open(self._folder / self._is.name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return b""
        try:
            octets = os.pread(file, PIECE, self._position)
        except OSError:
            return b""
        finally:
            os.close(file)
        self._position += len(octets)
        return octets


class Streams:
    """How many streams a process has open at once."""

    def __init__(self) -> None:
        self._lock, self._open = threading.Lock(), 0

    def take(self, most: int) -> bool:
        """Takes a place; whether one of ``most`` was free. Each has to be given back."""
        with self._lock:
            if self._open >= most:
                return False
            self._open += 1
            return True

    def give_back(self) -> None:
        """Gives a place back."""
        with self._lock:
            self._open -= 1


class LiveLog:
    """The octets of an event stream with what is wanted of the log: each event with the name ``log`` and JSON as its data.

    allowed: asked every few seconds whether whoever listens still may. closed: called once when the stream is over, also when
    nothing was ever read of it. shown: event -> what is sent as JSON. seconds, heartbeat, pause: see LENGTH, HEARTBEAT and
    PAUSE."""

    def __init__(
        self,
        folder: Path,
        wanted: Wanted,
        *,
        allowed: Callable[[], bool],
        closed: Callable[[], None],
        shown: Callable[[Event], object] = lambda event: event,
        seconds: float = LENGTH,
        heartbeat: float = HEARTBEAT,
        pause: float = PAUSE,
    ) -> None:
        self._closed: Callable[[], None] | None = closed
        self._pieces = self._made(Tail(folder, wanted), allowed, shown, seconds, heartbeat, pause)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._pieces)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Ends the stream; the WSGI server calls it."""
        closed, self._closed = self._closed, None
        if closed is not None:
            closed()

    def __del__(self) -> None:
        self.close()

    @staticmethod
    def _made(
        tail: Tail,
        allowed: Callable[[], bool],
        shown: Callable[[Event], object],
        seconds: float,
        heartbeat: float,
        pause: float,
    ) -> Iterator[bytes]:
        encoder = msgspec.json.Encoder()
        began = told = asked = time.monotonic()
        # Says at once that the stream is there, and how long to wait before it is opened again (milliseconds).
        yield b"retry: 3000\n\n"
        while (now := time.monotonic()) - began < seconds and not ending.is_near():
            if now - asked >= 2:
                asked = now
                if not allowed():
                    return
            found = tail.new()
            if found:
                told = now
                # Data must not hold a line end, and JSON as msgspec writes it has none.
                yield b"".join(b"event: log\ndata: " + encoder.encode(shown(one)) + b"\n\n" for one in found)
                continue
            if now - told >= heartbeat:
                told = now
                yield b":\n\n"
            time.sleep(pause)
