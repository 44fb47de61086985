-- +goose Up

-- Who chose the records is told what became of them, in the system where they did.
ALTER TABLE export_request
    ADD COLUMN asker       text  NOT NULL DEFAULT '',   -- the person's id there
    ADD COLUMN counts      jsonb NOT NULL DEFAULT '{}', -- of the run that ended, as ledgers have them
    ADD COLUMN reported_at timestamptz;
CREATE INDEX export_request_unreported ON export_request (connection, id) WHERE reported_at IS NULL AND state IN ('done', 'parked');
DROP INDEX export_request_last;

-- +goose Down
CREATE INDEX export_request_last ON export_request (connection, system, settled_at) WHERE state = 'done';
ALTER TABLE export_request DROP COLUMN asker, DROP COLUMN counts, DROP COLUMN reported_at;
