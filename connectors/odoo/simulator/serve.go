package simulator

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"
)

// maxBody is far above what Towpath sends; Odoo itself takes 128 MiB.
const maxBody = 64 << 20

// perform executes a call the way the wire sees it: it waits for a worker,
// takes its time, and goes wrong where a fault says so. answered is false when
// the connection was dropped and nothing may be written any more.
func (s *Server) perform(w http.ResponseWriter, q request) (result any, failure *exception, answered bool) {
	done := s.Stats.enter(q.model, q.method, q.rows())
	defer done()
	fault := s.Faults.pick(q.model, q.method)
	if s.workers != nil {
		s.workers <- struct{}{}
		defer func() { <-s.workers }()
	}
	began := s.clock()
	defer s.Stats.work()()
	time.Sleep(s.latency(q))
	if fault.Delay > 0 {
		time.Sleep(fault.Delay)
	}
	if fault.Gate != nil {
		<-fault.Gate
	}
	switch {
	case fault.Reset:
		hangUp()
		return nil, nil, false
	case fault.Status != 0:
		writeFault(w, fault)
		return nil, nil, false
	case fault.Serialization:
		return s.conflict(q)
	}
	result, failure = s.execute(q, began)
	if fault.ResetAfterCommit {
		hangUp()
		return nil, nil, false
	}
	return result, failure, true
}

func (s *Server) clock() uint64 {
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	return s.db.clock
}

func (s *Server) latency(q request) time.Duration {
	l := s.opts.Latency
	each := l.PerRead
	switch q.method {
	case "load", "create", "write", "unlink", "action_cancel":
		each = l.PerRow
	case "action_confirm":
		each = l.PerConfirm
	}
	return l.PerCall + each*time.Duration(q.rows())
}

// conflict answers as if another transaction had won the race: load with a
// message that blames its first row, everything else with the error that is
// left after Odoo's own five tries.
func (s *Server) conflict(q request) (any, *exception, bool) {
	e := serializationFailure()
	if q.method != "load" {
		return nil, e, true
	}
	message := origin{}.message("error", e.message)
	return map[string]any{"ids": false, "messages": []any{message}, "nextrow": int64(0)}, nil, true
}

// hangUp cuts the TCP connection without an answer.
func hangUp() {
	panic(http.ErrAbortHandler)
}

func writeFault(w http.ResponseWriter, f Fault) {
	if f.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(f.RetryAfter.Round(time.Second).Seconds())))
	}
	body := f.Body
	if body == "" {
		body = "<html>\r\n<head><title>" + strconv.Itoa(f.Status) + " " + http.StatusText(f.Status) + "</title></head>\r\n<body>\r\n<center><h1>" +
			strconv.Itoa(f.Status) + " " + http.StatusText(f.Status) + "</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
	}
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(f.Status)
	_, _ = io.WriteString(w, body)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	raw, err := json.Marshal(body)
	if err != nil { // a value that the engine should not have answered
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(raw)
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	return io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
}

// login finds a user by name and password, or API key in its place.
func (s *Server) login(login, secret string) *user {
	if u := s.db.users[login]; u != nil && u.accepts(secret) {
		return u
	}
	return nil
}

func (s *Server) userByID(id int64, secret string) *user {
	for _, u := range s.db.users {
		if u.ID == id && u.accepts(secret) {
			return u
		}
	}
	return nil
}

func (s *Server) userByKey(key string) *user {
	for _, u := range s.db.users {
		for _, k := range u.Keys {
			if k == key && key != "" {
				return u
			}
		}
	}
	return nil
}

func (u *user) accepts(secret string) bool {
	if secret == "" {
		return false
	}
	for _, k := range u.Keys {
		if k == secret {
			return true
		}
	}
	return u.Password == secret
}

func (s *Server) versionInfo() map[string]any {
	v := int64(s.db.version)
	serie := strconv.Itoa(s.db.version) + ".0"
	return map[string]any{
		"server_version":      serie,
		"server_version_info": []any{v, int64(0), int64(0), "final", int64(0), ""},
		"server_serie":        serie, "protocol_version": int64(1),
	}
}
