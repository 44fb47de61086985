package activities

import (
	"encoding/json"
	"slices"

	"towpath/schema/jobs"
	"towpath/schema/record"
	"towpath/schema/store"
)

// owners are those of the job, and what persons decided about this record, as
// long as the values are those that they saw.
func (p *syncPage) owners(item *syncItem, source, target record.Values) map[string]string {
	if len(item.standing) == 0 {
		return p.job.Owner
	}
	owners := map[string]string{}
	for field, side := range p.job.Owner {
		owners[field] = side
	}
	for _, c := range item.standing {
		if c.Decision.Valid && sameValue(c.Source, source[c.Field]) && sameValue(c.Target, target[c.Field]) {
			owners[c.Field] = c.Decision.String
		}
	}
	return owners
}

func sameValue(stored json.RawMessage, now any) bool {
	was, err := record.ParseValue(stored)
	return err == nil && record.Equal(was, now)
}

// settleConflicts keeps what is still in conflict and lets go of the rest.
func (p *syncPage) settleConflicts(item *syncItem, m jobs.Merged) {
	for _, c := range m.Conflicts {
		item.conflicts = append(item.conflicts, store.Conflict{
			ExternalID: item.ext, Field: c.Field, RecordID: item.known.TargetID,
			Base: record.ValueJSON(c.Base), Source: record.ValueJSON(c.Source), Target: record.ValueJSON(c.Target),
		})
	}
	for _, c := range item.standing {
		if !slices.ContainsFunc(item.conflicts, func(o store.Conflict) bool { return o.Field == c.Field }) {
			item.settled = append(item.settled, c)
		}
	}
}
