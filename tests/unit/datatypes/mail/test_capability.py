from __future__ import annotations

from flaskmail.datatypes import mail
from flaskmail.jmap.context import AccountAccess, Limits


def test_the_session_tells_the_limits_of_mail_per_account() -> None:
    (capability,) = mail.CAPABILITIES
    assert capability.urn == "urn:ietf:params:jmap:mail"
    assert capability.session(Limits()) == {}
    assert capability.account is not None
    access = AccountAccess("a1", "ann@example.com")
    assert capability.account(access, Limits(maxMailboxDepth=5)) == {
        "maxMailboxesPerEmail": None,
        "maxMailboxDepth": 5,
        "maxSizeMailboxName": 255,
        "maxSizeAttachmentsPerEmail": 50_000_000,
        "emailQuerySortOptions": [
            "receivedAt",
            "size",
            "from",
            "to",
            "subject",
            "sentAt",
            "hasKeyword",
            "allInThreadHaveKeyword",
            "someInThreadHaveKeyword",
        ],
        "mayCreateTopLevelMailbox": True,
    }
    reader = AccountAccess("a1", "ann@example.com", is_read_only=True)
    assert capability.account(reader, Limits())["mayCreateTopLevelMailbox"] is False


def test_mail_implies_what_lax_clients_use() -> None:
    (capability,) = mail.CAPABILITIES
    prefix = "urn:ietf:params:jmap:"
    assert capability.implies == (prefix + "submission", prefix + "vacationresponse", prefix + "quota")


def test_every_type_and_method_belongs_to_the_capability() -> None:
    assert {kind.name for kind in mail.types()} >= {"Mailbox", "Thread"}
    assert {kind.capability for kind in mail.types()} == {mail.MAIL}
    assert {method.capability for method in mail.METHODS} == {mail.MAIL}
    assert "SearchSnippet/get" in {method.name for method in mail.METHODS}
