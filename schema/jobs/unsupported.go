package jobs

import (
	"cmp"

	"towpath/schema/fault"
)

// NotImplemented says, always in the same words, that records of a model do not
// go a way: "Export not implemented for model stock.picking in connector odoo".
// direction is Import or Export, seen from Odoo; connector the kind of system
// that would have to take them, "" where none can. What to do is the caller's to
// add.
//
// Faults: sync.not_implemented (Unsupported).
func NotImplemented(direction Direction, model, connector string) *fault.Fault {
	way := "Import"
	if direction == Export {
		way = "Export"
	}
	return fault.New(fault.Unsupported, "sync.not_implemented", "%s not implemented for model %s in connector %s", way, model, cmp.Or(connector, "any"))
}
