-- +goose Up

-- Somebody looked for the record, found none, and makes it under the claim's
-- external id: what is found from then on is that one, and not a stranger.
ALTER TABLE claim ADD COLUMN making boolean NOT NULL DEFAULT false;

-- +goose Down
ALTER TABLE claim DROP COLUMN making;
