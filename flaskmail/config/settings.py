"""Every setting, declared once: its key (section and field name, ``_`` for ``-``), kind, default, doc and example.

:class:`Settings` is the frozen tree of all of them. Everything else is derived from these declarations: the loader,
``config.example.toml``, ``docs/configuration.md`` and the command ``flaskmail config``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from flaskmail.config import kinds
from flaskmail.config.declaring import Declaration as Declaration
from flaskmail.config.declaring import setting as setting
from flaskmail.config.declaring import tables_of
from flaskmail.config.dns import Dns
from flaskmail.config.kinds import Rate, Rules
from flaskmail.config.listening import Listener, Tls
from flaskmail.config.lookups import Plain, Tables, plain
from flaskmail.config.managing import Management
from flaskmail.config.oauth import OAuth
from flaskmail.config.observing import Log, Metrics
from flaskmail.config.publishing import Discovery, Session
from flaskmail.config.signingin import BrowserSession, ChosenPassword

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ServerHttpRateLimit:
    """How many requests are answered; more get the status 429 with Retry-After. All workers on one machine count together.
    Health checks, preflights and trusted proxies are never limited. Switch both off for load tests and conformance suites."""

    anonymous: Rate | None = setting(
        kinds.LIMIT,
        Rate(100, 60),
        "Requests without credentials from one client: an IPv4 address, or the /64 of an IPv6 address.",
    )
    account: Rate | None = setting(kinds.LIMIT, Rate(1000, 60), "Requests of one account, from wherever they come.")


@dataclass(frozen=True, slots=True)
class ServerHttp:
    """Who the clients are, what they are told about where the server is, and the headers that leave. docs/behind-a-proxy.md
    explains how these settings work together."""

    url: Rules | None = setting(
        kinds.optional(kinds.EXPRESSION),
        None,
        "The base URL under which clients reach the server, as it stands or as an expression: every URL in the session object "
        "starts with it, and redirects lead there. Unset: the protocol, the name lookup.default.hostname and the port, as the "
        "client uses them. The Host header is never used.",
        example='"https://mail.example.org"',
    )
    headers: tuple[str, ...] = setting(
        kinds.TEXTS,
        (),
        'Header fields for every response, each as "Name: value". They replace what the server would send itself.',
        example='["Server: mail", "X-Frame-Options: DENY"]',
    )
    use_x_forwarded: bool = setting(
        kinds.BOOLEAN,
        False,
        "Take the client's address and protocol from the headers of trusted proxies. Off: such headers are deleted unread.",
    )
    trusted_proxies: tuple[str, ...] = setting(
        kinds.TEXTS,
        ("private",),
        "Peers that are believed: networks, addresses, or the names loopback (127.0.0.0/8, ::1), private (loopback, "
        "RFC 1918, RFC 4193 and link-local networks, Unix sockets) and unix (Unix sockets).",
        example='["10.1.2.0/24", "unix"]',
    )
    forwarded_header: str = setting(
        kinds.choice("x-forwarded", "forwarded", "auto"),
        "x-forwarded",
        "What the proxy writes: the X-Forwarded-* headers, or Forwarded (RFC 7239). auto reads both, and refuses requests in "
        "which they contradict each other.",
    )
    forwarded_fields: tuple[str, ...] = setting(
        kinds.choices("for", "proto", "host"),
        ("for", "proto"),
        "What is believed: the client's address, its protocol, the host that it asked for. Name host only when the proxy "
        "sets or removes it.",
    )
    hsts: bool | tuple[tuple[str, object], ...] = setting(
        kinds.FLAG_OR_TABLE,
        False,
        "Strict-Transport-Security on responses that are secure as the client sees them: true for a year, or a table with "
        "max-age (seconds), include-subdomains and preload.",
        example="{ max-age = 63072000, include-subdomains = true }",
    )
    https_redirect: bool | None = setting(
        kinds.optional(kinds.BOOLEAN),
        None,
        "Send clients that come over plain HTTP to the https address (308), and refuse credentials that they bring. Unset: "
        "when hsts is on. Health checks and ACME challenges stay.",
        example="true",
    )
    permissive_cors: bool = setting(
        kinds.BOOLEAN, False, "Let the pages of every origin read responses. Never with the browser's credentials."
    )
    cors_origins: tuple[str, ...] = setting(
        kinds.TEXTS,
        (),
        "Let the pages of these origins read responses. One star may stand for the first label.",
        example='["https://webmail.example.org", "https://*.example.com"]',
    )
    cors_exclude: tuple[str, ...] = setting(
        kinds.TEXTS,
        ("/login", "/logout", "/authorize", "/consent", "/device", "/account"),
        "Paths that no page of another origin may ever read, with all below them.",
    )
    allowed_endpoint: Rules = setting(
        kinds.STATUS,
        "200",
        "A status, or an expression that gives one for a request: 200 lets it pass, any other from 400 to 599 is the answer. "
        "An expression that fails closes with 403. Requests of this machine's own always pass.",
        example="\"if_then(starts_with(url_path, '/api') && !is_tls, 404, 200)\"",
    )
    rate_limit: ServerHttpRateLimit = ServerHttpRateLimit()


@dataclass(frozen=True, slots=True)
class LookupDefault:
    """What expressions look up: key_get('default', 'hostname'). More keys of your own may stand here, and in tables of your own,
    [lookup.<name>]: texts, numbers, true, false, and lists of them."""

    hostname: str | None = setting(
        kinds.optional(kinds.TEXT),
        None,
        "The name under which clients know this server. Unset: localhost when it listens on the loopback interface or a Unix "
        "socket only, else the machine's full name.",
        example='"mail.example.org"',
    )


@dataclass(frozen=True, slots=True)
class Lookup:
    """What expressions look up. tables: the keys and tables of the administrator's choice."""

    default: LookupDefault = LookupDefault()
    tables: Tables = dataclasses.field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Server:
    """The listeners and the processes behind them. Options given to gunicorn on its command line win over these settings."""

    bind: tuple[str, ...] = setting(
        kinds.BIND,
        ("127.0.0.1:8080",),
        'Where to listen: "host:port", "[ipv6]:port" or "unix:/path". An address that others can reach is used only '
        "when it is named here.",
        reloadable=False,
    )
    workers: int = setting(kinds.integer(1, 256), 2, "Worker processes. One or two for each processor.", live=False)
    threads: int = setting(
        kinds.integer(1, 4096), 64, "Threads of each worker: as many requests are worked on at once.", live=False
    )
    worker_class: str = setting(
        kinds.choice("gthread", "sync"),
        "gthread",
        "How a worker serves: in threads, or one request at a time (sync).",
        reloadable=False,
    )
    keep_alive: int = setting(
        kinds.duration(0, 3600), 75, "How long an idle connection is kept open for the next request.", live=False
    )
    timeout: int = setting(
        kinds.duration(1, 86400),
        60,
        "A worker that gives no sign of life for so long is killed and replaced. It is no limit for a request.",
        live=False,
    )
    graceful_timeout: int = setting(
        kinds.duration(1, 3600),
        30,
        "How long requests in work may take to end when the server stops or reloads.",
        live=False,
    )
    backlog: int = setting(kinds.integer(1, 65535), 2048, "Connections that may wait to be accepted.", reloadable=False)
    max_connections: int = setting(
        kinds.integer(1, 1_000_000), 4000, "Open connections of one worker, idle ones included.", live=False
    )
    limit_request_line: int = setting(
        kinds.integer(512, 8190), 4094, "Octets of a request line; a longer one is answered 414.", live=False
    )
    limit_request_fields: int = setting(
        kinds.integer(8, 1000), 60, "Header fields of a request; more are answered 431.", live=False
    )
    limit_request_field_size: int = setting(
        kinds.integer(512, 65536), 8190, "Octets of one header field; a longer one is answered 431.", live=False
    )
    access_log: str | None = setting(
        kinds.LOG,
        "-",
        'One line for each request: a path, "-" for standard output, or false for none.',
        live=False,
        only_file=True,
    )
    log_level: str = setting(
        kinds.choice("debug", "info", "warning", "error", "critical"),
        "info",
        "The least urgent messages that are logged.",
        live=False,
    )
    tls: Tls = Tls()
    http: ServerHttp = ServerHttp()
    listener: Mapping[str, Listener] = tables_of(Listener)

    def listeners(self) -> Mapping[str, Listener]:
        """The listeners by their ids; without tables of their own the one, ``default``, that ``bind`` and ``tls`` say."""
        return self.listener or {"default": Listener(bind=self.bind, tls=self.tls)}


@dataclass(frozen=True, slots=True)
class Storage:
    """Where everything is kept."""

    path: Path = setting(
        kinds.PATH,
        Path("data"),
        "The folder of the data; it is made when it is missing. The environment variable FLASKMAIL_DATA wins over "
        "this setting.",
        example='"/var/lib/flaskmail"',
        reloadable=False,
        only_file=True,
    )
    backup_path: Path | None = setting(
        kinds.optional(kinds.PATH),
        None,
        "The folder for backups that the management API is asked for, each in a folder of its own that is named by the time; "
        "`flaskmail backup` uses it when no other place is given. It must be there, and not in the data folder.",
        example='"/var/backups/flaskmail"',
        only_file=True,
    )


@dataclass(frozen=True, slots=True)
class ProtocolRequest:
    """Limits of one API request."""

    max_size: int = setting(
        kinds.size(1000, 1_000_000_000), 10_000_000, "maxSizeRequest: octets of the body of an API request."
    )
    max_calls: int = setting(kinds.integer(1, 1000), 64, "maxCallsInRequest: method calls in one request.")
    max_concurrent: int = setting(
        kinds.integer(1, 1000), 16, "maxConcurrentRequests: API requests of one user at once."
    )


@dataclass(frozen=True, slots=True)
class ProtocolGet:
    """Limits of /get."""

    max_objects: int = setting(kinds.integer(1, 100_000), 500, "maxObjectsInGet: objects that one /get may ask for.")


@dataclass(frozen=True, slots=True)
class ProtocolSet:
    """Limits of /set."""

    max_objects: int = setting(
        kinds.integer(1, 100_000),
        500,
        "maxObjectsInSet: objects that one /set may create, update and destroy, together.",
    )


@dataclass(frozen=True, slots=True)
class ProtocolUpload:
    """Limits of uploads."""

    max_size: int = setting(kinds.size(1000), 50_000_000, "maxSizeUpload: octets of one uploaded file.")
    max_concurrent: int = setting(kinds.integer(1, 1000), 4, "maxConcurrentUpload: uploads of one user at once.")


@dataclass(frozen=True, slots=True)
class ProtocolQuery:
    """Limits of /query."""

    max_results: int = setting(kinds.integer(1, 1_000_000), 5000, "Ids that one /query answers at most.")


@dataclass(frozen=True, slots=True)
class ProtocolChanges:
    """Limits of /changes."""

    max_results: int = setting(
        kinds.integer(1, 1_000_000), 5000, "Ids that one /changes answers at most; the client asks on for the rest."
    )
    max_history: int = setting(
        kinds.integer(1000, 1_000_000_000),
        250_000,
        "The newest changes of an account, for which it remembers what was destroyed. A client whose state is older may have to "
        "read everything again (cannotCalculateChanges).",
    )


@dataclass(frozen=True, slots=True)
class ProtocolSearchSnippet:
    """Limits of SearchSnippet/get."""

    max_results: int = setting(kinds.integer(1, 100_000), 500, "Messages that one SearchSnippet/get may name.")


@dataclass(frozen=True, slots=True)
class Protocol:
    """Limits of RFC 8620, advertised in the session object where it has a place for them."""

    request: ProtocolRequest = ProtocolRequest()
    get: ProtocolGet = ProtocolGet()
    set: ProtocolSet = ProtocolSet()
    upload: ProtocolUpload = ProtocolUpload()
    query: ProtocolQuery = ProtocolQuery()
    changes: ProtocolChanges = ProtocolChanges()
    search_snippet: ProtocolSearchSnippet = ProtocolSearchSnippet()


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Limits of mailboxes."""

    max_depth: int = setting(kinds.integer(1, 100), 10, "maxMailboxDepth: how deep mailboxes may be nested.")
    max_name_length: int = setting(
        kinds.integer(100, 10_000), 255, "maxSizeMailboxName: octets of the name of a mailbox."
    )


@dataclass(frozen=True, slots=True)
class EmailParse:
    """Limits of Email/parse."""

    max_items: int = setting(kinds.integer(1, 1000), 10, "Blobs that one Email/parse may name.")


@dataclass(frozen=True, slots=True)
class Email:
    """Limits of messages."""

    max_size: int = setting(kinds.size(1000), 75_000_000, "Octets of a whole message.")
    max_attachment_size: int = setting(
        kinds.size(1000),
        50_000_000,
        "maxSizeAttachmentsPerEmail: octets of all attachments of a message that a client builds, before encoding.",
    )
    parse: EmailParse = EmailParse()


@dataclass(frozen=True, slots=True)
class Jmap:
    """The JMAP protocol."""

    strict_using: bool = setting(
        kinds.BOOLEAN,
        False,
        "Refuse methods of the submission, vacation response and quota capabilities to a client that names only "
        "urn:ietf:params:jmap:mail in its request. Many clients forget to name them.",
    )
    protocol: Protocol = Protocol()
    mailbox: Mailbox = Mailbox()
    email: Email = Email()


@dataclass(frozen=True, slots=True)
class Argon2:
    """What checking a password costs (Argon2id, RFC 9106). New values hold for passwords set from then on."""

    memory: int = setting(kinds.size(8 * 1024, 4 * 1024**3), 19 * 1024**2, "Memory of one check.")
    time_cost: int = setting(kinds.integer(1, 100), 2, "Passes over the memory.")
    parallelism: int = setting(kinds.integer(1, 64), 1, "Lanes, each a thread of its own.")
    concurrency: int = setting(
        kinds.integer(1, 64),
        2,
        "Checks at once in one worker; others wait. Bounds the memory that wrong passwords can cost.",
    )


@dataclass(frozen=True, slots=True)
class Authentication:
    """Who may come in."""

    basic: bool = setting(
        kinds.BOOLEAN, True, "Accept a name and password (HTTP Basic). Tokens (Bearer) are always accepted."
    )
    fail_rate: Rate = setting(
        kinds.RATE,
        Rate(10, 60),
        "Wrong passwords for one name or from one address, before further attempts are put off.",
    )
    cache_ttl: int = setting(
        kinds.duration(0, 86400),
        300,
        "How long a worker remembers that a password or token was right. A changed password counts at once.",
    )
    argon2: Argon2 = Argon2()
    session: BrowserSession = BrowserSession()
    password: ChosenPassword = ChosenPassword()


@dataclass(frozen=True, slots=True)
class Account:
    """What holds for every account."""

    quota: int | None = setting(
        kinds.optional(kinds.size(1000)), None, "Octets that an account may hold. Unset: no limit.", example='"10 GB"'
    )


@dataclass(frozen=True, slots=True)
class Plugins:
    """Plugins: those of installed packages are found by themselves. A table [plugins.<name>] is for the plugin of that name;
    what belongs into it stands in the plugin's documentation."""

    paths: tuple[Path, ...] = setting(
        kinds.PATHS,
        (),
        "Folders whose *.py files are loaded as plugins, in the order of their names, and single files.",
        example='["plugins/request_id.py"]',
        reloadable=False,
        only_file=True,
    )
    disabled: tuple[str, ...] = setting(
        kinds.NAMES,
        (),
        "Names of plugins that are not loaded: nothing of them is run.",
        example='["note"]',
        reloadable=False,
    )
    options: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, typed and checked: ``settings.server.http.url``.

    source: the file they came from, None when there is none. origins: dotted key -> the file or the environment variable
    it came from; a key that is missing has its default. written: dotted key -> what stands in the file, for values
    with a ``%{…}%`` in them.
    """

    server: Server = Server()
    lookup: Lookup = Lookup()
    storage: Storage = Storage()
    jmap: Jmap = Jmap()
    authentication: Authentication = Authentication()
    oauth: OAuth = OAuth()
    account: Account = Account()
    dns: Dns = Dns()
    discovery: Discovery = Discovery()
    session: Session = Session()
    log: Log = Log()
    metrics: Metrics = Metrics()
    management: Management = Management()
    plugins: Plugins = Plugins()
    source: Path | None = dataclasses.field(default=None, compare=False)
    origins: Mapping[str, str] = dataclasses.field(default_factory=dict, compare=False, repr=False)
    written: Mapping[str, str] = dataclasses.field(default_factory=dict, compare=False, repr=False)

    def value(self, key: str) -> Any:
        """The value under a dotted key as in the file; AttributeError or KeyError when there is no such setting."""
        found: Any = self
        for part in key.split("."):
            found = found[part] if isinstance(found, Mapping) else getattr(found, part.replace("-", "_"))
        return found

    def readable(self) -> dict[str, Plain]:
        """Every setting that is no secret, by its dotted key, as expressions read it with ``config_get``."""
        return {one.key: plain(self.value(one.key)) for one in declarations() if not one.secret}

    @property
    def folder(self) -> Path:
        """Where relative paths in the file start from."""
        return Path.cwd() if self.source is None else self.source.parent

    def origin(self, key: str) -> str:
        """Where the value of a dotted key comes from: "default", the path of the file, or a variable of the environment."""
        return self.origins.get(key, "default")

    def limits(self) -> dict[str, int]:
        """The limits of RFC 8620 section 2, RFC 8621 section 1.3.1 and those beside them, as arguments of
        ``flaskmail.jmap.context.Limits``."""
        protocol, mailbox, email = self.jmap.protocol, self.jmap.mailbox, self.jmap.email
        return {
            "maxSizeUpload": protocol.upload.max_size,
            "maxConcurrentUpload": protocol.upload.max_concurrent,
            "maxSizeRequest": protocol.request.max_size,
            "maxConcurrentRequests": protocol.request.max_concurrent,
            "maxCallsInRequest": protocol.request.max_calls,
            "maxObjectsInGet": protocol.get.max_objects,
            "maxObjectsInSet": protocol.set.max_objects,
            "maxQueryResults": protocol.query.max_results,
            "maxChanges": protocol.changes.max_results,
            "maxMailboxDepth": mailbox.max_depth,
            "maxSizeMailboxName": mailbox.max_name_length,
            "maxSizeAttachmentsPerEmail": email.max_attachment_size,
            "maxSizeEmail": email.max_size,
            "maxParseItems": email.parse.max_items,
            "maxSnippets": protocol.search_snippet.max_results,
        }


def declarations(section: type[Any] = Settings, prefix: str = "", of: Settings | None = None) -> Iterator[Declaration]:
    """All settings below a section, the section's own before those of its subsections, in the order of their declaration.

    of: with those of the tables that these settings hold under ids of the administrator's choice."""
    for field in dataclasses.fields(section):
        if "kind" in field.metadata:
            yield Declaration(key=f"{prefix}{wire_name(field.name)}", default=field.default, **field.metadata)
    for name, below in subsections(section):
        yield from declarations(below, f"{prefix}{name}.", of)
    if of is not None:
        for name, each in open_tables(section):
            for identifier in of.value(prefix + name):
                yield from declarations(each, f"{prefix}{name}.{identifier}.", of)


def subsections(section: type[Any]) -> Iterator[tuple[str, type[Any]]]:
    """The names and classes of the tables directly in a section."""
    for field in dataclasses.fields(section):
        if not field.metadata and dataclasses.is_dataclass(field.default):
            yield wire_name(field.name), type(field.default)


def open_tables(section: type[Any]) -> Iterator[tuple[str, type[Any]]]:
    """The names of what holds tables by ids of the administrator's choice, and the class of each of those tables."""
    for field in dataclasses.fields(section):
        if "each" in field.metadata:
            yield wire_name(field.name), field.metadata["each"]


def wire_name(field_name: str) -> str:
    """The name in the file: words are joined by ``-``."""
    return field_name.replace("_", "-")


def build(values: Mapping[str, Any], section: type[T], prefix: str = "") -> T:
    """A section with the given typed values (dotted key -> value); what is missing has its default."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(cast(Any, section)):
        key = f"{prefix}{wire_name(field.name)}"
        if "kind" in field.metadata:
            if key in values:
                found[field.name] = values[key]
        elif "each" in field.metadata:
            ids = dict.fromkeys(name[len(key) + 1 :].partition(".")[0] for name in values if name.startswith(f"{key}."))
            found[field.name] = {one: build(values, field.metadata["each"], f"{key}.{one}.") for one in ids}
        elif dataclasses.is_dataclass(field.default):
            found[field.name] = build(values, type(field.default), f"{key}.")
    return section(**found)
