-- Everything a person makes is a row here. Portable SQL: the same statements run on SQLite and Postgres.
CREATE TABLE resources (
    kind        TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    group_name  TEXT    NOT NULL,
    labels      TEXT    NOT NULL,
    spec        TEXT    NOT NULL,
    generation  BIGINT  NOT NULL,
    created_ms  BIGINT  NOT NULL,
    updated_ms  BIGINT  NOT NULL,
    PRIMARY KEY (kind, name)
);

CREATE INDEX resources_by_group ON resources (group_name, kind);

-- What every change did; the row outlives the resource. A deletion has no spec_after.
CREATE TABLE revisions (
    kind        TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    generation  BIGINT  NOT NULL,
    spec_before TEXT,
    spec_after  TEXT,
    changed_ms  BIGINT  NOT NULL,
    PRIMARY KEY (kind, name, generation)
);

-- The schema set as the last push left it; there is one row.
CREATE TABLE schema_set (
    id             BIGINT NOT NULL PRIMARY KEY,
    descriptor_set BLOB   NOT NULL
);

-- What every push brought, in order.
CREATE TABLE schema_pushes (
    id             BIGINT NOT NULL PRIMARY KEY,
    descriptor_set BLOB   NOT NULL,
    message_types  TEXT   NOT NULL,
    pushed_ms      BIGINT NOT NULL
);
