package simulator

import (
	"net/http"
	"strings"
)

// serveJSON2 is the API of Odoo 19: /json/2/<model>/<method>, a bearer key,
// named arguments, and proper HTTP statuses.
func (s *Server) serveJSON2(w http.ResponseWriter, r *http.Request) {
	if name := r.Header.Get("X-Odoo-Database"); name != "" && name != s.db.name {
		notFound(w)
		return
	}
	model, method, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/json/2/"), "/")
	if r.Method != http.MethodPost || !ok || strings.Contains(method, "/") || method == "" {
		s.refuse(w, httpError(404, "NotFound", "Did you mean POST /json/2/<model>/<method>?"))
		return
	}
	u, denied := s.bearer(r)
	if denied != nil {
		w.Header().Set("WWW-Authenticate", "Bearer ")
		s.refuse(w, denied)
		return
	}
	raw, err := readBody(w, r)
	if err != nil {
		return
	}
	body, bad := namedArguments(raw)
	if bad != nil {
		s.refuse(w, bad)
		return
	}
	q := request{user: u, model: model, method: method, named: true, kwargs: body}
	q.ids = asIDs(body["ids"])
	q.context, _ = body["context"].(map[string]any)
	delete(body, "ids")
	delete(body, "context")
	result, failure, answered := s.perform(w, q)
	switch {
	case !answered:
	case failure != nil:
		s.refuse(w, failure)
	default:
		writeJSON(w, http.StatusOK, result)
	}
}

func (s *Server) bearer(r *http.Request) (*user, *exception) {
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "bearer") || key == "" {
		return nil, httpError(401, "Unauthorized", "User not authenticated, use an API Key with a Bearer Authorization header.")
	}
	if u := s.userByKey(strings.TrimSpace(key)); u != nil {
		return u, nil
	}
	return nil, httpError(401, "Unauthorized", "Invalid apikey")
}

func namedArguments(raw []byte) (map[string]any, *exception) {
	var body any
	if len(raw) == 0 {
		return map[string]any{}, nil
	}
	if decode(raw, &body) != nil {
		return nil, httpError(400, "BadRequest", "could not parse the body as json: Expecting value: line 1 column 1 (char 0)")
	}
	named, ok := body.(map[string]any)
	if !ok {
		return map[string]any{}, nil
	}
	return named, nil
}

// refuse answers an error with the status that belongs to its class.
func (s *Server) refuse(w http.ResponseWriter, e *exception) {
	writeJSON(w, e.httpStatus(), e.data())
}

func (e *exception) httpStatus() int {
	if e.status != 0 {
		return e.status
	}
	switch strings.TrimPrefix(e.name, "odoo.exceptions.") {
	case "AccessError", "AccessDenied":
		return http.StatusForbidden
	case "MissingError":
		return http.StatusNotFound
	case "LockError":
		return http.StatusConflict
	case "UserError", "ValidationError", "RedirectWarning":
		return http.StatusUnprocessableEntity
	}
	return http.StatusInternalServerError
}
