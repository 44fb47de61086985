-- +goose Up

-- What a record in conflict is called where its own id must not be told, since
-- it may be personal data: an e-mail address. It goes when the conflict does.
CREATE TABLE record_alias (
    name        text PRIMARY KEY DEFAULT '~' || left(replace(gen_random_uuid()::text, '-', ''), 12), -- guessed by nobody, and no id of a record
    job         text NOT NULL REFERENCES job(name),
    external_id text NOT NULL,
    UNIQUE (job, external_id)
);

-- +goose Down
DROP TABLE record_alias;
