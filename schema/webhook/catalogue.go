package webhook

import "strings"

var named = []string{
	"sale.order.created", "sale.order.updated", "sale.order.state.changed", "sale.order.deleted",
	"account.move.created", "account.move.validated", "account.move.updated", "account.move.cancelled",
	"res.partner.created", "res.partner.updated", "res.partner.deleted",
	"crm.lead.created", "crm.lead.updated", "crm.lead.converted", "crm.lead.won",
	ExportRequested, TestType,
}

func typeNames() []string { return named }

// EventType is an entry of the catalogue.
type EventType struct{ Name string }

// Lookup finds the type, or the generic one that stands for it.
func Lookup(name string) (EventType, bool) {
	for _, n := range named {
		if n == name {
			return EventType{n}, true
		}
	}
	for _, end := range []string{".created", ".updated", ".deleted"} {
		if strings.HasSuffix(name, end) {
			return EventType{"<model>" + end}, true
		}
	}
	return EventType{}, false
}
