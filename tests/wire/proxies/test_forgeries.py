"""Who the client is, and by which URL it is served, behind real proxies, whatever the client claims."""

from __future__ import annotations

import pytest
from proxies import CLIENT, NAME, Seen, bare, exchange, seen, with_recipe

KINDS = ["nginx", "caddy", "haproxy"]
FORGED = "6.6.6.6"
FORGERIES: dict[str, list[str]] = {
    "nothing": [],
    "X-Forwarded-For": [f"X-Forwarded-For: {FORGED}"],
    "X-Forwarded-For with two lines": [f"X-Forwarded-For: {FORGED}", f"X-Forwarded-For: {FORGED}, 127.0.0.1"],
    "X-Forwarded-For without an address": ["X-Forwarded-For: <script>"],
    "X-Forwarded-Proto": ["X-Forwarded-Proto: {other}"],
    "X-Forwarded-Host": ["X-Forwarded-Host: forged.example:444"],
    "X-Forwarded-Port and -Prefix": ["X-Forwarded-Port: 4444", "X-Forwarded-Prefix: /forged"],
    "X-Forwarded-Ssl and -Protocol": ["X-Forwarded-Ssl: on", "X-Forwarded-Protocol: ssl"],
    "Forwarded": [f"Forwarded: for={FORGED};proto={{other}};host=forged.example"],
    "Forwarded with an open quote": [f'Forwarded: for={FORGED};by="'],
    "X-Real-IP": [f"X-Real-IP: {FORGED}", f"True-Client-IP: {FORGED}", f"CF-Connecting-IP: {FORGED}"],
    "X_Forwarded_For": [f"X_Forwarded_For: {FORGED}", "X_Forwarded_Proto: {other}"],
    "SCRIPT_NAME": ["SCRIPT_NAME: /jmap", "PATH_INFO: /forged"],
    "SCRIPT_NAME that does not fit": ["SCRIPT_NAME: /forged"],
    "Connection": [f"X-Forwarded-For: {FORGED}", "Connection: close, X-Forwarded-For, X-Forwarded-Proto"],
}
FORGERIES["everything"] = [line for name, lines in FORGERIES.items() if name != "Connection" for line in lines]


def lines(name: str, other: str) -> list[str]:
    """The header lines of a forgery. other: the scheme that the client does not use."""
    return [line.replace("{other}", other) for line in FORGERIES[name]]


@pytest.fixture(scope="module", params=["tcp", "unix"])
def unix(request) -> bool:
    return request.param == "unix"


@pytest.fixture(scope="module", params=KINDS)
def kind(request) -> str:
    return request.param


class TestRecipes:
    @pytest.fixture(scope="module")
    @staticmethod
    def proxy(kind, unix, trusting, certificates, tmp_path_factory):
        with with_recipe(kind, tmp_path_factory.mktemp(kind), trusting, certificates, unix) as proxy:
            yield proxy

    @pytest.mark.parametrize("name", FORGERIES)
    def test_client_scheme_and_url_are_right(self, trusting, proxy, name):
        right = Seen(200, CLIENT, "https", "/jmap/session", f"https://{NAME}/jmap/")
        assert seen(trusting, proxy, lines(name, "http")) == right

    def test_another_host_changes_nothing(self, trusting, proxy):
        found = seen(trusting, proxy, ["Host: forged.example"])
        # Caddy serves the hosts that it knows.
        assert found.url in ("", f"https://{NAME}/jmap/")
        assert "forged" not in trusting.log()

    def test_plain_http_is_redirected(self, proxy):
        status, head, _ = exchange(proxy, [], plain=True)
        assert status == 308
        assert f"location: https://{NAME}" in head.decode().lower()


class TestOff:
    @pytest.fixture(scope="module")
    @staticmethod
    def proxy(kind, unix, distrusting, certificates, tmp_path_factory):
        with with_recipe(kind, tmp_path_factory.mktemp(kind), distrusting, certificates, unix) as proxy:
            yield proxy

    @pytest.mark.parametrize("name", FORGERIES)
    def test_no_header_of_proxy_or_client_changes_anything(self, distrusting, unix, proxy, name):
        client, port = ("-", "") if unix else ("127.0.0.1", f":{distrusting.port}")
        right = Seen(200, client, "http", "/jmap/session", f"http://{NAME}{port}/jmap/")
        assert seen(distrusting, proxy, lines(name, "http")) == right


EFFECTIVE = {
    ("nginx", "x-forwarded"): {
        "X-Forwarded-For",
        "X-Forwarded-For with two lines",
        "X-Forwarded-For without an address",
        "X-Forwarded-Proto",
        "Connection",
        "everything",
    },
    ("nginx", "forwarded"): {"Forwarded", "Forwarded with an open quote", "everything"},
    ("caddy", "x-forwarded"): set(),
    ("caddy", "forwarded"): {"Forwarded", "Forwarded with an open quote", "everything"},
    ("haproxy", "x-forwarded"): {"X-Forwarded-Proto", "everything"},
    ("haproxy", "forwarded"): {"Forwarded", "Forwarded with an open quote", "everything"},
}
"""What a client can forge behind a proxy with its defaults, by the header that is believed."""


class TestBare:
    @pytest.mark.parametrize("family", ["x-forwarded", "forwarded"])
    def test_what_can_be_forged_is_known(self, request, kind, family, tmp_path):
        server = request.getfixturevalue("trusting" if family == "x-forwarded" else "trusting_forwarded")
        with bare(kind, tmp_path, server) as proxy:
            plain = seen(server, proxy, [])
            assert plain.status == 200
            effective = {name for name in FORGERIES if seen(server, proxy, lines(name, "https")) != plain}
        assert effective == EFFECTIVE[kind, family]
