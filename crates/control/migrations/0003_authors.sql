-- Who made and changed what.
ALTER TABLE resources ADD COLUMN created_by TEXT NOT NULL DEFAULT '';
ALTER TABLE resources ADD COLUMN updated_by TEXT NOT NULL DEFAULT '';
ALTER TABLE revisions ADD COLUMN changed_by TEXT NOT NULL DEFAULT '';

-- Who somebody is at the identity provider; a name alone proves nothing.
ALTER TABLE users ADD COLUMN subject TEXT;
CREATE UNIQUE INDEX users_by_subject ON users (subject);
-- Memberships that the provider gives come and go with its claims.
ALTER TABLE members ADD COLUMN from_provider BIGINT NOT NULL DEFAULT 0;

-- Values that daggers and sinks use by name; nobody reads them back.
CREATE TABLE secrets (
    name       TEXT   NOT NULL PRIMARY KEY,
    group_name TEXT   NOT NULL,
    sealed     BLOB   NOT NULL,
    updated_ms BIGINT NOT NULL,
    updated_by TEXT   NOT NULL
);

-- The first answer to a request that may come twice. Without a status it is still under way.
CREATE TABLE idempotency_keys (
    key_hash     TEXT   NOT NULL PRIMARY KEY,
    request_hash TEXT   NOT NULL,
    status       BIGINT,
    media_type   TEXT   NOT NULL,
    body         BLOB   NOT NULL,
    created_ms   BIGINT NOT NULL
);

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_ms);

-- The states that daggers went through, in order.
CREATE TABLE dagger_states (
    id         BIGINT NOT NULL PRIMARY KEY,
    dagger     TEXT   NOT NULL,
    at_ms      BIGINT NOT NULL,
    state      TEXT   NOT NULL,
    reason     TEXT,
    generation BIGINT NOT NULL
);

CREATE INDEX dagger_states_by_dagger ON dagger_states (dagger, id);

CREATE INDEX audit_by_kind ON audit (kind, id);
