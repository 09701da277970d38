"""What people do with their own account: the password, the second factor, app passwords."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from flaskmail.accounts.drafts import Unfit
from flaskmail.accounts.faults import BadPassword
from flaskmail.accounts.principals import Principal
from flaskmail.accounts.strength import check_strength
from flaskmail.accounts.totp import WrongCode
from flaskmail.errors import RequestError
from flaskmail.management.credentials import PERMISSION, Label, NewSecret, Scopes, check_new, make, own
from flaskmail.management.operation import Call, Members, Resource
from flaskmail.management.refusals import not_found
from flaskmail.management.shapes import Moment, Password

resource = Resource("account", "Your own account: how you sign in.")

T = TypeVar("T")

Code = Annotated[str, Meta(min_length=1, max_length=40)]


class Auth(Struct, rename="camel"):
    """How you sign in. appPasswords: their names; recoveryCodes: how many are left."""

    otp_enabled: bool
    app_passwords: list[str]
    recovery_codes: int


class _Step(Members, tag_field="type", kw_only=True):
    """Base of one step."""


class SetPassword(_Step, tag="setPassword"):
    """Another main password; sessions in browsers end."""

    password: Password


class EnableOtpAuth(_Step, tag="enableOtpAuth"):
    """Begin with a second factor: the answer has the URL for an authenticator app. url: null, as the server makes it."""

    url: None = None


class ConfirmOtpAuth(_Step, tag="confirmOtpAuth"):
    """Put the second factor to use, with a code of it. The answer has the recovery codes."""

    code: Code


class DisableOtpAuth(_Step, tag="disableOtpAuth"):
    """Remove the second factor. url: of no use any more."""

    url: Annotated[str, Meta(max_length=2000)] | None = None


class AddAppPassword(_Step, tag="addAppPassword"):
    """A password for one program. scopes: null for everything in JMAP; expires: null for never. password: null, as the server
    makes it."""

    name: Label
    scopes: Scopes | None = None
    expires: Moment | None = None
    password: None = None


class RemoveAppPassword(_Step, tag="removeAppPassword"):
    """End the app passwords of this name."""

    name: Label


Step = SetPassword | EnableOtpAuth | ConfirmOtpAuth | DisableOtpAuth | AddAppPassword | RemoveAppPassword


class Proof(Members):
    """Steps, with the proof that it is you. currentPassword, and where there is a second factor its code (or a recovery code):
    wanted for the password and the second factor, unless you sign in with the password (Basic)."""

    steps: Annotated[list[Step], Meta(min_length=1, max_length=100)]
    current_password: Password | None = None
    code: Code | None = None


class Made(Struct, rename="camel"):
    """What steps have made; none of it is shown again. otpAuthUrl: for an authenticator app."""

    app_passwords: list[NewSecret] = []
    otp_auth_url: str | None = None
    recovery_codes: list[str] = []


@resource.operation("GET", "/account/auth", "account.auth", permissions=PERMISSION, answer=Auth)
def auth(call: Call) -> Auth:
    """See how you sign in."""
    owner = own(call)
    directory = call.server.directory
    factor = directory.second_factors.get(owner.id)
    names = [one.name for one in directory.tokens.all(owner) if one.kind == "app-password"]
    return Auth(factor is not None, names, 0 if factor is None else factor.recovery_codes)


@resource.operation(
    "POST",
    "/account/auth",
    "account.auth.update",
    permissions=PERMISSION,
    body=Annotated[list[Step], Meta(min_length=1, max_length=100)] | Proof,
    answer=Made | None,
    refuses={
        403: "The permission is missing, it has to be proven that it is you, or a scope is more than this credential has.",
        404: "There is no app password of that name, or no such scope.",
        409: "There is a second factor already; or a password is too weak, an expiry is past.",
    },
    example=[{"type": "addAppPassword", "name": "phone"}],
)
def update(call: Call, body: Sequence[Step] | Proof) -> Made | None:
    """Change how you sign in; all steps, or none where one is refused.

    The body is the list of steps, as the old API had it, or an object with them and the proof that it is you. Null comes back
    when nothing was made that has to be shown."""
    owner = own(call)
    steps = body.steps if isinstance(body, Proof) else body
    if any(isinstance(step, (SetPassword, EnableOtpAuth, ConfirmOtpAuth, DisableOtpAuth)) for step in steps):
        _prove(call, owner, body if isinstance(body, Proof) else None)
    _check(call, owner, steps)
    made = Made()
    # Nothing but a wrong code can be refused now: what asks for one goes first.
    for step in sorted(steps, key=lambda step: not isinstance(step, (EnableOtpAuth, ConfirmOtpAuth, DisableOtpAuth))):
        _take(call, owner, step, made)
    call.changed = [{"type": step.__struct_config__.tag, "name": getattr(step, "name", None)} for step in steps]
    return made if made != Made() else None


def _take(call: Call, owner: Principal, step: Step, made: Made) -> None:
    directory = call.server.directory
    match step:
        case SetPassword(password=password):
            directory.principals.set_password(owner.name, directory.passwords.hash(password))
        case EnableOtpAuth():
            directory.second_factors.enrol(owner)
            enrolment = directory.second_factors.enrolment(owner, urlsplit(call.base_url()).hostname or "flaskmail")
            made.otp_auth_url = None if enrolment is None else enrolment.uri
        case ConfirmOtpAuth(code=code):
            made.recovery_codes = _with_code(lambda: directory.second_factors.confirm(owner, code))
        case DisableOtpAuth():
            directory.second_factors.remove(owner)
        case AddAppPassword():
            made.app_passwords.append(make(call, owner, "app-password", step.name, step.scopes, step.expires))
        case RemoveAppPassword(name=name):
            for one in directory.tokens.all(owner):
                if (one.kind, one.name) == ("app-password", name):
                    directory.tokens.revoke(one.id)


# ----
def _check(call: Call, owner: Principal, steps: Sequence[Step]) -> None:
    """Refuses what can be seen to be wrong before anything is done."""
    directory, settings = call.server.directory, call.server.settings
    names = {one.name for one in directory.tokens.all(owner) if one.kind == "app-password"}
    for step in steps:
        match step:
            case SetPassword(password=password):
                try:
                    check_strength(password, owner.name, settings.authentication.password.min_length)
                except BadPassword as error:
                    # What is strong enough is a setting: no fault of the request's form.
                    raise Unfit("password", str(error)) from None
            case AddAppPassword():
                check_new(call, owner, step.scopes, step.expires)
                names.add(step.name)
            case RemoveAppPassword(name=name):
                if name not in names:
                    raise not_found("app password", name)
                names.discard(name)


def _prove(call: Call, owner: Principal, proof: Proof | None) -> None:
    """Raises RequestError 403 unless it is its owner who asks, and not a program that he gave a credential."""
    directory = call.server.directory
    if owner.grant.kind != "password":
        if proof is None or proof.current_password is None:
            raise RequestError(
                403,
                "It has to be proven that it is you: sign in with your password (Basic), or send an object with steps and"
                " currentPassword.",
                extra={"member": "currentPassword", "expected": "your present password"},
            )
        if directory.sign_in.again(owner, proof.current_password, call.address) is None:
            raise RequestError(
                403,
                "The present password is wrong.",
                extra={"member": "currentPassword", "expected": "your present password"},
            )
    if directory.second_factors.has_second_factor(owner.id):
        code = None if proof is None else proof.code
        if code is None:
            raise RequestError(403, "A code of your second factor is wanted.", extra={"member": "code"})
        _with_code(lambda: directory.second_factors.check(owner, code))


def _with_code(use: Callable[[], T]) -> T:
    try:
        return use()
    except WrongCode as error:
        if error.wait:
            raise RequestError(
                429, "Too many wrong codes. Wait before trying again.", headers={"Retry-After": str(error.wait)}
            ) from None
        raise RequestError(
            403, "The code is wrong, was used before, or is too old.", extra={"member": "code"}
        ) from None
