-- +goose Up

-- What becomes of a conflict that nobody decides.
ALTER TABLE conflict ADD COLUMN remind_at timestamptz,  -- people are reminded of it
    ADD COLUMN due_at     timestamptz,                  -- it is decided as the job says
    ADD COLUMN watched_at timestamptz;                  -- a workflow was last started for it

-- +goose Down
ALTER TABLE conflict DROP COLUMN remind_at, DROP COLUMN due_at, DROP COLUMN watched_at;
