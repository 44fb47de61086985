-- +goose Up

-- Which limit has stopped a run, until a person says how it goes on.
ALTER TABLE run ADD COLUMN halted text NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE run DROP COLUMN halted;
