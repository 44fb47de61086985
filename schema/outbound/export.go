package outbound

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"towpath/schema/fault"
	"towpath/schema/store"
	"towpath/schema/webhook"
)

// exportOf reads what an event asks Towpath to export; nil where it asks for
// nothing. A request that cannot be read is no reason to stop reading events: it
// is kept, parked.
func exportOf(e webhook.Event) *store.ExportRequest {
	if e.Type != webhook.ExportRequested || e.Test {
		return nil
	}
	x := &store.ExportRequest{Connection: e.Connection, Model: e.Model}
	var asked struct {
		System string        `json:"system"`
		Model  string        `json:"model"`
		IDs    []json.Number `json:"ids"`
		By     any           `json:"requested_by"`
	}
	err := json.Unmarshal(e.Data, &asked)
	if err == nil && (asked.System == "" || asked.Model == "" || len(asked.IDs) == 0) {
		err = fmt.Errorf("system, model or ids are missing")
	}
	if err == nil && strings.ContainsRune(asked.System+asked.Model, 0) { // PostgreSQL has no NUL in texts
		err = fmt.Errorf("system or model are no names")
	}
	if err != nil {
		f := fault.New(fault.Invalid, "export.unreadable", "the request to export records cannot be read").
			WithResolution("the module in Odoo and Towpath do not fit: update both to the same release, and choose the records again")
		x.Code, x.Message, x.Resolution = f.Code, f.Message, f.Resolution
		return x
	}
	x.System, x.Model = asked.System, asked.Model
	if user, ok := asked.By.(float64); ok {
		x.Asker = fmt.Sprintf("%.0f", user)
		x.By = "user " + x.Asker + " of " + e.Connection
	}
	for _, id := range asked.IDs {
		if text := id.String(); !slices.Contains(x.IDs, text) {
			x.IDs = append(x.IDs, text)
		}
	}
	return x
}
