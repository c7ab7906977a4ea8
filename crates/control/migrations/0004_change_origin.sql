-- Through what the latest change came: the portal, a file, the command line, the API or the server itself.
ALTER TABLE resources ADD COLUMN updated_from TEXT NOT NULL DEFAULT '';
ALTER TABLE revisions ADD COLUMN changed_from TEXT NOT NULL DEFAULT '';
