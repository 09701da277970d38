"""The ladders of ``control.db`` and ``throttle.db``: a step once released never changes; new ones are appended."""

from __future__ import annotations

CONTROL = (
    """
    CREATE TABLE domain(
        name TEXT PRIMARY KEY,
        description TEXT NOT NULL,
        created TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE principal(
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        domain TEXT REFERENCES domain(name),
        description TEXT NOT NULL,
        admin INTEGER NOT NULL,
        disabled INTEGER NOT NULL,
        quota INTEGER,
        created TEXT NOT NULL,
        password TEXT NOT NULL,
        stamp INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX principal_domain ON principal(domain);
    CREATE TABLE token(
        id TEXT PRIMARY KEY,
        principal TEXT NOT NULL REFERENCES principal(id) ON DELETE CASCADE,
        hash BLOB NOT NULL UNIQUE,
        name TEXT NOT NULL,
        created TEXT NOT NULL,
        expires INTEGER
    ) WITHOUT ROWID;
    CREATE INDEX token_principal ON token(principal);
    """,
    """
    ALTER TABLE principal ADD COLUMN type TEXT NOT NULL DEFAULT 'individual';
    ALTER TABLE principal ADD COLUMN label TEXT;
    ALTER TABLE principal ADD COLUMN roles TEXT NOT NULL DEFAULT '["user"]';
    ALTER TABLE principal ADD COLUMN enabled_permissions TEXT NOT NULL DEFAULT '[]';
    ALTER TABLE principal ADD COLUMN disabled_permissions TEXT NOT NULL DEFAULT '[]';
    ALTER TABLE principal ADD COLUMN urls TEXT NOT NULL DEFAULT '[]';
    ALTER TABLE principal ADD COLUMN external_members TEXT NOT NULL DEFAULT '[]';
    UPDATE principal SET roles='["admin"]' WHERE admin=1;
    CREATE UNIQUE INDEX principal_label ON principal(COALESCE(domain, ''), label) WHERE label IS NOT NULL;
    CREATE INDEX principal_type ON principal(type);
    CREATE TABLE address(
        address TEXT PRIMARY KEY,
        principal TEXT NOT NULL REFERENCES principal(id) ON DELETE CASCADE,
        domain TEXT NOT NULL REFERENCES domain(name),
        position INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX address_principal ON address(principal);
    CREATE INDEX address_domain ON address(domain);
    INSERT INTO address(address, principal, domain, position)
        SELECT name, id, domain, 0 FROM principal WHERE domain IS NOT NULL;
    CREATE TABLE member(
        group_id TEXT NOT NULL REFERENCES principal(id) ON DELETE CASCADE,
        principal TEXT NOT NULL REFERENCES principal(id) ON DELETE CASCADE,
        PRIMARY KEY(group_id, principal)
    ) WITHOUT ROWID;
    CREATE INDEX member_principal ON member(principal);
    ALTER TABLE token ADD COLUMN kind TEXT NOT NULL DEFAULT 'token';
    ALTER TABLE token ADD COLUMN scopes TEXT;
    ALTER TABLE token ADD COLUMN networks TEXT;
    ALTER TABLE token ADD COLUMN used TEXT;
    """,
    """
    CREATE TABLE dkim(
        id TEXT PRIMARY KEY,
        domain TEXT NOT NULL REFERENCES domain(name) ON DELETE CASCADE,
        selector TEXT NOT NULL,
        algorithm TEXT NOT NULL,
        public BLOB NOT NULL,
        private BLOB NOT NULL,
        created TEXT NOT NULL,
        UNIQUE(domain, selector)
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE audit(
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at REAL NOT NULL,
        actor TEXT NOT NULL,
        actor_id TEXT NOT NULL,
        domain TEXT,
        via TEXT NOT NULL,
        address TEXT NOT NULL,
        operation TEXT NOT NULL,
        object TEXT NOT NULL,
        change TEXT NOT NULL,
        status INTEGER
    );
    CREATE INDEX audit_actor ON audit(actor, id);
    """,
    """
    CREATE TABLE setting(
        key TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE setting_history(
        revision INTEGER PRIMARY KEY,
        at TEXT NOT NULL,
        actor TEXT NOT NULL,
        changes TEXT NOT NULL
    );
    CREATE TABLE setting_state(
        one INTEGER PRIMARY KEY CHECK(one = 1),
        revision INTEGER NOT NULL,
        reload INTEGER NOT NULL
    );
    INSERT INTO setting_state VALUES(1, 0, 0);
    """,
    """
    CREATE TABLE websession(
        id TEXT PRIMARY KEY,
        hash BLOB NOT NULL UNIQUE,
        principal TEXT NOT NULL REFERENCES principal(id) ON DELETE CASCADE,
        stamp INTEGER NOT NULL,
        created INTEGER NOT NULL,
        seen INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        address TEXT NOT NULL,
        agent TEXT NOT NULL,
        authenticated INTEGER NOT NULL,
        amr TEXT NOT NULL,
        pending INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX websession_principal ON websession(principal);
    CREATE INDEX websession_expires ON websession(expires);
    CREATE TABLE totp(
        principal TEXT PRIMARY KEY REFERENCES principal(id) ON DELETE CASCADE,
        salt BLOB NOT NULL,
        since INTEGER,
        last INTEGER NOT NULL,
        failures INTEGER NOT NULL,
        failed INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE recovery_code(
        principal TEXT NOT NULL REFERENCES principal(id) ON DELETE CASCADE,
        hash BLOB NOT NULL,
        PRIMARY KEY(principal, hash)
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE oauth_client(
        id TEXT PRIMARY KEY,
        secret BLOB,
        name TEXT NOT NULL,
        metadata TEXT NOT NULL,
        dynamic INTEGER NOT NULL,
        created INTEGER NOT NULL,
        used INTEGER
    ) WITHOUT ROWID;
    CREATE TABLE oauth_grant(
        id TEXT PRIMARY KEY,
        principal TEXT NOT NULL REFERENCES principal(id) ON DELETE CASCADE,
        client TEXT NOT NULL REFERENCES oauth_client(id) ON DELETE CASCADE,
        stamp INTEGER NOT NULL,
        scope TEXT NOT NULL,
        authenticated INTEGER NOT NULL,
        amr TEXT NOT NULL,
        created INTEGER NOT NULL,
        used INTEGER NOT NULL,
        ends INTEGER NOT NULL,
        expires INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX oauth_grant_principal ON oauth_grant(principal);
    CREATE INDEX oauth_grant_client ON oauth_grant(client);
    CREATE INDEX oauth_grant_ends ON oauth_grant(ends);
    CREATE TABLE oauth_access(
        hash BLOB PRIMARY KEY,
        family TEXT NOT NULL REFERENCES oauth_grant(id) ON DELETE CASCADE,
        scope TEXT NOT NULL,
        created INTEGER NOT NULL,
        expires INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX oauth_access_family ON oauth_access(family);
    CREATE INDEX oauth_access_expires ON oauth_access(expires);
    CREATE TABLE oauth_refresh(
        hash BLOB PRIMARY KEY,
        family TEXT NOT NULL REFERENCES oauth_grant(id) ON DELETE CASCADE,
        used INTEGER NOT NULL,
        created INTEGER NOT NULL,
        expires INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX oauth_refresh_family ON oauth_refresh(family);
    CREATE TABLE oauth_code(
        hash BLOB PRIMARY KEY,
        principal TEXT NOT NULL REFERENCES principal(id) ON DELETE CASCADE,
        client TEXT NOT NULL REFERENCES oauth_client(id) ON DELETE CASCADE,
        stamp INTEGER NOT NULL,
        scope TEXT NOT NULL,
        authenticated INTEGER NOT NULL,
        amr TEXT NOT NULL,
        redirect_uri TEXT,
        challenge TEXT NOT NULL,
        nonce TEXT,
        expires REAL NOT NULL,
        used INTEGER NOT NULL,
        family TEXT REFERENCES oauth_grant(id) ON DELETE CASCADE
    ) WITHOUT ROWID;
    CREATE INDEX oauth_code_principal ON oauth_code(principal);
    CREATE INDEX oauth_code_client ON oauth_code(client);
    CREATE INDEX oauth_code_family ON oauth_code(family);
    CREATE TABLE oauth_device(
        hash BLOB PRIMARY KEY,
        user_code BLOB NOT NULL UNIQUE,
        client TEXT NOT NULL REFERENCES oauth_client(id) ON DELETE CASCADE,
        scope TEXT NOT NULL,
        status TEXT NOT NULL,
        address TEXT NOT NULL,
        created REAL NOT NULL,
        expires REAL NOT NULL,
        interval INTEGER NOT NULL,
        polled REAL NOT NULL,
        principal TEXT REFERENCES principal(id) ON DELETE CASCADE,
        stamp INTEGER,
        authenticated INTEGER,
        amr TEXT
    ) WITHOUT ROWID;
    CREATE INDEX oauth_device_client ON oauth_device(client);
    CREATE INDEX oauth_device_principal ON oauth_device(principal);
    CREATE INDEX oauth_device_expires ON oauth_device(expires);
    CREATE TABLE oauth_key(
        id TEXT PRIMARY KEY,
        algorithm TEXT NOT NULL,
        public TEXT NOT NULL,
        private BLOB NOT NULL,
        created INTEGER NOT NULL,
        retired INTEGER
    ) WITHOUT ROWID;
    """,
    """
    CREATE TRIGGER websession_ends AFTER UPDATE OF disabled, stamp ON principal
    WHEN new.disabled OR new.stamp <> old.stamp
    BEGIN
        DELETE FROM websession WHERE principal = new.id;
    END;
    """,
    """
    CREATE TRIGGER oauth_ends AFTER UPDATE OF disabled, stamp ON principal
    WHEN new.disabled OR new.stamp <> old.stamp
    BEGIN
        DELETE FROM oauth_grant WHERE principal = new.id;
        DELETE FROM oauth_code WHERE principal = new.id;
        UPDATE oauth_device SET status = 'denied' WHERE principal = new.id AND status = 'approved';
    END;
    DELETE FROM oauth_grant WHERE principal IN (SELECT id FROM principal WHERE disabled);
    """,
)

THROTTLE = (
    """
    CREATE TABLE failures(
        key BLOB PRIMARY KEY,
        level REAL NOT NULL,
        at REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX failures_at ON failures(at);
    CREATE TABLE known(
        key BLOB PRIMARY KEY,
        at REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX known_at ON known(at);
    """,
)
