"""The keys with which domains sign their mail (DKIM). No answer has a private key."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from flaskmail.accounts.dkim import ID, Algorithm, BadKey, DkimKey, KeyTaken, default_id, is_own_id
from flaskmail.accounts.domains import local_domain
from flaskmail.accounts.faults import BadName
from flaskmail.decisions.dnsrecords import PublicKey, dkim_record
from flaskmail.errors import RequestError
from flaskmail.management.dns import DnsRecord, shown
from flaskmail.management.domains import DomainName, found, written
from flaskmail.management.operation import Call, Listing, Members, Paged, Resource
from flaskmail.management.refusals import exists, invalid
from flaskmail.management.shapes import LABEL

resource = Resource("dkim", "The keys with which domains sign their mail (DKIM). No answer has a private key.")


class KeyInfo(Struct, rename="camel"):
    """A key. publicKey: base64; record: the DNS record that has it."""

    id: str
    domain: str
    selector: str
    algorithm: Literal["Rsa", "Ed25519"]
    public_key: str
    record: DnsRecord
    created: str


class KeyQuery(Paged, kw_only=True):
    """Which keys."""

    filter: Annotated[str, Meta(max_length=300, description="Stands in the id, the domain or the selector.")] = ""
    domain: Annotated[str, Meta(max_length=300, description="Only those of this domain.")] | None = None


class NewDkimKey(Members):
    """A key to make. id: by default the algorithm and the domain, rsa-example.org; selector: by default the year, the month,
    and r or e."""

    domain: DomainName
    algorithm: Literal["Rsa", "Ed25519", "rsa", "ed25519"] = "Rsa"
    # Told here; that they fit is checked where people are given a sentence.
    id: Annotated[str, Meta(extra_json_schema={"pattern": f"^{ID}$"})] | None = None
    selector: (
        Annotated[str, Meta(min_length=1, max_length=240, extra_json_schema={"pattern": rf"^{LABEL}(?:\.{LABEL})*$"})]
        | None
    ) = None


def _info(key: DkimKey) -> KeyInfo:
    return KeyInfo(
        id=key.id,
        domain=key.domain,
        selector=key.selector,
        algorithm="Rsa" if key.algorithm == "rsa" else "Ed25519",
        public_key=key.public,
        record=shown(dkim_record(key.domain, PublicKey(key.selector, key.algorithm, key.public))),
        created=key.created,
    )


@resource.operation(
    "GET", "/dkim", "dkim.list", permissions=("dkim-signature-get",), query=KeyQuery, answer=Listing[KeyInfo]
)
def keys(call: Call, query: KeyQuery) -> Listing[KeyInfo]:
    """List the DKIM keys."""
    within = call.access.domain
    if query.domain is not None:
        try:
            wanted = local_domain(query.domain)
        except BadName:
            return Listing(items=[], total=0)
        if not call.access.reaches(wanted):
            return Listing(items=[], total=0)
        within = wanted
    first, last = query.span
    some, total = call.server.directory.dkim.page(
        query.filter, start=first, limit=None if last is None else last - first, within=within
    )
    return Listing(items=[_info(key) for key in some], total=total)


@resource.operation(
    "POST",
    "/dkim",
    "dkim.create",
    permissions=("dkim-signature-create",),
    body=NewDkimKey,
    refuses={404: "There is no such domain.", 409: "There is a key with this id, or with this selector in the domain."},
    example={"domain": "example.org", "algorithm": "Rsa"},
)
def create(call: Call, body: NewDkimKey) -> None:
    """Make a DKIM key.

    GET /dns/records/{domain} has its DNS record from then on."""
    domain = found(call, written("domain", body.domain)).name
    algorithm: Algorithm = "rsa" if body.algorithm.lower() == "rsa" else "ed25519"
    if call.access.domain is not None and body.id is not None and not is_own_id(body.id, domain):
        # Ids are one set for all domains; whoever reaches one domain learns nothing of the others by trying ids.
        own = default_id(algorithm, domain)
        raise RequestError(
            403,
            f"Without the permission all-domains the id is a word without hyphens, a hyphen and the domain, like {own!r}.",
            extra={"permission": "all-domains", "member": "id"},
        )
    try:
        call.server.directory.dkim.create(domain, algorithm, id=body.id, selector=body.selector)
    except BadKey as error:
        raise invalid(error.member, str(error)) from None
    except KeyTaken as error:
        told = f"There is a DKIM key with the {error.member} {error.value!r} already."
        raise exists(error.member, error.value, told) from None


@resource.operation("GET", "/dkim/{id}", "dkim.get", permissions=("dkim-signature-get",), answer=str)
def public_key(call: Call, id: str) -> str:
    """Give the public key in base64, as its DNS record has it."""
    return call.server.directory.dkim.get(id, within=call.access.domain).public


@resource.operation("DELETE", "/dkim/{id}", "dkim.delete", permissions=("dkim-signature-delete",))
def delete(call: Call, id: str) -> None:
    """Delete a DKIM key for good.

    Leave its DNS record for some days: mail that is still on its way is checked with it."""
    call.server.directory.dkim.delete(id, within=call.access.domain)
