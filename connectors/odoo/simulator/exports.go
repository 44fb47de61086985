package simulator

import (
	"maps"
	"slices"
)

// systemModel is the model of towpath_outbox that lists what "Export to
// Connectors" offers.
const systemModel = "towpath.system"

// exportBatch is how many records one row of the outbox asks to be exported.
const exportBatch = 50

// Offered are the systems that "Export to Connectors" offers, with the models
// that each takes.
func (s *Server) Offered() map[string][]string {
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	if s.db.outbox == nil {
		return nil
	}
	return maps.Clone(s.db.outbox.systems)
}

// Export does what "Export to Connectors" does with records that are ready, and
// gives the ids of the events. It panics where the system was not offered for
// the model: nobody could choose it.
func (s *Server) Export(system, model string, ids ...int64) (events []string) {
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	o := s.db.outbox
	if o == nil || !slices.Contains(o.systems[system], model) {
		panic("the system " + system + " is not offered for " + model)
	}
	t := s.db.begin(s.db.users["office"], nil, s.db.clock)
	for part := range slices.Chunk(ids, exportBatch) {
		list := make([]any, len(part))
		for i, id := range part {
			list[i] = id
		}
		t.drop(place{model, 0}, "export", "export.requested",
			map[string]any{"system": system, "model": model, "ids": list, "requested_by": t.user.ID}, nil)
		events = append(events, o.rows[len(o.rows)-1].content["event_id"].(string))
	}
	t.commit()
	o.bell.ring(s.db.uuid)
	return events
}

// A Report is what became of records that a person chose.
type Report struct {
	Code, Model, Cause                       string
	User, Exported, Created, Skipped, Errors int64
}

// Reported are the reports that people were shown, oldest first.
func (s *Server) Reported() []Report {
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	if s.db.outbox == nil {
		return nil
	}
	return slices.Clone(s.db.outbox.reports)
}

func init() {
	modelMethods[systemModel] = map[string]method{
		"set_systems":    {[]string{"systems"}, 1, true, callSetSystems},
		"report_exports": {[]string{"reports"}, 1, true, callReportExports},
	}
}

// callReportExports shows people what became of what they chose.
func callReportExports(c *call) any {
	o := c.bot()
	list, _ := c.args["reports"].([]any)
	for _, entry := range list {
		one, _ := entry.(map[string]any)
		number := func(name string) int64 {
			n, ok := asInt(one[name])
			if !ok {
				raise(valueError("a report needs %s", name))
			}
			return n
		}
		r := Report{User: number("user_id"), Exported: number("exported"), Created: number("created"), Skipped: number("skipped"), Errors: number("errors")}
		r.Code, _ = one["code"].(string)
		r.Model, _ = one["model"].(string)
		r.Cause, _ = one["cause"].(string)
		o.reports = append(o.reports, r)
	}
	return int64(len(list))
}

// callSetSystems makes the list this one.
func callSetSystems(c *call) any {
	o := c.bot()
	list, _ := c.args["systems"].([]any)
	o.systems = map[string][]string{}
	for _, entry := range list {
		system, ok := entry.(map[string]any)
		code, named := system["code"].(string)
		if !ok || !named {
			raise(valueError("a system needs a code"))
		}
		models := []string{}
		given, _ := system["models"].([]any)
		for _, m := range given {
			if name, ok := m.(string); ok {
				models = append(models, name)
			}
		}
		o.systems[code] = models
	}
	return int64(len(o.systems))
}
