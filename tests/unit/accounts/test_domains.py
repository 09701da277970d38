from __future__ import annotations

import pytest

from flaskmail.accounts.authorization import LOCAL, access
from flaskmail.accounts.directory import Directory
from flaskmail.accounts.drafts import Draft
from flaskmail.accounts.faults import BadName, InUse, NameTaken, UnknownName
from flaskmail.accounts.permissions import PERMISSIONS

from .conftest import add


@pytest.fixture
def domains(directory: Directory):
    for name, description in (("example.org", "Main"), ("example.com", ""), ("other.example", "100% ours")):
        directory.domains.create(name, description)
    return directory.domains


def names(found):
    return [domain.name for domain in found[0]], found[1]


def test_pages_are_parts_of_the_whole(domains):
    assert names(domains.page()) == (["example.com", "example.org", "other.example"], 3)
    assert names(domains.page(start=1, limit=1)) == (["example.org"], 3)
    assert names(domains.page(start=3, limit=1)) == ([], 3)
    assert names(domains.page(limit=0)) == ([], 3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("EXAMPLE.", ["example.com", "example.org"]),
        ("main", ["example.org"]),
        ("100%", ["other.example"]),
        ("%", ["other.example"]),
        ("_", []),
        ("' OR 1", []),
    ],
)
def test_a_text_is_searched_as_it_stands(domains, text, expected):
    assert names(domains.page(text)) == (expected, len(expected))


def test_within_a_domain_no_other_exists(domains):
    assert names(domains.page(within="example.org")) == (["example.org"], 1)
    assert names(domains.page("com", within="example.org")) == ([], 0)
    assert domains.get("example.org", within="example.org").description == "Main"
    with pytest.raises(UnknownName) as caught:
        domains.get("example.com", within="other.example")
    assert caught.value.nearest == ""
    assert str(caught.value) == "there is no domain 'example.com'"


def test_the_description_changes_and_nothing_else(domains):
    before = domains.get("example.org")
    after = domains.update("Example.ORG.", description="Second")
    assert after.description == "Second"
    assert (after.name, after.created, after.accounts) == (before.name, before.created, before.accounts)
    with pytest.raises(UnknownName):
        domains.update("missing.example", description="")
    with pytest.raises(BadName):
        domains.update("a b", description="")


def test_a_domain_in_use_stays(directory, domains):
    add(directory, "alice@example.org")
    add(directory, "bob@example.org")
    with pytest.raises(InUse, match="2 accounts"):
        domains.delete("example.org")
    assert domains.get("example.org").accounts == 2
    directory.principals.delete("alice@example.org")
    directory.principals.delete("bob@example.org")
    domains.delete("example.org")
    with pytest.raises(UnknownName):
        domains.get("example.org")


def test_what_keeps_a_domain_is_named(directory, domains):
    local = access(LOCAL, frozenset(PERMISSIONS))
    for number, type in enumerate(("group", "list", "role", "role", "apiKey")):
        plain = type in ("role", "apiKey")
        draft = Draft(
            type, f"x{number}" if plain else f"x{number}@example.org", domain="example.org" if plain else None
        )
        directory.entries.create(f"a{number}", draft, "", local)
    assert domains.get("example.org").accounts == 0
    with pytest.raises(InUse, match="still has 1 API key, 1 group, 1 mailing list, 2 roles: delete them first"):
        domains.delete("example.org")
    for number in range(5):
        directory.entries.delete(f"a{number}", local)
    domains.delete("example.org")


def test_a_domain_is_made_once(domains):
    with pytest.raises(NameTaken):
        domains.create("EXAMPLE.org")


def test_a_domain_with_addresses_of_accounts_elsewhere_stays(directory, domains):
    alice = add(directory, "alice@example.org")
    with directory._database.write() as execute:
        execute("INSERT INTO address VALUES('alice@example.com', ?, 'example.com', 1)", (alice.id,))
    with pytest.raises(InUse, match="addresses of other domains' accounts"):
        domains.delete("example.com")
    directory.principals.delete("alice@example.org")
    domains.delete("example.com")
