package activities

import (
	"context"
	"slices"

	"towpath/schema/mapping"
	"towpath/schema/record"
)

// narrow keeps, of the records that a lookup found, those that share another
// reference with the record that points to them: of all states with one code
// that of its own country.
func (r *syncRun) narrow(ctx context.Context, f *syncFlow, ref mapping.Reference, ids map[string][]string) (of func(record.Values) map[string][]string, err error) {
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
		records, err := f.to.target.RecordsByID(ctx, ref.Model, slices.Compact(found), []string{ref.Within})
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
