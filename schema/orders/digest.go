package orders

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"towpath/schema/record"
)

// Digest identifies what Towpath would write: equal digests need no second
// write. It covers the order's content that rules and plans look at, the
// policy (Rules.Revision), the resolved ids and the stage reached; not tags,
// versions or the order of JSON fields.
func Digest(o record.Order, rulesRevision string, res Resolved, stage record.Stage) string {
	o.Version, o.UpdatedAt, o.CancelReason, o.Tags = "", o.CreatedAt.UTC(), "", nil
	o.CreatedAt = o.CreatedAt.UTC()
	if o.CancelledAt != nil { // that it is cancelled counts, not when
		at := o.CreatedAt
		o.CancelledAt = &at
	}
	o.Lines = slices.Clone(o.Lines)
	for i := range o.Lines {
		o.Lines[i].Taxes = slices.Clone(o.Lines[i].Taxes)
		slices.SortFunc(o.Lines[i].Taxes, func(a, b record.TaxLine) int {
			if c := strings.Compare(a.Title, b.Title); c != 0 {
				return c
			}
			return a.Rate.Cmp(b.Rate)
		})
	}
	if len(o.Lines) == 0 { // absent and empty are the same
		o.Lines = nil
	}
	if len(res.Products) == 0 {
		res.Products = nil
	}
	if len(res.Taxes) == 0 {
		res.Taxes = nil
	}
	raw, err := json.Marshal(struct {
		Order    record.Order
		Rules    string
		Resolved Resolved
		Stage    record.Stage
	}{o, rulesRevision, res, stage})
	if err != nil { // only a year beyond 9999, which no order reaches
		raw = []byte(o.ExternalID + "\x00" + err.Error())
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}
