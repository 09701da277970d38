"""Which command carries out each operation of the management API. Tests compare this with the operations that there are, and with
what the commands do."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

REACHED: Mapping[str, str] = MappingProxyType(
    {
        "whoami": "whoami",
        "account.auth": "me show",
        "account.auth.update": "me set-password",
        "account.credential.list": "token list",
        "account.credential.create": "token create",
        "account.credential.delete": "token revoke",
        "principal.credential.list": "account credentials",
        "principal.credential.delete": "account revoke",
        "principal.otp.delete": "account remove-otp",
        "permission.list": "permission list",
        "principal.list": "principal list",
        "principal.create": "principal create",
        "principal.delete.all": "principal delete-all",
        "principal.get": "principal show",
        "principal.update": "principal set",
        "principal.delete": "principal delete",
        "setting.list": "config show",
        "setting.schema": "config schema",
        "setting.get": "config get",
        "setting.change": "config set",
        "setting.history": "config history",
        "setting.rollback": "config rollback",
        "setting.reload": "reload",
        "policy.explain": "policy explain",
        "domain.list": "domain list",
        "domain.create": "domain create",
        "domain.get": "domain show",
        "domain.update": "domain describe",
        "domain.delete": "domain delete",
        "dkim.list": "dkim list",
        "dkim.create": "dkim create",
        "dkim.get": "dkim show",
        "dkim.delete": "dkim delete",
        "dns.records": "domain dns",
        "dns.zone": "domain dns",
        "dns.check": "domain check",
        "oauth.client.list": "oauth-client list",
        "oauth.client.create": "oauth-client create",
        "oauth.client.get": "oauth-client show",
        "oauth.client.update": "oauth-client set",
        "oauth.client.delete": "oauth-client delete",
        "oauth.key.renew": "oauth-key renew",
        "plugin.list": "plugins",
        "store.verify": "verify",
        "store.backup": "backup",
        "store.reindex": "reindex",
        "store.reindexAccount": "reindex",
        "store.purgeBlobs": "purge blob",
        "store.purgeBlobsOfAccount": "purge blob",
        "store.purgeAccounts": "purge account",
        "store.purgeAccount": "purge account",
        "store.purgeData": "purge data",
        "store.purgeInMemory": "purge in-memory",
        "store.blob": "blob get",
        "job.list": "job list",
        "job.get": "job show",
        "job.cancel": "job cancel",
        "logs.list": "logs",
        "logs.live": "logs",
        "audit.list": "audit",
    }
)
"""Name of an operation -> the command that carries it out at a URL."""

SAME: Mapping[str, str] = MappingProxyType(
    {
        "domain.create.named": "domain.create",
        "setting.texts": "setting.list",
        "setting.group": "setting.list",
        "setting.delete": "setting.change",
    }
)
"""Operations that have the form of the old API -> the one that does the same, which a command carries out."""
