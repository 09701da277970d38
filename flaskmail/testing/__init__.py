"""For tests, ours and those of plugin authors: a whole server in this process, or a real one under gunicorn.

::

    from flaskmail.testing import check_plugin, make_server

    def test_notes():
        with make_server(plugins=[my_plugin]) as made:
            alice = made.account("alice@example.org")
            answer = alice.call("Note/set", create={"a": {"text": "milk"}})
            assert answer["created"]["a"]["id"]

    def test_it_is_a_good_neighbour():
        check_plugin(my_plugin)
"""

from flaskmail.testing.checking import check_plugin
from flaskmail.testing.servers import (
    PASSWORD,
    Jmap,
    LiveServer,
    MadeServer,
    Reply,
    Send,
    basic,
    live_server,
    make_server,
)

__all__ = [
    "PASSWORD",
    "Jmap",
    "LiveServer",
    "MadeServer",
    "Reply",
    "Send",
    "basic",
    "check_plugin",
    "live_server",
    "make_server",
]
