"""Mail archives on disk: mbox files, Maildirs, folders of messages and tar archives, read as a stream of messages."""

from flaskmail.formats.archives.found import Found, Skipped
from flaskmail.formats.archives.walk import read_path, size_of

__all__ = ["Found", "Skipped", "read_path", "size_of"]
