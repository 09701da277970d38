from __future__ import annotations

import pytest

from flaskmail.oauth.redirects import is_loopback_url, is_registered, mistake, with_parameters

BASE = "https://client.example.org/cb"
LOOP = "http://127.0.0.1/cb"

MUTANTS = [
    BASE + "/",
    BASE + "?",
    BASE + "#",
    BASE + "#x",
    BASE + "?x=1",
    BASE + "%2f",
    BASE + "%00",
    BASE + "%0d%0aLocation:%20https://evil.example",
    BASE + "/../evil",
    BASE + "/%2e%2e/evil",
    BASE + "/%2f..",
    BASE + ".evil",
    BASE + " ",
    " " + BASE,
    BASE + "\n",
    BASE + "\t",
    BASE + "\\",
    BASE + ";x",
    BASE + "é",
    BASE.upper(),
    BASE.replace("/cb", "/CB"),
    BASE.replace("/cb", "//cb"),
    BASE.replace("/cb", ""),
    BASE.replace("/cb", "/"),
    BASE.replace("client", "Client"),
    BASE.replace("https", "HTTPS"),
    BASE.replace("https", "http"),
    BASE.replace("https:", ""),
    BASE.replace("https://", "https:"),
    BASE.replace("https://", "https:///"),
    BASE.replace("https://", "https:\\\\"),
    BASE.replace("https://", "https://evil.example/"),
    BASE.replace("https://", "https://evil.example@"),
    BASE.replace("https://", "https://client.example.org@evil.example/"),
    BASE.replace("example.org", "example.org:443"),
    BASE.replace("example.org", "example.org:8443"),
    BASE.replace("example.org", "example.org."),
    BASE.replace("example.org", "example.org.evil.example"),
    BASE.replace("client.", "evil.client."),
    BASE.replace("client.", ""),
    BASE.replace("e", "е", 1),
    BASE.replace("https", "javascript"),
    f"javascript:alert(1)//{BASE}",
    f"data:text/html,{BASE}",
    f"{BASE},{BASE}",
]


def test_there_are_enough_mutants():
    assert len(set(MUTANTS)) >= 40
    assert BASE not in MUTANTS


@pytest.mark.parametrize("mutant", MUTANTS, ids=ascii)
def test_nothing_but_the_registered_string_is_registered(mutant):
    for native in (False, True):
        assert is_registered(BASE, [BASE], native)
        assert not is_registered(mutant, [BASE], native)


@pytest.mark.parametrize("port", ["", ":1", ":49152", ":65535"])
def test_the_port_of_a_loopback_uri_is_free_for_native_applications(port):
    assert is_registered(f"http://127.0.0.1{port}/cb", ["http://127.0.0.1:8000/cb"], True)
    assert is_registered(f"http://[::1]{port}/cb", ["http://[::1]/cb"], True)
    assert is_registered(f"http://localhost{port}/cb", ["http://localhost/cb"], True)
    assert is_registered(f"http://127.0.0.1{port}", ["http://127.0.0.1"], True)
    assert not is_registered(f"http://127.0.0.1{port}/cb", ["http://127.0.0.1:8000/cb"], False)


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:0/cb",
        "http://127.0.0.1:65536/cb",
        "http://127.0.0.1:080/cb",
        "http://127.0.0.1:/cb",
        "http://127.0.0.1:80@evil.example/cb",
        "http://127.0.0.1:8000/cb/",
        "http://127.0.0.1:8000/cb?x",
        "http://127.0.0.1:8000/cb#x",
        "http://127.0.0.1.evil.example:8000/cb",
        "http://127.1:8000/cb",
        "http://127.0.0.2:8000/cb",
        "http://0x7f000001:8000/cb",
        "http://[::1]:8000/cb",
        "http://localhost:8000/cb",
        "https://127.0.0.1:8000/cb",
        "http://127.0.0.1:8000\\@evil.example/cb",
        "http://127.0.0.1:8000\n/cb",
    ],
    ids=ascii,
)
def test_nothing_but_the_port_is_free(uri):
    assert not is_registered(uri, [LOOP], True)


@pytest.mark.parametrize(
    ("uri", "native"),
    [
        (BASE, False),
        (BASE + "?a=b&c=%20", False),
        ("https://client.example.org:8443/", False),
        ("https://192.0.2.1/cb", False),
        ("https://[2001:db8::1]:8443/cb", False),
        (LOOP, True),
        ("http://[::1]:8000/cb", True),
        ("http://localhost:3000/", True),
        ("com.example.app:/cb", True),
        ("net.thunderbird.android://oauth2redirect", True),
    ],
)
def test_what_may_be_registered(uri, native):
    assert mistake(uri, native) is None


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "/cb",
        "//client.example.org/cb",
        "client.example.org/cb",
        "https:",
        "https:///cb",
        "https:/client.example.org/cb",
        "HTTPS://client.example.org/cb",
        "https://client.example.org/cb#",
        "https://client.example.org/cb#x",
        "https://user@client.example.org/cb",
        "https://user:pw@client.example.org/cb",
        "https://client.example.org:0/cb",
        "https://client.example.org:/cb",
        "https://client.example.org:99999/cb",
        "https://client.example.org:x/cb",
        "https://-client.example.org/cb",
        "https://cli_ent.example.org/cb",
        "https://*.example.org/cb",
        "https://client.example.org/a b",
        "https://client.example.org/%zz",
        "https://client.example.org/\\x",
        "https://client.exämple.org/cb",
        "https://client.example.org/" + "x" * 2000,
        "http://client.example.org/cb",
        "http://127.0.0.1.nip.example/cb",
        "http://192.0.2.1/cb",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "blob:https://client.example.org/x",
        "about:blank",
        "mailto:a@example.org",
        "app:/cb",
        "urn:ietf:wg:oauth:2.0:oob",
        "https://[::1/cb",
        "https://[zz]/cb",
    ],
    ids=ascii,
)
def test_what_may_not_be_registered(uri):
    assert mistake(uri, True) is not None
    assert mistake(uri, False) is not None


@pytest.mark.parametrize("uri", [LOOP, "http://localhost/cb", "com.example.app:/cb"])
def test_what_only_native_applications_may_register(uri):
    assert mistake(uri, False) is not None


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (BASE, BASE + "?code=a%2Fb&iss=https%3A%2F%2Fm"),
        (BASE + "?", BASE + "?code=a%2Fb&iss=https%3A%2F%2Fm"),
        (BASE + "?x=%41+b", BASE + "?x=%41+b&code=a%2Fb&iss=https%3A%2F%2Fm"),
        ("com.example.app:/cb", "com.example.app:/cb?code=a%2Fb&iss=https%3A%2F%2Fm"),
    ],
)
def test_parameters_are_added_and_the_rest_stays_as_it_is(uri, expected):
    assert with_parameters(uri, {"code": "a/b", "iss": "https://m"}) == expected


def test_an_answer_cannot_break_the_line():
    assert "\n" not in with_parameters(BASE, {"state": "a\r\nLocation: https://evil.example"})


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost:8080", True),
        ("http://mail.localhost", True),
        ("http://127.0.0.1", True),
        ("http://[::1]:80", True),
        ("http://127.0.0.1.example.org", False),
        ("http://mail.example.org", False),
        ("http://192.168.0.1", False),
    ],
)
def test_what_leads_to_this_machine(url, expected):
    assert is_loopback_url(url) is expected
