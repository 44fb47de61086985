-- +goose Up

-- What both sides hold of a page's records, by group (a day) and unit (a
-- currency) and by why they differ: a list of {group, unit, cause, n, source, target}.
ALTER TABLE run_page ADD COLUMN sums jsonb NOT NULL DEFAULT '[]';

-- +goose Down
ALTER TABLE run_page DROP COLUMN sums;
