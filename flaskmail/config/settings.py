"""Every setting, declared once: its key (section and field name, ``_`` for ``-``), kind, default, doc and example.

:class:`Settings` is the frozen tree of all of them. Everything else is derived from these declarations: the loader,
``config.example.toml``, ``docs/configuration.md`` and the command ``flaskmail config``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flaskmail.config import kinds
from flaskmail.config.declaring import Declaration as Declaration
from flaskmail.config.declaring import build as build
from flaskmail.config.declaring import declared_in, tables_of
from flaskmail.config.declaring import open_tables as open_tables
from flaskmail.config.declaring import setting as setting
from flaskmail.config.declaring import subsections as subsections
from flaskmail.config.dns import Dns
from flaskmail.config.http import ServerHttp as ServerHttp
from flaskmail.config.http import ServerHttpRateLimit as ServerHttpRateLimit
from flaskmail.config.jmap import Jmap
from flaskmail.config.listening import Listener, Tls
from flaskmail.config.lookups import Plain, Tables, plain
from flaskmail.config.managing import Management
from flaskmail.config.oauth import OAuth
from flaskmail.config.observing import Log, Metrics
from flaskmail.config.publishing import Discovery, Session
from flaskmail.config.signingin import Argon2 as Argon2
from flaskmail.config.signingin import Authentication as Authentication


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
    yield from declared_in(section, prefix)
    for name, below in subsections(section):
        yield from declarations(below, f"{prefix}{name}.", of)
    if of is not None:
        for name, each in open_tables(section):
            for identifier in of.value(prefix + name):
                yield from declarations(each, f"{prefix}{name}.{identifier}.", of)
