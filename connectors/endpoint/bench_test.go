package endpoint

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// What an attempt costs beside the request itself: `bare` is the same POST of
// 2 kB by net/http alone.
func BenchmarkSend(b *testing.B) {
	server := httptest.NewServer(answers(200, nil, `{"status":"success"}`))
	defer server.Close()
	body := []byte(`{"data":"` + strings.Repeat("x", 2000) + `"}`)
	b.Run("bare", func(b *testing.B) {
		client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
		defer client.CloseIdleConnections()
		for b.Loop() {
			answer, err := client.Post(server.URL, "application/json", bytes.NewReader(body))
			if err != nil {
				b.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, answer.Body)
			_ = answer.Body.Close()
		}
	})
	b.Run("send", func(b *testing.B) {
		client := NewForTest(b, Options{})
		r := private(server.URL)
		r.Body = body
		r.Header = http.Header{"Webhook-Id": {"msg_1"}, "Webhook-Timestamp": {"1"}, "Webhook-Signature": {"v1,c2lnbmF0dXJlLW9mLXRoZS1ib2R5"}}
		for b.Loop() {
			if a := send(client, r); a.Outcome != Delivered {
				b.Fatal(a.Fault)
			}
		}
	})
}
