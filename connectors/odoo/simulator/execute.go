package simulator

import (
	"math/rand/v2"
	"slices"
	"time"
)

// A request is one call of a method as a transport read it off the wire.
type request struct {
	user    *user
	model   string
	method  string
	ids     []int64
	args    []any // positional, ids first unless the method is an @api.model
	kwargs  map[string]any
	context map[string]any
	named   bool // JSON-2: only named arguments
}

// rows is how many records the call is about, for the latency model.
func (q request) rows() int {
	for _, v := range append(slices.Clone(q.args), q.kwargs["data"], q.kwargs["vals_list"]) {
		if list, ok := v.([]any); ok && len(list) > 1 && q.method != "search_read" && q.method != "search" {
			if _, isText := list[0].(string); !isText {
				return len(list)
			}
		}
	}
	return max(1, len(q.ids))
}

const maxTries = 5 // Odoo's MAX_TRIES_ON_CONCURRENCY_FAILURE

// execute runs a call to its end, in a transaction that began when the call
// arrived. Odoo tries a call again that lost a race; load does not get that
// far, since it turns the failure into a message.
func (s *Server) execute(q request, began uint64) (result any, failure *exception) {
	for try := 1; ; try++ {
		result, failure = s.executeOnce(q, began)
		if failure == nil || !failure.retry || try == maxTries {
			return result, failure
		}
		// Odoo waits up to 2^try seconds; a simulator has no need to be that slow.
		time.Sleep(time.Duration(rand.IntN(1<<try)) * time.Millisecond)
		s.db.mu.Lock()
		began = s.db.clock
		s.db.mu.Unlock()
	}
}

func (s *Server) executeOnce(q request, began uint64) (result any, failure *exception) {
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	t := s.db.begin(q.user, q.context, began)
	failure = t.savepoint(func() {
		result = t.dispatch(q)
		t.recompute()
	})
	if failure == nil {
		t.commit()
		return result, nil
	}
	if failure.kind != notDB && !failure.retry {
		m := s.db.models["sale.order"]
		if named := s.db.models[failure.table]; named != nil {
			m = named
		}
		failure = validationError("The operation cannot be completed: %s", m.sqlMessage(failure))
	}
	return nil, failure
}

// dispatch finds the method, gives its arguments their names and calls it.
func (t *tx) dispatch(q request) any {
	m := t.model(q.model)
	if m == nil {
		if q.named {
			raise(httpError(404, "NotFound", "the model '%s' does not exist", q.model))
		}
		raise(userError("Object %s doesn't exist", q.model))
	}
	run := t.find(q, m)
	args, recordIDs := q.args, q.ids
	if !run.api && !q.named {
		if len(args) == 0 {
			raise(pyError("IndexError", "list index out of range"))
		}
		recordIDs, args = asIDs(args[0]), args[1:]
	}
	if q.named && run.api && len(recordIDs) > 0 {
		raise(httpError(422, "UnprocessableEntity", "cannot call %s.%s with ids", m.name, q.method))
	}
	bound, wrong := bindArguments(m.name, q.method, run, args, q.kwargs)
	if wrong != nil {
		if q.named {
			wrong = httpError(422, "UnprocessableEntity", "%s", wrong.message)
		}
		raise(wrong)
	}
	if q.named {
		bound[".json2"] = true
	}
	return run.run(&call{tx: t, m: m, ids: recordIDs, args: bound})
}

func (t *tx) find(q request, m *model) (found method) {
	if e := try(func() { found = findMethod(t.db.version, m, q.method) }); e != nil {
		if q.named && !e.user {
			e = httpError(404, "NotFound", "%s", e.message)
		}
		raise(e)
	}
	return found
}
