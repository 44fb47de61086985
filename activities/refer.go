package activities

import (
	"context"
	"slices"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/mapping"
	"towpath/schema/record"
)

// Referrer finds the records of the target that references of a mapping point
// to: by a field of theirs, or by what is bound. It only reads.
type Referrer struct {
	Book interface {
		References(ctx context.Context, from, to string, kind record.Kind, ids []string, back bool) (map[string]string, error)
	}
	Target   connectors.RecordTarget
	From, To string      // connections
	Binds    record.Kind // what the job binds its records under
	Back     bool        // from the job's target to its source
}

// Resolve puts the ids of the target's records into rows, in the place of what
// mapped records refer by. It gives a fault for each row of which a reference
// leads nowhere, or to several records; nil for the others.
func (r Referrer) Resolve(ctx context.Context, refs []mapping.Reference, rows []record.Values) ([]*fault.Fault, error) {
	faults := make([]*fault.Fault, len(rows))
	for _, ref := range refs {
		var wanted []string
		for _, row := range rows {
			wanted = append(wanted, refTexts(row[ref.Field])...)
		}
		if len(wanted) == 0 {
			continue
		}
		slices.Sort(wanted)
		ids, err := r.referred(ctx, ref, slices.Compact(wanted))
		if err != nil {
			return faults, err
		}
		near, err := r.narrow(ctx, ref, ids)
		if err != nil {
			return faults, err
		}
		for i, row := range rows {
			if wrong := point(row, ref, near(row)); wrong != nil && faults[i] == nil {
				faults[i] = wrong
			}
		}
	}
	return faults, nil
}

// referred gives the target's ids by what a reference says.
func (r Referrer) referred(ctx context.Context, ref mapping.Reference, values []string) (map[string][]string, error) {
	if ref.Lookup != "" {
		return r.Target.FindRecords(ctx, ref.Model, ref.Lookup, values)
	}
	kind := r.Binds
	if ref.Refers != "" {
		kind = record.Kind(ref.Refers)
	}
	bound, err := r.Book.References(ctx, r.From, r.To, kind, values, r.Back)
	ids := make(map[string][]string, len(bound))
	for v, id := range bound {
		ids[v] = []string{id}
	}
	return ids, err
}

// narrow keeps, of the records that a lookup found, those that share another
// reference with the record that points to them: of all states with one code
// that of its own country.
func (r Referrer) narrow(ctx context.Context, ref mapping.Reference, ids map[string][]string) (of func(record.Values) map[string][]string, err error) {
	if ref.Within == "" {
		return func(record.Values) map[string][]string { return ids }, nil
	}
	var found []string
	for _, hits := range ids {
		found = append(found, hits...)
	}
	slices.Sort(found)
	within := map[string]any{}
	if len(found) > 0 {
		records, err := r.Target.RecordsByID(ctx, ref.Model, slices.Compact(found), []string{ref.Within})
		if err != nil {
			return nil, err
		}
		for _, rec := range records {
			within[rec.ID] = refID(rec.Values[ref.Within])
		}
	}
	return func(values record.Values) map[string][]string {
		own := refID(values[ref.Within])
		near := make(map[string][]string, len(ids))
		for text, hits := range ids {
			for _, id := range hits {
				if own != nil && within[id] == own {
					near[text] = append(near[text], id)
				}
			}
		}
		return near
	}, nil
}

func point(values record.Values, ref mapping.Reference, ids map[string][]string) *fault.Fault {
	texts := refTexts(values[ref.Field])
	if len(texts) == 0 {
		if _, there := values[ref.Field]; there {
			values[ref.Field] = nil
		}
		return nil
	}
	var all []any
	for _, text := range texts {
		switch hits := ids[text]; len(hits) {
		case 1:
			all = append(all, hits[0])
		case 0:
			return unknownReference(ref)
		default:
			return fault.New(fault.Conflict, "sync.ambiguous_reference", "%d records of %s are called the same", len(hits), ref.Model).
				WithField(ref.Field).WithResolution("make %s unique there, or look up by another field", ref.Lookup)
		}
	}
	if ref.Many {
		values[ref.Field] = refIDs(all)
	} else {
		values[ref.Field] = all[0]
	}
	return nil
}

// codeUnknownReference is retried within the same run: the record that is
// referred to may come on a later page.
const codeUnknownReference = "sync.unknown_reference"

func unknownReference(ref mapping.Reference) *fault.Fault {
	f := fault.New(fault.Invalid, codeUnknownReference, "the record that %s refers to is not in the target", ref.Field).
		WithField(ref.Field).WithFamily(ref.Model)
	if ref.Lookup != "" {
		return f.WithResolution("add it to %s there, or correct what it is looked up by (%s); then it is tried again by itself", ref.Model, ref.Lookup)
	}
	return f.WithResolution("sync what it refers to first; then it is tried again by itself")
}

func refTexts(value any) []string {
	switch v := value.(type) {
	case string:
		if v != "" {
			return []string{v}
		}
	case []any:
		var all []string
		for _, one := range v {
			all = append(all, refTexts(one)...)
		}
		return all
	case record.Values:
		return refTexts(v["id"])
	}
	return nil
}
