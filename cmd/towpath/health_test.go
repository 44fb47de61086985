package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestHealthAsksTheProcess(t *testing.T) {
	status := http.StatusOK
	asked := make(chan string, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Path
		w.WriteHeader(status)
	}))
	defer s.Close()
	const closed = "127.0.0.1:1"

	for _, c := range []struct {
		name   string
		args   []string
		listen string
		status int
		path   string // empty: nobody is asked
		exit   int
	}{
		{name: "ready", listen: s.Listener.Addr().String(), status: 200, path: "/readyz"},
		{name: "worker", args: []string{s.URL + "/metrics"}, status: 200, path: "/metrics"},
		{name: "not ready", listen: s.Listener.Addr().String(), status: 503, path: "/readyz", exit: 1},
		{name: "a redirect target that is not there", args: []string{s.URL + "/x"}, status: 404, path: "/x", exit: 1},
		{name: "nobody listens", listen: closed, exit: 1},
		{name: "no address", args: []string{"http://[::1"}, exit: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("TOWPATH_LISTEN", c.listen)
			t.Setenv("HTTP_PROXY", "http://"+closed) // not to be used
			status = c.status
			root := newRoot()
			var out, explained bytes.Buffer
			root.SetOut(&out)
			root.SetArgs(append([]string{"health"}, c.args...))
			exit := 0
			if err := root.ExecuteContext(t.Context()); err != nil {
				exit = explainError(&explained, err)
			}
			assert.Equal(t, c.exit, exit, explained.String())
			if c.path != "" {
				assert.Equal(t, c.path, <-asked)
			}
			if exit == 0 {
				assert.Equal(t, "well\n", out.String())
			} else {
				assert.Contains(t, explained.String(), "what to do: ")
			}
		})
	}
}

func TestHealthReachesWhereTheAPIListens(t *testing.T) {
	for listen, want := range map[string]string{
		"":               "http://127.0.0.1:8080/readyz",
		"0.0.0.0:8080":   "http://127.0.0.1:8080/readyz",
		":9000":          "http://127.0.0.1:9000/readyz",
		"[::]:80":        "http://127.0.0.1:80/readyz",
		"[::1]:80":       "http://[::1]:80/readyz",
		"10.1.2.3:81":    "http://10.1.2.3:81/readyz",
		"api.local:8080": "http://api.local:8080/readyz",
	} {
		assert.Equal(t, want, readyURL(func(string) string { return listen }), "listen %q", listen)
	}
}
