"""The commands on principals and credentials, on the store."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Command

Told = Callable[..., Any]


def test_an_account_with_its_domain(flaskmail: Command, told: Told) -> None:
    made = told("account", "create", "joe@new.example", "--role", "user", "--role", "domain-admin", "--quota", "3kB")
    assert (made["domainCreated"], made["quota"], made["roles"]) == ("new.example", 3000, ["user", "domain-admin"])
    again = told("account", "create", "jim@new.example", "--address", "j@new.example")
    assert (again["domainCreated"], again["emails"]) == (None, ["jim@new.example", "j@new.example"])
    assert again["password"] != made["password"]
    shown = told("account", "show", "joe@new.example")
    assert (shown["id"], shown["usedQuota"], shown["tokens"]) == (made["id"], 0, 0)
    assert [one["name"] for one in told("account", "list", "new.example")] == ["jim@new.example", "joe@new.example"]
    assert "3.0 kB" in flaskmail("account", "show", "joe@new.example").stdout


def test_a_domain_goes_again_when_its_account_cannot_be_made(flaskmail: Command, told: Told) -> None:
    done = flaskmail("account", "create", "joe@new.example", "--role", "nothing")
    assert (done.exit_code, "nothing" in done.stderr) == (1, True)
    assert [one["name"] for one in told("domain", "list")] == ["example.org"]


def test_only_the_domain_of_its_name_is_made(flaskmail: Command, told: Told) -> None:
    done = flaskmail("account", "create", "joe@example.org", "--address", "joe@other.example")
    assert (done.exit_code, "other.example" in done.stderr) == (1, True)
    assert told("account", "create", "joe@Bücher.example")["domainCreated"] == "xn--bcher-kva.example"
    assert [one["name"] for one in told("domain", "list")] == ["example.org", "xn--bcher-kva.example"]


def test_an_account_is_changed(flaskmail: Command, told: Told) -> None:
    name = "ann@example.org"
    assert told("account", "add-address", name, "a@example.org", "b@example.org")["emails"][1:] == [
        "a@example.org",
        "b@example.org",
    ]
    assert told("account", "remove-address", name, "a@example.org")["emails"][1:] == ["b@example.org"]
    assert told("account", "add-role", name, "admin")["roles"] == ["user", "admin"]
    assert told("account", "remove-role", name, "admin")["roles"] == ["user"]
    assert told("account", "allow", name, "logs-view")["enabledPermissions"] == ["logs-view"]
    forbidden = told("account", "forbid", name, "logs-view")
    assert (forbidden["enabledPermissions"], forbidden["disabledPermissions"]) == ([], ["logs-view"])
    assert told("account", "unsay", name, "logs-view")["disabledPermissions"] == []
    assert told("account", "disable", name)["disabled"] is True
    assert told("account", "enable", name)["disabled"] is False
    assert told("account", "describe", name, "Ann")["description"] == "Ann"
    assert told("account", "set-quota", name, "default")["quota"] == 0
    before = told("account", "show", name)["id"]
    assert told("account", "rename", name, "anne@example.org")["id"] == before
    assert flaskmail("account", "remove-otp", "anne@example.org").exit_code == 0
    assert told("account", "delete", "anne@example.org")["id"] == before
    assert told("account", "list") == []


def test_groups_and_lists(flaskmail: Command, told: Told) -> None:
    assert told("group", "create", "g@example.org", "--member", "ann@example.org")["members"] == ["ann@example.org"]
    made = told("list", "create", "l@example.org", "--member", "g@example.org", "--external", "x@example.net")
    assert (made["members"], made["externalMembers"]) == (["g@example.org"], ["x@example.net"])
    assert told("list", "add-external", "l@example.org", "y@example.net")["externalMembers"][1:] == ["y@example.net"]
    assert told("list", "remove-member", "l@example.org", "g@example.org")["members"] == []
    assert told("group", "remove-member", "g@example.org", "ann@example.org")["members"] == []
    assert [one["name"] for one in told("group", "list")] == ["g@example.org"]
    assert "x@example.net" in flaskmail("list", "show", "l@example.org").stdout
    # A command is about one type.
    for group in ("account", "role", "group"):
        done = flaskmail(group, "show" if group != "account" else "disable", "l@example.org")
        assert (done.exit_code, "of type list" in done.stderr) == (1, True)
    assert flaskmail("list", "delete", "l@example.org").exit_code == 0
    assert flaskmail("group", "delete", "g@example.org").exit_code == 0
    assert told("principal", "list", "--type", "group", "--type", "list") == []


def test_roles_and_keys(flaskmail: Command, told: Told) -> None:
    assert told("role", "create", "helpdesk", "--role", "user", "--permission", "individual-list")["id"]
    assert told("role", "allow", "helpdesk", "individual-get")["enabledPermissions"] == [
        "individual-list",
        "individual-get",
    ]
    key = told("api-key", "create", "watch", "--role", "helpdesk", "--network", "192.0.2.0/24", "--expires", "1d")
    assert key["secret"].startswith("api_")
    assert key["expires"] is not None
    assert key["secret"] not in json.dumps(told("api-key", "list"))
    assert "secret" not in told("api-key", "show", "watch")
    assert told("api-key", "set-expiry", "watch", "2099-12-31T12:00:00Z")["expires"] == "2099-12-31T12:00:00Z"
    assert told("api-key", "set-expiry", "watch", "2099-12-31")["expires"] == "2100-01-01T00:00:00Z"
    assert told("api-key", "set-expiry", "watch", "never")["expires"] is None
    assert told("api-key", "add-network", "watch", "198.51.100.1")["allowedNetworks"][1:] == ["198.51.100.1/32"]
    left = flaskmail("api-key", "remove-network", "watch", "192.0.2.0/24", "198.51.100.1")
    assert "allowedNetworks = none: it counts nowhere" in left.stdout
    assert "it counts nowhere" in flaskmail("api-key", "show", "watch").stdout
    # Everywhere again.
    assert told("principal", "set", "watch", "allowedNetworks")["allowedNetworks"] is None
    kept = flaskmail("role", "delete", "helpdesk")
    assert (kept.exit_code, "watch" in kept.stderr) == (1, True)
    shown = flaskmail("api-key", "create", "second").stdout
    assert shown.rstrip().rpartition("\n")[2].startswith("api_")
    for name in ("watch", "second"):
        assert flaskmail("api-key", "delete", name).exit_code == 0
    assert flaskmail("role", "delete", "helpdesk").exit_code == 0


def test_any_principal_field_by_field(flaskmail: Command, told: Told) -> None:
    made = told("principal", "create", "list", "l@example.org", "members=ann@example.org", "description=News")
    assert (made["members"], made["description"]) == (["ann@example.org"], "News")
    assert told("principal", "create", "domain", "bücher.example")["name"] == "xn--bcher-kva.example"
    assert told("principal", "set", "ann@example.org", "quota", "10kB")["quota"] == 10_000
    assert told("principal", "set", "ann@example.org", "disabled", "true")["disabled"] is True
    assert told("principal", "add", "l@example.org", "externalMembers", "x@example.net")["externalMembers"]
    assert told("principal", "remove", "l@example.org", "members", "ann@example.org")["members"] == []
    assert told("principal", "list", "--count", "--type", "list") == {"total": 1}
    assert flaskmail("principal", "set", "ann@example.org", "secrets", "-", input="another long one\n").exit_code == 0
    refused = flaskmail("principal", "delete-all", "list", input="y\n")
    assert (refused.exit_code, "say --yes" in refused.stderr) == (2, True)
    assert told("principal", "delete-all", "list", "--yes") == {"deleted": 1}
    assert told("principal", "delete", "ann@example.org")["name"] == "ann@example.org"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("principal", "set", "ann@example.org", "secrets", "in the open"), "command line"),
        (("principal", "create", "list", "l@example.org", "members"), "no field with a value"),
        (("principal", "set", "ann@example.org", "nonsense", "x"), "nonsense"),
        (("principal", "set", "ann@example.org", "quota", "lots"), "not a size"),
        (("principal", "set", "ann@example.org", "quota"), "one value"),
        (("api-key", "set-expiry", "x", "soon"), "such as 12h"),
        (("token", "create"), "ACCOUNT"),
        (("me", "show"), "--url"),
        (("me", "set-password"), "--url"),
        (("oauth-client", "set", "x"), "what to change"),
        (("logs", "--follow", "--since", "2026-01-31T12:00:00Z"), "--since"),
        (("--url", "ftp://example.org", "whoami"), "http"),
        (("--url", "http://mail.example.org", "whoami"), "https"),
    ],
)
def test_what_is_wrong_on_the_command_line(bare: Command, arguments: tuple[str, ...], words: str) -> None:
    done = bare(*arguments)
    assert (done.exit_code, done.stdout, words in done.stderr) == (2, "", True), done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("import", "/nowhere", "--account", "x"),
        ("restore", "/nowhere"),
        ("doctor",),
        ("expression", "1"),
        ("config", "check"),
    ],
)
def test_what_works_only_where_the_data_is(bare: Command, arguments: tuple[str, ...]) -> None:
    done = bare("--url", "https://mail.example.org", *arguments)
    assert (done.exit_code, "only where the data is" in done.stderr) == (2, True)
    assert bare("--url", "https://mail.example.org", *arguments, "--help").exit_code == 0


def test_refusals_are_problem_objects_for_scripts(flaskmail: Command) -> None:
    for arguments in (("account", "show", "nobody@example.org"), ("domain", "show", "nowhere.example")):
        done = flaskmail(*arguments, "--json")
        problem = json.loads(done.stderr)
        assert (done.exit_code, done.stdout, problem["status"], problem["item"]) == (1, "", 404, arguments[-1])
        assert problem["detail"] in flaskmail(*arguments).stderr
    # Those that are no operation's have the same form.
    done = flaskmail("token", "revoke", "t123", "--json")
    assert (done.exit_code, "token" in json.loads(done.stderr)["detail"]) == (1, True)


def test_wrong_settings_are_a_problem_object_for_scripts(flaskmail: Command, tmp_path: Any) -> None:
    (tmp_path / "config.toml").write_text("[account]\nquota = 'lots'\n")
    done = flaskmail("account", "list", "--json")
    assert (done.exit_code, [one["member"] for one in json.loads(done.stderr)["problems"]]) == (2, ["account.quota"])


def test_tokens_and_app_passwords(flaskmail: Command, told: Told) -> None:
    made = told("token", "create", "ann@example.org", "--name", "t", "--scope", "urn:ietf:params:jmap:mail")
    assert (made["token"][:4], made["scopes"]) == ("fmt_", ["urn:ietf:params:jmap:mail"])
    wrong = flaskmail("token", "create", "ann@example.org", "--scope", "all")
    assert (wrong.exit_code, "no scope" in wrong.stderr) == (2, True)
    phone = told("app-password", "create", "ann@example.org", "--name", "phone", "--expires", "1d")
    assert phone["password"].startswith("fma_")
    assert [one["id"] for one in told("token", "list")] == [made["id"]]
    assert told("token", "list", "ann@example.org") == told("token", "list")
    assert [one["id"] for one in told("app-password", "list", "ann@example.org")] == [phone["id"]]
    listed = told("account", "credentials", "ann@example.org")
    assert {one["kind"] for one in listed} == {"token", "app-password"}
    assert told("account", "show", "ann@example.org")["tokens"] == 1
    assert told("token", "revoke", made["id"])["account"] == "ann@example.org"
    assert told("account", "revoke", "ann@example.org", phone["id"])["id"] == phone["id"]
    assert told("account", "credentials", "ann@example.org") == []


def test_what_else_there_is_to_see(flaskmail: Command, told: Told) -> None:
    found = told("permission", "list", "api-key")
    assert {one["name"] for one in found["permissions"]} == {
        f"api-key-{action}" for action in ("create", "delete", "get", "list", "update")
    }
    assert "individual-list" in flaskmail("permission", "list").stdout
    assert flaskmail("config", "set", "account.quota", "5 GB").exit_code == 0
    assert flaskmail("config", "get", "account.quota").stdout == "5 GB\n"
    nothing = flaskmail("config", "get", "server.http.url", "server.http")
    assert (nothing.exit_code, nothing.output) == (0, "")
    misspelt = flaskmail("config", "get", "server.http.uri")
    assert (misspelt.exit_code, "no setting server.http.uri" in misspelt.stderr) == (1, True)
    assert "did you mean 'server.http.url'?" in flaskmail("config", "set", "server.http.uri", "x").stderr
    assert [one["key"] for one in told("config", "schema", "account.quota")] == ["account.quota"]
    assert "account.quota" in flaskmail("config", "schema", "account.quota").stdout
    assert flaskmail("reload").exit_code == 0
    assert isinstance(told("logs"), list)
    assert flaskmail("blob", "get", "nothing").exit_code == 1
    assert flaskmail("job", "wait", "nothing").exit_code == 1
    assert any(one["operation"] == "setting.change" for one in told("audit"))


def test_the_table_of_changes_begins_with_what_was_named(flaskmail: Command) -> None:
    assert '{"type": "individual", "name": "ann@example.org"' in flaskmail("audit").stdout


def test_a_built_in_role_is_called_so(flaskmail: Command) -> None:
    done = flaskmail("role", "delete", "admin")
    assert (done.exit_code, "built in" in done.stderr) == (1, True), done.output


@pytest.mark.parametrize(
    "words",
    [
        ("account", "delete", "--yes", ""),
        ("account", "add-address", "", "x@example.org"),
        ("principal", "delete", "--yes", ""),
        ("oauth-client", "delete", ""),
        ("domain", "delete", ""),
        ("dkim", "show", ""),
        ("job", "cancel", ""),
        ("account", "show", "\udcff"),
        ("account", "list", "\udcff"),
    ],
)
def test_an_empty_name_is_not_everybody(flaskmail: Command, words: tuple[str, ...]) -> None:
    done = flaskmail(*words)
    assert (done.exit_code, done.stdout) == (2, ""), done.output
    assert "must not be empty" in done.stderr or "is not text in UTF-8" in done.stderr
