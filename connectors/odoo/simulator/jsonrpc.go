package simulator

import (
	"encoding/json"
	"net/http"
)

type envelope struct {
	ID     json.RawMessage `json:"id"`
	Params struct {
		Service string `json:"service"`
		Method  string `json:"method"`
		Args    []any  `json:"args"`
	} `json:"params"`
}

// openEnvelope reads a request; what is none is answered here.
func openEnvelope(w http.ResponseWriter, r *http.Request) (e envelope, ok bool) {
	raw, err := readBody(w, r)
	if err != nil {
		return e, false
	}
	if decode(raw, &e) != nil {
		http.Error(w, "Invalid JSON data", http.StatusBadRequest)
		return e, false
	}
	if len(e.ID) == 0 {
		e.ID = json.RawMessage("null")
	}
	return e, true
}

// serveJSONRPC answers with status 200 whatever happens to the call, as Odoo
// does.
func (s *Server) serveJSONRPC(w http.ResponseWriter, r *http.Request) {
	e, ok := openEnvelope(w, r)
	if !ok {
		return
	}
	result, failure, answered := s.service(w, e.Params.Service, e.Params.Method, e.Params.Args)
	if !answered {
		return
	}
	answer := map[string]any{"jsonrpc": "2.0", "id": e.ID}
	switch {
	case failure != nil:
		answer["error"] = map[string]any{"code": failure.code, "message": "Odoo Server Error", "data": failure.data()}
	case result != nil: // a method that returns None answers without a result
		answer["result"] = result
	}
	writeJSON(w, http.StatusOK, answer)
}

// data is what Odoo's serialize_exception gives.
func (e *exception) data() map[string]any {
	arguments := []any{e.message}
	if e.status != 0 {
		arguments = append(arguments, int64(e.status))
	}
	return map[string]any{"name": e.name, "message": e.message, "arguments": arguments, "context": map[string]any{},
		"debug": "Traceback (most recent call last):\n  File \"simulator\"\n" + e.name + ": " + e.message + "\n"}
}

// service is the dispatch of the older protocols.
func (s *Server) service(w http.ResponseWriter, service, method string, args []any) (any, *exception, bool) {
	switch service {
	case "common":
		return s.common(w, method, args)
	case "object":
		return s.object(w, method, args)
	case "":
		return nil, pyError("TypeError", "JSONRPC.jsonrpc() missing 3 required positional arguments: 'service', 'method', and 'args'"), true
	}
	return nil, pyError("KeyError", "%s", service), true
}

// common answers the common service, faults included.
func (s *Server) common(w http.ResponseWriter, method string, args []any) (any, *exception, bool) {
	defer s.Stats.enter("common", method, 1)()
	if fault := s.Faults.pick("common", method); fault.Status != 0 {
		writeFault(w, fault)
		return nil, nil, false
	} else if fault.Reset || fault.ResetAfterCommit {
		hangUp()
	}
	switch method {
	case "version":
		return s.versionInfo(), nil, true
	case "login", "authenticate":
		if len(args) < 3 {
			return nil, pyError("TypeError", "exp_%s() missing required positional arguments", method), true
		}
		if asText(args[0]) != s.db.name {
			return nil, s.noDatabase(asText(args[0])), true
		}
		if u := s.login(asText(args[1]), asText(args[2])); u != nil {
			return u.ID, nil, true
		}
		return false, nil, true
	}
	return nil, pyError("Exception", "Method not found: %s", method), true
}

func (s *Server) noDatabase(name string) *exception {
	return &exception{name: "psycopg2.OperationalError",
		message: "connection to server at \"127.0.0.1\", port 5432 failed: FATAL:  database \"" + name + "\" does not exist\n"}
}

func (s *Server) object(w http.ResponseWriter, method string, args []any) (any, *exception, bool) {
	if method != "execute_kw" && method != "execute" {
		return nil, pyError("NameError", "Method not available %s", method), true
	}
	if len(args) < 5 {
		return nil, valueError("not enough values to unpack (expected at least 5, got %d)", len(args)), true
	}
	if name := asText(args[0]); name != s.db.name {
		return nil, s.noDatabase(name), true
	}
	id, _ := asInt(args[1])
	u := s.userByID(id, asText(args[2]))
	if u == nil {
		return nil, accessDenied("Access Denied"), true
	}
	q := request{user: u, model: asText(args[3]), method: asText(args[4])}
	if method == "execute" {
		q.args = args[5:]
	} else {
		q.args, q.kwargs = keywordCall(args[5:])
	}
	q.context, _ = q.kwargs["context"].(map[string]any)
	delete(q.kwargs, "context")
	if len(q.args) > 0 {
		q.ids = asIDs(q.args[0])
	}
	return s.perform(w, q)
}

func keywordCall(rest []any) (args []any, kwargs map[string]any) {
	kwargs = map[string]any{}
	if len(rest) > 0 {
		args, _ = rest[0].([]any)
	}
	if len(rest) > 1 {
		if given, ok := rest[1].(map[string]any); ok {
			kwargs = given
		}
	}
	return args, kwargs
}

func (s *Server) serveVersion(w http.ResponseWriter, r *http.Request) {
	e, ok := openEnvelope(w, r)
	if !ok {
		return
	}
	result, _, answered := s.common(w, "version", nil)
	if answered {
		writeJSON(w, http.StatusOK, map[string]any{"jsonrpc": "2.0", "id": e.ID, "result": result})
	}
}
