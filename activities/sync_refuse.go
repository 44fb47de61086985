package activities

import (
	"context"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// refuse parks what a system says must not be written to it, before any of it is.
func (p *syncPage) refuse(ctx context.Context) error {
	for _, side := range p.sides {
		refuser, ok := side.door.(connectors.RecordRefuser)
		if !ok {
			continue
		}
		var writes []*syncWrite
		var rows []record.Row
		for _, w := range p.writes() {
			if w.side == side {
				writes, rows = append(writes, w), append(rows, p.rowOf(w))
			}
		}
		if len(rows) == 0 {
			continue
		}
		refused, err := refuser.RefuseRows(ctx, rows)
		if err != nil {
			return err
		}
		for i, wrong := range refused {
			if wrong != nil {
				writes[i].item.park(fault.Of(wrong))
			}
		}
	}
	return nil
}

// mayWrite asks the system that a flow writes to whether the mapping's fields
// may be written together.
func (f *syncFlow) mayWrite() error {
	if refuser, ok := f.to.door.(connectors.RecordRefuser); ok {
		return refuser.RefuseFields(f.to.model, f.mapping.TargetFields())
	}
	return nil
}
