package store

import (
	"context"

	"towpath/schema/record"
)

// JobModels says of an active job with a mapping what it reads, and what it
// writes. Jobs of orders have no mapping and are not among them.
type JobModels struct {
	Job    string      `db:"job"`
	Source string      `db:"source"`
	Target string      `db:"target"`
	Kind   record.Kind `db:"kind"`
	Binds  record.Kind `db:"binds"`
	// Direction is import, export or bidirectional.
	Direction string `db:"direction"`
	// SourceModel is of Source and TargetModel of Target: the mapping of an export
	// runs backwards.
	SourceModel string `db:"source_model"`
	TargetModel string `db:"target_model"`
	OnEvent     bool   `db:"on_event"`
}

// Exports tells whether the job brings records out of its source, which is Odoo.
func (j JobModels) Exports() bool { return j.Direction == "export" || j.Direction == "bidirectional" }

// JobModels gives those of all active jobs between active connections, by name.
func (s *Store) JobModels(ctx context.Context) (all []JobModels, err error) {
	err = s.db.SelectContext(ctx, &all, `
SELECT j.name AS job, j.source, j.target, j.kind, j.binds, d.direction,
    CASE d.direction WHEN 'export' THEN m.spec->>'target' ELSE m.spec->>'source' END AS source_model,
    CASE d.direction WHEN 'export' THEN m.spec->>'source' ELSE m.spec->>'target' END AS target_model,
    coalesce((j.spec->>'on_event')::bool, false) AS on_event
FROM job j
JOIN connection s ON s.name = j.source AND s.active
JOIN connection t ON t.name = j.target AND t.active
CROSS JOIN LATERAL (SELECT coalesce(nullif(j.spec->>'direction', ''), 'import') AS direction) d
CROSS JOIN LATERAL (SELECT spec FROM mapping WHERE name = j.spec->>'mapping' ORDER BY version DESC LIMIT 1) m
WHERE j.active ORDER BY j.name`)
	return all, translate(err)
}
