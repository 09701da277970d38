from __future__ import annotations

import pytest

from flaskmail.accounts.faults import BadName
from flaskmail.accounts.names import account_name, domain_name


@pytest.mark.parametrize(
    ("text", "name", "domain"),
    [
        ("alice@example.org", "alice@example.org", "example.org"),
        ("  Alice.B+x@EXAMPLE.org. ", "alice.b+x@example.org", "example.org"),
        ("o'hara@localhost", "o'hara@localhost", "localhost"),
        ("admin", "admin", None),
        ("ADMIN", "admin", None),
        ("admin@example.org", "admin@example.org", "example.org"),
        ("x" * 64 + "@example.org", "x" * 64 + "@example.org", "example.org"),
    ],
)
def test_right_account_names(text: str, name: str, domain: str | None) -> None:
    assert account_name(text) == (name, domain)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "alice",
        "@example.org",
        "alice@",
        "a b@example.org",
        ".a@example.org",
        "a.@example.org",
        "a..b@example.org",
        "a@b@example.org",
        "x" * 65 + "@example.org",
        "a@-x.org",
        "a@x-.org",
        "a@x..org",
        "a@" + "x" * 64 + ".org",
        "a@" + ".".join(["x" * 60] * 5),
        "a@127.0.0.1",
        "a:b@example.org",
        "a\r\nb@example.org",
        "a\0@example.org",
        "../../etc@example.org",
        "a@../x",
        "ü@example.org",
        "a@bücher.example",
        '"quoted"@example.org',
    ],
)
def test_wrong_account_names_are_refused_with_a_reason(text: str) -> None:
    with pytest.raises(BadName) as caught:
        account_name(text)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


def test_domain_names() -> None:
    assert domain_name("Example.ORG.") == "example.org"
    with pytest.raises(BadName, match="ASCII form"):
        domain_name("bücher.example")
    with pytest.raises(BadName, match="empty"):
        domain_name(" ")
