-- When somebody joined a group; unknown of those who were in it before this was kept.
ALTER TABLE members ADD COLUMN since_ms BIGINT;
