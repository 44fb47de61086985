package simulator_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"towpath/schema/fault"
	"towpath/schema/record"
)

func text(id int64) string { return strconv.FormatInt(id, 10) }

func retryable(err error) bool { return fault.Retryable(err) }

// receive opens a receiver that verifies and parses as the API does.
func receive(t *testing.T, c door, got chan<- record.Event) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		if err == nil {
			err = c.VerifyHook(r.Header, raw)
		}
		if err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		events, err := c.ParseHook(r.Header, raw)
		if err != nil {
			w.WriteHeader(http.StatusUnprocessableEntity)
			return
		}
		for _, e := range events {
			got <- e
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/webhooks/shopify/shop"
}
