from __future__ import annotations

import base64
import threading
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import load_der_public_key

from flaskmail.accounts.directory import Directory
from flaskmail.accounts.dkim import default_selector, is_own_id
from flaskmail.accounts.faults import BadName, DirectoryError, NameTaken, UnknownName
from flaskmail.errors import StoreError


@pytest.fixture
def keys(directory: Directory):
    directory.domains.create("example.org")
    directory.domains.create("example.com")
    return directory.dkim


def test_a_key_has_the_names_that_nobody_chose(keys):
    before = datetime.now(UTC)
    made = keys.create("Example.ORG")
    after = datetime.now(UTC)
    assert (made.id, made.domain, made.algorithm) == ("rsa-example.org", "example.org", "rsa")
    assert made.selector in {default_selector("rsa", before), default_selector("rsa", after)}
    assert keys.get(made.id) == made
    assert keys.create("example.org", "ed25519").selector[-1] == "e"


def test_selectors_tell_the_month():
    assert default_selector("rsa", datetime(2026, 4, 30, tzinfo=UTC)) == "202604r"
    assert default_selector("ed25519", datetime(2026, 12, 1, tzinfo=UTC)) == "202612e"


def test_an_rsa_key_signs_what_its_public_half_verifies(keys):
    made = keys.create("example.org", "rsa")
    public = load_der_public_key(base64.b64decode(made.public))
    assert public.key_size == 2048
    signing = keys.sign_key(made.id)
    assert (signing.domain, signing.selector, signing.algorithm) == (made.domain, made.selector, "rsa")
    signature = signing.private.sign(b"text", PKCS1v15(), hashes.SHA256())
    public.verify(signature, b"text", PKCS1v15(), hashes.SHA256())


def test_an_ed25519_key_signs_what_its_public_half_verifies(keys):
    made = keys.create("example.org", "ed25519")
    raw = base64.b64decode(made.public)
    assert len(raw) == 32
    Ed25519PublicKey.from_public_bytes(raw).verify(keys.sign_key(made.id).private.sign(b"text"), b"text")


def test_an_id_or_a_selector_is_taken_once(keys):
    first = keys.create("example.org", "ed25519", id="mine", selector="s1")
    with pytest.raises(NameTaken, match="'mine'"):
        keys.create("example.com", "ed25519", id="mine")
    with pytest.raises(NameTaken, match="selector 's1'"):
        keys.create("example.org", "ed25519", selector="S1")
    assert keys.create("example.com", "ed25519", selector="s1").domain == "example.com"
    assert keys.get("mine") == first


def test_of_many_at_once_one_makes_the_key(keys, open_directory):
    made, refused = [], []
    barrier = threading.Barrier(8)

    def create():
        mine = open_directory().dkim
        barrier.wait(60)
        try:
            made.append(mine.create("example.org", "ed25519"))
        except NameTaken as error:
            refused.append(error)

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), len(refused)) == (1, 7)
    assert keys.get("ed25519-example.org") == made[0]


@pytest.mark.parametrize("selector", ["", "a..b", "-a", "a_b", "ä", "a" * 64, "a b", 'a"'])
def test_selectors_are_labels(keys, selector):
    with pytest.raises(BadName, match="selector"):
        keys.create("example.org", "ed25519", selector=selector)


def test_the_name_of_the_record_fits_into_the_dns(keys):
    longest = "x." * 114 + "x"
    assert len(f"{longest}._domainkey.example.org") == 252
    keys.create("example.org", "ed25519", selector=longest + "x")
    with pytest.raises(DirectoryError, match="253"):
        keys.create("example.org", "ed25519", id="b", selector=longest + "xx")


@pytest.mark.parametrize("id", ["", "a/b", "..", "a b", "A", "ä", "x" * 271, "a\n"])
def test_ids_fit_into_a_path(keys, id):
    with pytest.raises(BadName, match="id"):
        keys.create("example.org", "ed25519", id=id)


def test_keys_are_of_domains_that_exist(keys, directory):
    with pytest.raises(UnknownName, match=r"did you mean 'example\.org'"):
        keys.create("exampel.org", "ed25519")
    keys.create("example.org", "ed25519")
    directory.domains.delete("example.org")
    assert keys.page() == ([], 0)


def test_pages_and_reach(keys):
    for selector in ("a", "b", "c"):
        keys.create("example.org", "ed25519", id=f"key{selector}-example.org", selector=selector)
    keys.create("example.com", "ed25519")

    def ids(*args, **kwargs):
        found, total = keys.page(*args, **kwargs)
        return [key.id for key in found], total

    assert ids(start=1, limit=2) == (["keya-example.org", "keyb-example.org"], 4)
    assert ids("COM") == (["ed25519-example.com"], 1)
    assert ids(within="example.com") == (["ed25519-example.com"], 1)
    assert [key.selector for key in keys.of_domain("example.org")] == ["a", "b", "c"]
    with pytest.raises(UnknownName) as caught:
        keys.get("ed25519-example.com", within="example.org")
    assert "example.com'?" not in str(caught.value)
    with pytest.raises(UnknownName):
        keys.delete("ed25519-example.com", within="example.org")
    assert keys.delete("ed25519-example.com", within="example.com").domain == "example.com"
    with pytest.raises(UnknownName):
        keys.sign_key("ed25519-example.com")


def test_ids_that_can_be_no_other_domains():
    assert is_own_id("rsa-example.org", "example.org")
    assert not is_own_id("rsa-example.org", "example.com")
    assert not is_own_id("rsa-b-example.org", "example.org")
    assert not is_own_id("example.org", "example.org")


def test_the_private_key_shows_nowhere(keys, caplog):
    caplog.set_level(0)
    made = keys.create("example.org", "ed25519")
    signing = keys.sign_key(made.id)
    raw = signing.private.private_bytes_raw()
    with pytest.raises(NameTaken) as caught:
        keys.create("example.org", "ed25519")
    shown = repr(made) + repr(signing) + str(signing) + repr(caught.value) + repr(keys.page()) + caplog.text
    for form in (raw.hex(), base64.b64encode(raw).decode(), repr(raw)[2:-1]):
        assert form not in shown


@pytest.mark.parametrize("algorithm", ["rsa", "ed25519"])
def test_the_private_key_lies_in_no_file(keys, tmp_path, algorithm):
    made = keys.create("example.org", algorithm)
    private = keys.sign_key(made.id).private
    if algorithm == "rsa":
        secret = private.private_numbers().p.to_bytes(128, "big")
    else:
        secret = private.private_bytes_raw()
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert base64.b64decode(made.public) in stored
    assert secret not in stored
    assert secret.hex().encode() not in stored


def test_without_the_key_of_the_folder_nothing_signs(keys, tmp_path, open_directory):
    made = keys.create("example.org", "ed25519")
    key = tmp_path / "data" / "secret.key"
    key.unlink()
    directory = open_directory()
    other = directory.dkim
    assert other.get(made.id) == made
    # No other key is made in silence, and the start says so.
    for ask in (lambda: other.sign_key(made.id), lambda: other.create("example.com", "ed25519"), directory.check_key):
        with pytest.raises(StoreError, match=r"secret\.key is missing: bring it back"):
            ask()
    assert not key.exists()
    key.write_bytes(b"k" * 32)
    directory.check_key()
    with pytest.raises(StoreError, match="another key"):
        other.sign_key(made.id)
    other.create("example.com", "ed25519")
    assert other.sign_key("ed25519-example.com").domain == "example.com"
