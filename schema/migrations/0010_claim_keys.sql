-- +goose Up

-- Both ways to a claim begin with what tells it from the others. Where they
-- began with target and kind, a plan made before there are statistics took one
-- for the other, and went through all claims of the target for each.
ALTER TABLE claim DROP CONSTRAINT claim_pkey, ADD PRIMARY KEY (match_key, target, kind);
DROP INDEX claim_xid;
CREATE INDEX claim_xid ON claim (xid, target);

-- +goose Down
ALTER TABLE claim DROP CONSTRAINT claim_pkey, ADD PRIMARY KEY (target, kind, match_key);
DROP INDEX claim_xid;
CREATE INDEX claim_xid ON claim (target, xid);
