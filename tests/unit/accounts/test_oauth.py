from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from flaskmail.accounts.directory import Directory
from flaskmail.accounts.faults import NameTaken, UnknownName
from flaskmail.accounts.housekeeping import remove_expired
from flaskmail.accounts.oauthclients import UNUSED_SECONDS, OAuthClients
from flaskmail.accounts.oauthdevices import OAuthDevices
from flaskmail.accounts.oauthkeys import KEPT, OAuthKeys
from flaskmail.accounts.oauthtokens import Approval, Issued, OAuthTokens
from flaskmail.accounts.principals import Principal
from flaskmail.accounts.tokens import digest
from flaskmail.config.oauth import OAuthExpiry
from flaskmail.oauth.clients import GRANT_TYPES, Client, ClientCredentials
from flaskmail.oauth.errors import OAuthError
from flaskmail.oauth.pkce import challenge_of

from .conftest import add

HOME = "192.0.2.7"
URI = "https://app.example/cb"
VERIFIER = "v" * 43
EXPIRY = OAuthExpiry()
SCOPES = ("openid", "offline_access", "urn:ietf:params:jmap:mail")
TOGETHER = 20


class Clock:
    def __init__(self) -> None:
        # Other directories go by the real one.
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time of everything that the directories keep."""
    clock = Clock()
    monkeypatch.setattr("time.time", clock)
    return clock


@pytest.fixture
def timed(open_directory: Callable[[], Directory], clock: Clock) -> Directory:
    directory = open_directory()
    database = directory._database
    directory.oauth_clients = OAuthClients(database, directory._throttle, clock=clock)
    directory.oauth_tokens = OAuthTokens(database, clock=clock)
    directory.oauth_devices = OAuthDevices(database, directory.oauth_tokens, clock=clock)
    return directory


@pytest.fixture
def ann(timed: Directory) -> Principal:
    return add(timed, "ann@example.org")


@pytest.fixture
def client(timed: Directory) -> Client:
    made, _ = timed.oauth_clients.add(Client("app", "App", (URI,), GRANT_TYPES))
    return made


@pytest.fixture
def code(timed: Directory, ann: Principal, client: Client) -> Callable[..., str]:
    def make(scopes: tuple[str, ...] = SCOPES, redirect_uri: str | None = URI) -> str:
        return timed.oauth_tokens.add_code(
            Approval(ann.id, client.id, scopes, 900, ("pwd",)),
            redirect_uri=redirect_uri,
            challenge=challenge_of(VERIFIER),
            nonce="n",
            seconds=EXPIRY.auth_code,
        )

    return make


@pytest.fixture
def issued(timed: Directory, client: Client, code: Callable[..., str]) -> Issued:
    return timed.oauth_tokens.redeem_code(code(), client, URI, VERIFIER, EXPIRY)


def redeem(
    directory: Directory, code: str, client: Client, uri: str | None = URI, verifier: str | None = VERIFIER
) -> str:
    try:
        directory.oauth_tokens.redeem_code(code, client, uri, verifier, EXPIRY)
    except OAuthError as error:
        return error.error
    return "tokens"


def refresh(directory: Directory, token: str | None, client: Client, *asked: str) -> str:
    assert token is not None
    try:
        directory.oauth_tokens.refresh(token, client, asked, EXPIRY)
    except OAuthError as error:
        return error.error
    return "tokens"


def enters(directory: Directory, access: str) -> bool:
    try:
        directory.authenticator.authenticate(f"Bearer {access}", HOME)
    except Exception:
        return False
    return True


def together(directories: list[Directory], act: Callable[[Directory], str]) -> list[str]:
    """What 20 threads get that act at the same time, each through one of the directories."""
    answers: list[str] = []
    barrier = threading.Barrier(TOGETHER)

    def one(number: int) -> None:
        directory = directories[number % len(directories)]
        barrier.wait(60)
        answers.append(act(directory))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(TOGETHER)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(answers)


def test_a_code_gives_a_principal_with_what_was_allowed(timed, ann, client, issued):
    found = timed.authenticator.authenticate(f"Bearer {issued.access}", HOME)
    assert found.id == ann.id
    assert (found.grant.kind, found.grant.client, found.grant.name) == ("oauth", "app", "App")
    assert found.grant.scopes == frozenset(SCOPES)
    assert (found.grant.authenticated, found.grant.second_factor) == (900, False)
    [grant] = timed.oauth_tokens.grants(ann.id)
    assert found.grant.id == grant.id
    assert (grant.client_name, grant.scopes) == ("App", SCOPES)


def test_without_offline_access_there_is_no_refresh_token(timed, client, code):
    found = timed.oauth_tokens.redeem_code(code(("openid",)), client, URI, VERIFIER, EXPIRY)
    assert found.refresh is None
    silent = replace(client, grant_types=("authorization_code",))
    assert timed.oauth_tokens.redeem_code(code(), silent, URI, VERIFIER, EXPIRY).refresh is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"verifier": None},
        {"verifier": ""},
        {"verifier": "w" * 43},
        {"verifier": "v" * 42},
        {"uri": "https://app.example/cb/"},
        {"uri": None},
        {"client": Client("other", "Other", (URI,), GRANT_TYPES)},
    ],
    ids=str,
)
def test_whoever_gets_something_wrong_burns_the_code(timed, client, code, wrong):
    made = code()
    right = {"client": client}
    assert redeem(timed, made, **(right | wrong)) == "invalid_grant"
    assert redeem(timed, made, client) == "invalid_grant"


def test_a_uri_that_the_request_did_not_name_need_not_be_named(timed, client, code):
    assert redeem(timed, code(redirect_uri=None), client, None) == "tokens"
    assert redeem(timed, code(redirect_uri=None), client, URI) == "tokens"
    assert redeem(timed, code(redirect_uri=None), client, "https://evil.example/") == "invalid_grant"


def test_a_code_lives_for_a_minute(timed, client, code, clock):
    early, late = code(), code()
    clock.now += 59.9
    assert redeem(timed, early, client) == "tokens"
    clock.now += 0.1
    assert redeem(timed, late, client) == "invalid_grant"


def test_a_code_that_comes_twice_ends_what_came_of_it(timed, client, code):
    made = code()
    issued = timed.oauth_tokens.redeem_code(made, client, URI, VERIFIER, EXPIRY)
    assert enters(timed, issued.access)
    assert redeem(timed, made, client) == "invalid_grant"
    assert not enters(timed, issued.access)
    assert refresh(timed, issued.refresh, client) == "invalid_grant"


def test_a_code_that_comes_again_after_a_purge_ends_it_too(timed, client, code, clock):
    made = code()
    issued = timed.oauth_tokens.redeem_code(made, client, URI, VERIFIER, EXPIRY)
    clock.now += 3 * 86400
    remove_expired(timed._database)
    renewed = timed.oauth_tokens.refresh(issued.refresh, client, (), EXPIRY)
    assert redeem(timed, made, client) == "invalid_grant"
    assert refresh(timed, renewed.refresh, client) == "invalid_grant"
    timed.oauth_tokens.redeem_code(code(), client, URI, VERIFIER, EXPIRY)
    clock.now += 3 * EXPIRY.authorization
    assert remove_expired(timed._database)["codes"] == 1


def test_a_code_that_comes_twice_through_another_process_ends_it_here(timed, client, code, open_directory):
    made = code()
    issued = timed.oauth_tokens.redeem_code(made, client, URI, VERIFIER, EXPIRY)
    assert enters(timed, issued.access)
    assert redeem(open_directory(), made, client) == "invalid_grant"
    assert not enters(timed, issued.access)


def test_of_20_at_once_one_gets_tokens_and_they_end(timed, ann, client, code, open_directory):
    made = code()
    every = [timed, *(open_directory() for _ in range(3))]
    answers = together(every, lambda directory: redeem(directory, made, client))
    assert answers == ["invalid_grant"] * (TOGETHER - 1) + ["tokens"]
    assert timed.oauth_tokens.grants(ann.id) == []


def test_refreshing_gives_a_new_pair_and_keeps_the_family(timed, ann, client, issued):
    second = timed.oauth_tokens.refresh(issued.refresh, client, (), EXPIRY)
    assert second.refresh not in (None, issued.refresh)
    assert enters(timed, issued.access)
    assert enters(timed, second.access)
    assert len(timed.oauth_tokens.grants(ann.id)) == 1
    third = timed.oauth_tokens.refresh(second.refresh, client, ("urn:ietf:params:jmap:mail",), EXPIRY)
    assert third.scopes == ("urn:ietf:params:jmap:mail",)
    assert timed.authenticator.authenticate(f"Bearer {third.access}", HOME).grant.scopes == frozenset(third.scopes)


def test_more_than_was_granted_is_refused_and_costs_nothing(timed, client, issued):
    assert refresh(timed, issued.refresh, client, "urn:flaskmail:management") == "invalid_scope"
    assert refresh(timed, issued.refresh, client) == "tokens"


def test_a_refresh_token_that_comes_twice_ends_its_family(timed, ann, client, issued):
    second = timed.oauth_tokens.refresh(issued.refresh, client, (), EXPIRY)
    third = timed.oauth_tokens.refresh(second.refresh, client, (), EXPIRY)
    assert refresh(timed, issued.refresh, client) == "invalid_grant"
    assert not any(enters(timed, one.access) for one in (issued, second, third))
    assert refresh(timed, third.refresh, client) == "invalid_grant"
    assert timed.oauth_tokens.grants(ann.id) == []


def test_of_20_refreshes_at_once_none_lasts(timed, ann, client, issued, open_directory):
    every = [timed, *(open_directory() for _ in range(3))]
    answers = together(every, lambda directory: refresh(directory, issued.refresh, client))
    assert answers == ["invalid_grant"] * (TOGETHER - 1) + ["tokens"]
    assert timed.oauth_tokens.grants(ann.id) == []


def test_another_clients_refresh_token_ends_the_family(timed, ann, client, issued):
    other, _ = timed.oauth_clients.add(Client("other", "Other", (URI,), GRANT_TYPES))
    assert refresh(timed, issued.refresh, other) == "invalid_grant"
    assert timed.oauth_tokens.grants(ann.id) == []


def test_what_is_not_used_ends_and_what_is_used_ends_too_at_last(timed, ann, client, code, clock):
    idle = timed.oauth_tokens.redeem_code(code(), client, URI, VERIFIER, EXPIRY)
    used = timed.oauth_tokens.redeem_code(code(), client, URI, VERIFIER, EXPIRY)
    first = used.refresh
    ends = clock.now + EXPIRY.authorization
    while clock.now + EXPIRY.refresh_token - 1 < ends:
        clock.now += EXPIRY.refresh_token - 1
        used = timed.oauth_tokens.refresh(used.refresh, client, (), EXPIRY)
    clock.now = ends
    assert refresh(timed, used.refresh, client) == "invalid_grant"
    assert first != used.refresh
    assert refresh(timed, idle.refresh, client) == "invalid_grant"
    assert timed.oauth_tokens.grants(ann.id) == []


def test_an_access_token_lives_for_an_hour(timed, client, issued, clock):
    assert issued.expires_in == 3600
    clock.now += 3599
    assert enters(timed, issued.access)
    clock.now += 1
    assert timed.oauth_tokens.holder(digest(issued.access)) is None


@pytest.mark.parametrize(
    ("kind", "end"),
    [
        ("password", lambda directory: directory.principals.set_password("ann@example.org", "x")),
        ("disabled", lambda directory: directory.principals.set_disabled("ann@example.org", True)),
        ("deleted", lambda directory: directory.principals.delete("ann@example.org")),
        ("client", lambda directory: directory.oauth_clients.delete("app")),
        (
            "revoked",
            lambda directory: [directory.oauth_tokens.revoke(one.id) for one in directory.oauth_tokens.grants()],
        ),
    ],
    ids=["password", "disabled", "deleted", "client", "revoked"],
)
def test_what_ends_an_account_or_a_client_ends_its_tokens_everywhere(
    timed, client, code, issued, open_directory, kind, end
):
    waiting = code()
    assert enters(timed, issued.access)
    end(open_directory())
    assert not enters(timed, issued.access)
    assert timed.oauth_tokens.state(issued.access) is None
    assert refresh(timed, issued.refresh, client) == "invalid_grant"
    # A code that is on its way is no token yet, so there is nothing to revoke.
    assert redeem(timed, waiting, client) == ("tokens" if kind == "revoked" else "invalid_grant")


def test_what_an_account_had_allowed_does_not_come_back_with_it(timed, ann, client, code, issued, open_directory):
    waiting = code()
    codes = timed.oauth_devices.begin(client, SCOPES, 1800)
    found = timed.oauth_devices.find(codes.user_code)
    assert timed.oauth_devices.answer(found, Approval(ann.id, "app", SCOPES, 900, ("pwd",)))
    other = open_directory()
    # Nobody tries any of it meanwhile.
    other.principals.set_disabled(ann.name, True)
    other.principals.set_disabled(ann.name, False)
    assert not enters(timed, issued.access)
    assert timed.oauth_tokens.state(issued.access) is None
    assert timed.oauth_tokens.grants(ann.id) == []
    assert refresh(timed, issued.refresh, client) == "invalid_grant"
    assert redeem(timed, waiting, client) == "invalid_grant"
    assert poll(timed, codes.device_code, client) == "access_denied"
    assert redeem(timed, code(), client) == "tokens"


def test_who_may_not_let_applications_in_has_none(timed, ann, client, code, issued):
    def forbid(permissions: str) -> None:
        with timed._database.write() as execute:
            execute("UPDATE principal SET disabled_permissions=? WHERE id=?", (permissions, ann.id))

    waiting = code()
    forbid('["authenticate-oauth"]')
    assert not enters(timed, issued.access)
    assert timed.oauth_tokens.state(issued.access) is None
    assert timed.oauth_tokens.state(issued.refresh) is None
    assert refresh(timed, issued.refresh, client) == "invalid_grant"
    assert redeem(timed, waiting, client) == "invalid_grant"
    # Nothing was stolen, so it is the permission alone that was missing.
    forbid("[]")
    assert enters(timed, issued.access)
    assert refresh(timed, issued.refresh, client) == "tokens"


def test_a_new_account_of_the_same_name_gets_nothing_of_the_old(timed, ann, client, issued):
    timed.principals.delete(ann.name)
    again = add(timed, ann.name)
    assert not enters(timed, issued.access)
    assert timed.oauth_tokens.grants(again.id) == []


def test_revoking_an_access_token_leaves_the_rest(timed, client, issued):
    assert timed.oauth_tokens.revoke_token(issued.access, client)
    assert not enters(timed, issued.access)
    assert refresh(timed, issued.refresh, client) == "tokens"


def test_revoking_a_refresh_token_ends_all(timed, ann, client, issued):
    other = replace(client, id="other")
    assert not timed.oauth_tokens.revoke_token(issued.refresh, other)
    assert enters(timed, issued.access)
    assert timed.oauth_tokens.revoke_token(issued.refresh, client)
    assert not enters(timed, issued.access)
    assert timed.oauth_tokens.revoke_token("fmo_unknown", client)


def test_nobody_revokes_what_is_another_s(timed, ann, issued):
    bob = add(timed, "bob@example.org")
    [grant] = timed.oauth_tokens.grants(ann.id)
    with pytest.raises(UnknownName):
        timed.oauth_tokens.revoke(grant.id, bob.id)
    assert enters(timed, issued.access)


def test_a_used_refresh_token_is_not_active(timed, client, issued):
    state = timed.oauth_tokens.state(issued.refresh)
    assert state is not None
    assert (state.kind, state.username) == ("refresh_token", "ann@example.org")
    timed.oauth_tokens.refresh(issued.refresh, client, (), EXPIRY)
    assert timed.oauth_tokens.state(issued.refresh) is None


def test_a_client_that_is_gone_gets_nothing(timed, client, code):
    timed.oauth_clients.delete(client.id)
    with pytest.raises(UnknownName):
        code()
    with pytest.raises(OAuthError) as caught:
        timed.oauth_devices.begin(client, SCOPES, 1800)
    assert caught.value.error == "invalid_client"


def test_a_client_that_may_ask_for_less_by_now_gets_less(timed, client, issued):
    narrow, _ = timed.oauth_clients.update(replace(client, scopes=("openid",)))
    renewed = timed.oauth_tokens.refresh(issued.refresh, narrow, (), EXPIRY)
    assert renewed.scopes == ("openid",)
    assert refresh(timed, renewed.refresh, narrow, "urn:ietf:params:jmap:mail") == "invalid_scope"
    other, _ = timed.oauth_clients.update(replace(client, scopes=("email",)))
    assert refresh(timed, renewed.refresh, other) == "invalid_grant"


# ---- devices
def poll(directory: Directory, code: str, client: Client) -> str:
    try:
        directory.oauth_devices.redeem(code, client, EXPIRY)
    except OAuthError as error:
        return error.error
    return "tokens"


def test_a_device_is_let_in_once(timed, ann, client, clock):
    codes = timed.oauth_devices.begin(client, SCOPES, 1800, "192.0.2.7")
    assert poll(timed, codes.device_code, client) == "authorization_pending"
    found = timed.oauth_devices.find(codes.user_code.lower())
    assert found is not None
    assert (found.client, found.scopes) == ("app", SCOPES)
    assert (found.address, found.created) == ("192.0.2.7", clock.now)
    assert timed.oauth_devices.answer(found, Approval(ann.id, "app", SCOPES[:1], 900, ("pwd",)))
    assert timed.oauth_devices.find(codes.user_code) is None
    assert not timed.oauth_devices.answer(found, None)
    clock.now += 5
    assert poll(timed, codes.device_code, replace(client, id="other")) == "invalid_grant"
    issued = timed.oauth_devices.redeem(codes.device_code, client, EXPIRY)
    assert issued.scopes == SCOPES[:1]
    clock.now += 60
    assert poll(timed, codes.device_code, client) == "invalid_grant"


def test_of_20_polls_at_once_one_gets_tokens(timed, ann, client, open_directory, clock):
    codes = timed.oauth_devices.begin(client, SCOPES, 1800)
    found = timed.oauth_devices.find(codes.user_code)
    timed.oauth_devices.answer(found, Approval(ann.id, "app", SCOPES, 900, ("pwd",)))
    every = [timed, *(open_directory() for _ in range(3))]
    answers = together(every, lambda directory: poll(directory, codes.device_code, client))
    assert answers.count("tokens") == 1
    assert len(timed.oauth_tokens.grants(ann.id)) == 1


def test_a_slow_down_is_remembered_among_processes(timed, client, open_directory, clock):
    codes = timed.oauth_devices.begin(client, SCOPES, 1800)
    other = open_directory()
    assert poll(timed, codes.device_code, client) == "authorization_pending"
    assert poll(other, codes.device_code, client) == "slow_down"
    clock.now += 9
    assert poll(timed, codes.device_code, client) == "slow_down"
    clock.now += 15
    assert poll(timed, codes.device_code, client) == "authorization_pending"


def test_a_refused_device_and_one_that_nobody_answers(timed, client, clock):
    codes = timed.oauth_devices.begin(client, SCOPES, 1800)
    assert timed.oauth_devices.answer(timed.oauth_devices.find(codes.user_code), None)
    assert poll(timed, codes.device_code, client) == "access_denied"
    late = timed.oauth_devices.begin(client, SCOPES, 1800)
    clock.now += 1800
    assert timed.oauth_devices.find(late.user_code) is None
    timed.oauth_devices.begin(client, SCOPES, 1800)
    assert poll(timed, late.device_code, client) == "expired_token"


def test_a_device_gets_nothing_after_a_change_of_password(timed, ann, client):
    codes = timed.oauth_devices.begin(client, SCOPES, 1800)
    found = timed.oauth_devices.find(codes.user_code)
    timed.oauth_devices.answer(found, Approval(ann.id, "app", SCOPES, 900, ("pwd",)))
    timed.principals.set_password(ann.name, "x")
    assert poll(timed, codes.device_code, client) == "access_denied"


# ---- clients
def test_a_secret_is_told_once_and_can_be_renewed(timed):
    made, secret = timed.oauth_clients.add(Client("web", "Web", (URI,), auth_method="client_secret_basic"))
    clients = timed.oauth_clients
    assert secret is not None

    def attempt(secret: str) -> str:
        try:
            return clients.authenticate(ClientCredentials("web", secret, "client_secret_basic"), HOME).id
        except OAuthError as error:
            return error.error

    assert attempt(secret) == "web"
    assert attempt(secret + "x") == attempt("") == "invalid_client"
    _, renewed = clients.change("web", lambda client: client, renew=True)
    assert renewed is not None
    assert (attempt(secret), attempt(renewed)) == ("invalid_client", "web")
    public, _ = clients.update(replace(made, auth_method="none"))
    assert attempt(renewed) == "invalid_client"
    assert clients.authenticate(ClientCredentials("web", None, "none"), HOME) == public
    _, again = clients.update(replace(made, auth_method="client_secret_basic"))
    assert again is not None
    assert attempt(again) == "web"


def test_changes_of_a_client_that_come_at_once_all_count(timed):
    timed.oauth_clients.add(Client("web", "Web", (URI,)))
    start = threading.Barrier(8)

    def add(number: int) -> None:
        start.wait()
        timed.oauth_clients.change(
            "web", lambda client: replace(client, redirect_uris=(*client.redirect_uris, f"{URI}/{number}"))
        )

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {*timed.oauth_clients.get("web").redirect_uris} == {URI, *(f"{URI}/{number}" for number in range(8))}


def test_what_was_stored_comes_back(timed, clock):
    every = Client(
        "all", "All", (URI, "com.example.app:/cb"), GRANT_TYPES, "none", True, ("openid",), "ES256", "https://a.example/",
        "https://a.example/p", "https://a.example/t", ("ann@example.org",), "id", "1", True, int(clock.now), None,
    )  # fmt: skip
    made, secret = timed.oauth_clients.add(every)
    assert made == timed.oauth_clients.get("all") == every
    assert secret is None
    with pytest.raises(NameTaken):
        timed.oauth_clients.add(every)
    with pytest.raises(UnknownName, match="did you mean"):
        timed.oauth_clients.get("al")


def test_wrong_secrets_are_slowed_down_without_locking_the_client_out(timed, open_directory):
    _, secret = timed.oauth_clients.add(Client("web", "Web", (URI,), auth_method="client_secret_post"))
    right = ClientCredentials("web", secret, "client_secret_post")
    wrong = ClientCredentials("web", "wrong", "client_secret_post")
    public, _ = timed.oauth_clients.add(Client("app", "App", (URI,)))
    said = []
    for directory in (timed, open_directory()) * 7:
        with pytest.raises(OAuthError) as caught:
            directory.oauth_clients.authenticate(wrong, "198.51.100.1")
        said.append(caught.value.status)
    assert said == [400] * 10 + [429] * 4
    assert int(caught.value.headers["Retry-After"]) > 0
    assert timed.oauth_clients.authenticate(right, HOME).id == "web"
    # From there too, clients that have no secret come in, and people with their passwords.
    assert timed.oauth_clients.authenticate(ClientCredentials("app", None, "none"), "198.51.100.1") == public
    assert timed._throttle.waiting("198.51.100.1", "ann@example.org") == 0


def test_a_client_that_registered_itself_and_is_not_used_is_forgotten(timed, client, clock):
    timed.oauth_clients.add(Client("idle", "Idle", (URI,), dynamic=True))
    clock.now += UNUSED_SECONDS + 1
    timed.oauth_clients.add(Client("new", "New", (URI,), dynamic=True))
    assert {one.id for one in timed.oauth_clients.all()} == {"app", "new"}


def test_clients_that_register_themselves_cannot_fill_the_disk(timed, monkeypatch):
    monkeypatch.setattr("flaskmail.accounts.oauthclients.MOST_UNUSED", 3)
    for number in range(3):
        timed.oauth_clients.add(Client(f"c{number}", "C", (URI,), dynamic=True))
    with pytest.raises(OAuthError) as caught:
        timed.oauth_clients.add(Client("c3", "C", (URI,), dynamic=True))
    assert caught.value.status == 503
    timed.oauth_clients.add(Client("ours", "Ours", (URI,)))


# ---- keys
@pytest.fixture
def keys(timed: Directory, tmp_path: Path, clock: Clock) -> OAuthKeys:
    return OAuthKeys(timed._database, tmp_path / "data", clock=clock)


def test_keys_rotate_and_are_shown_until_what_they_signed_is_over(keys, clock):
    first = keys.signing("ES256", 1000, 900)
    assert keys.signing("ES256", 1000, 900) == first
    clock.now += 1001
    second = keys.signing("ES256", 1000, 900)
    assert second.id != first.id
    assert [one["kid"] for one in keys.public(("ES256",), 10**6, 900)] == [second.id, first.id]
    clock.now += 900 + KEPT + 1
    assert [one["kid"] for one in keys.public(("ES256",), 10**6, 900)] == [second.id]


def test_a_key_that_leaked_is_gone_in_every_process(keys, timed, tmp_path, clock):
    other = OAuthKeys(timed._database, tmp_path / "data", clock=clock)
    clock.now += 5
    old = {other.signing(algorithm, 1000, 900).id for algorithm in ("RS256", "ES256")}
    new = keys.renew(("RS256", "ES256"))
    assert {one.algorithm for one in new} == {"RS256", "ES256"}
    for one in (keys, other):
        assert one.signing("ES256", 1000, 900).id == new[1].id
        assert {key["kid"] for key in one.public(("RS256", "ES256"), 1000, 900)} == {key.id for key in new}
    assert not old & {key.id for key in new}


def test_another_process_signs_with_the_same_key(keys, timed, tmp_path, clock):
    first = keys.signing("ES256", 1000, 900)
    assert OAuthKeys(timed._database, tmp_path / "data", clock=clock).signing("ES256", 1000, 900) == first


def test_the_private_part_is_not_in_the_database(keys, timed, tmp_path):
    key = keys.signing("ES256", 1000, 900)
    timed.close()
    stored = b"".join(path.read_bytes() for path in (tmp_path / "data").glob("control.db*"))
    assert key.id.encode() in stored
    assert key.private not in stored
    assert key.private[-40:] not in stored


def test_keys_of_a_copy_without_its_key_file_are_replaced(keys, timed, tmp_path, clock):
    first = keys.signing("ES256", 1000, 900)
    (tmp_path / "data" / "secret.key").unlink()
    other = OAuthKeys(timed._database, tmp_path / "data", clock=clock)
    second = other.signing("ES256", 1000, 900)
    assert second.id != first.id
    assert other.signing("ES256", 1000, 900) == second


def test_nothing_that_works_is_stored(timed, ann, client, code, issued, tmp_path):
    made, secret = timed.oauth_clients.add(Client("web", "Web", (URI,), auth_method="client_secret_basic"))
    codes = timed.oauth_devices.begin(client, SCOPES, 1800)
    canaries = [code(), issued.access, issued.refresh, secret, codes.device_code, codes.user_code]
    stored = b"".join(path.read_bytes() for path in (tmp_path / "data").glob("*.db*"))
    assert b"App" in stored
    for canary in canaries:
        assert canary is not None
        assert canary.encode() not in stored
        assert canary not in repr((issued, codes, made))
