-- Who may write the positions of a firehose, and of which topic they are. What a sink has noted for another incarnation or
-- generation does not count.
CREATE TABLE firehose_owners (
    firehose    TEXT   NOT NULL PRIMARY KEY,
    epoch       BIGINT NOT NULL,
    incarnation TEXT   NOT NULL,
    topic       TEXT   NOT NULL,
    topic_id    TEXT,
    generation  BIGINT NOT NULL
);

-- How far a firehose is in each partition, with the ledger of what was read up to there: one row, so both or none.
CREATE TABLE firehose_positions (
    firehose     TEXT   NOT NULL,
    partition_id BIGINT NOT NULL,
    next_offset  BIGINT NOT NULL,
    lost_unread  BIGINT NOT NULL,
    ledger       TEXT   NOT NULL,
    updated_ms   BIGINT NOT NULL,
    PRIMARY KEY (firehose, partition_id)
);
