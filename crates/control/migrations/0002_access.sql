-- People. Without a password they come from an identity provider.
CREATE TABLE users (
    name          TEXT   NOT NULL PRIMARY KEY,
    display_name  TEXT   NOT NULL,
    password_hash TEXT,
    is_admin      BIGINT NOT NULL,
    created_ms    BIGINT NOT NULL
);

CREATE TABLE members (
    group_name TEXT NOT NULL,
    user_name  TEXT NOT NULL,
    role       TEXT NOT NULL,
    PRIMARY KEY (group_name, user_name)
);

CREATE INDEX members_by_user ON members (user_name);

-- What proves who someone is: a session of a browser, a token of a script, a link that is used once. Only hashes are kept.
CREATE TABLE credentials (
    secret_hash TEXT   NOT NULL PRIMARY KEY,
    id          TEXT   NOT NULL,
    kind        TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    user_name   TEXT   NOT NULL,
    scopes      TEXT,
    created_ms  BIGINT NOT NULL,
    expires_ms  BIGINT,
    used_ms     BIGINT
);

CREATE INDEX credentials_by_user ON credentials (user_name, kind);

-- Who did what, in order; nothing is ever changed here.
CREATE TABLE audit (
    id          BIGINT NOT NULL PRIMARY KEY,
    at_ms       BIGINT NOT NULL,
    actor       TEXT   NOT NULL,
    via         TEXT   NOT NULL,
    action      TEXT   NOT NULL,
    kind        TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    group_name  TEXT   NOT NULL,
    spec_before TEXT,
    spec_after  TEXT
);

CREATE INDEX audit_by_resource ON audit (kind, name, id);
