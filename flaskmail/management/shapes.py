"""What the members of principals look like: told in the document, and checked where people understand what is said."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from flaskmail.accounts.permissions import PERMISSIONS
from flaskmail.management.audit import MOMENT


def _shaped(pattern: str, **more: Any) -> Meta:
    return Meta(extra_json_schema={"pattern": f"^{pattern}$"}, **more)


LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
"""A part of a host name (RFC 1123 section 2.1)."""
_ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_ADDRESS = rf"(?=.{{1,64}}@){_ATOM}(?:\.{_ATOM})*@(?:{LABEL}\.)*(?![0-9]+$){LABEL}"
_PLAIN = "[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_PRINTED = r"[^\x00-\x1f\x7f]"

_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_GROUP = "[0-9A-Fa-f]{1,4}"
_SHORT = "|".join(rf"(?:{_GROUP}:){{{before}}}(?::{_GROUP}){{1,{7 - before}}}" for before in range(1, 7))
_IPV4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}(?:/(?:3[0-2]|[12]?[0-9]))?"
V6 = rf"(?:{_GROUP}:){{7}}{_GROUP}|{_SHORT}|(?:{_GROUP}:){{1,7}}:|:(?::{_GROUP}){{1,7}}|::"
"""An IPv6 address (RFC 4291 section 2.2)."""
PORT = "(?:6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})"
"""The number of a port."""
_IPV6 = f"(?:{V6})(?:/(?:12[0-8]|1[01][0-9]|[1-9]?[0-9]))?"

Address = Annotated[str, _shaped(_ADDRESS, min_length=3, max_length=254, description="An address: name@domain.")]
Plain = Annotated[
    str, _shaped(_PLAIN, min_length=1, max_length=64, description="A name of letters, digits, '.', '_', '-'.")
]
AnyName = Annotated[str, _shaped(f"(?:{_PLAIN}|{_ADDRESS})", min_length=1, max_length=254)]
Named = Annotated[str, Meta(min_length=1, max_length=320, description="A name, or an id.")]
Text = Annotated[str, _shaped(f"{_PRINTED}*", max_length=1000, description="A text of one line.")]
Password = Annotated[str, _shaped(f"(?![$]){_PRINTED}+", min_length=1, max_length=200)]
Permission = Annotated[str, Meta(extra_json_schema={"enum": sorted(PERMISSIONS)})]
Cidr = Annotated[str, _shaped(f"(?:{_IPV4}|{_IPV6})", max_length=50, description="A network, or one address.")]
Quota = Annotated[int, Meta(ge=0, lt=2**53)]
Moment = Annotated[str, Meta(max_length=40, extra_json_schema=MOMENT)]

_MANY = Meta(max_length=10_000)
Addresses = Annotated[list[Address], _MANY] | Address
Texts = Annotated[list[Text], _MANY] | Text
References = Annotated[list[Named], _MANY] | Named
Roles = Annotated[list[Plain], _MANY] | Plain
Permissions = Annotated[list[Permission], _MANY] | Permission
Networks = Annotated[list[Cidr], _MANY] | Cidr
Secrets = Annotated[list[Password], Meta(max_length=1)] | Password
"""Several of them, or one by itself. Of secrets there is one at most."""

None_ = Annotated[list[str], Meta(max_length=0)] | Annotated[str, Meta(max_length=0)]
"""Where clients of the old API send an empty list of what a type has not."""
Zero = Annotated[int, Meta(ge=0, le=0)]
