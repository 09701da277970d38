"""Runs with ``pytest`` where flaskmail and the plugin are installed."""

import flaskmail_example_plugin as plugin

from flaskmail.testing import check_plugin, make_server


def test_what_is_said():
    assert plugin.greeting({}, "Bob") == "Hello, Bob!"
    assert plugin.greeting({"greeting": "Moin"}, "Bob") == "Moin, Bob!"


def test_page_and_method():
    config = "[plugins.example]\ngreeting = 'Moin'\nsupport = 'https://example.com/help'"
    with make_server(config=config, installed=True) as made:
        assert made.client.get("/hello").text == "Moin, world!"
        alice = made.account("alice@example.org")
        assert alice.call("Example/hello") == {"text": "Moin, alice@example.org!"}
        assert alice.session["capabilities"][plugin.CAPABILITY] == {"version": 1}
        assert alice.session["https://example.com/support"] == "https://example.com/help"


def test_the_function():
    config = "[server.http]\nallowed-endpoint = \"if_then(is_greeting('hello') && url_path == '/hello', 404, 200)\"\n"
    with make_server([plugin], config) as made:
        status = made.client.get("/hello", environ_overrides={"REMOTE_ADDR": "192.0.2.1"}).status_code
        assert status == 404


def test_it_is_a_good_neighbour():
    check_plugin(plugin)
