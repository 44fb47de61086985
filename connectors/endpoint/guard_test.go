package endpoint

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

func TestCheck(t *testing.T) {
	for address, want := range map[string]struct{ public, private string }{
		"https://partner.example.com/hooks":                {},
		"https://partner.example.com:8443/h?a=b":           {},
		"https://8.8.8.8/hook":                             {},
		"https://[2606:4700::1111]:444/":                   {},
		"https://bücher.example/":                          {},
		"https://under_score.example.com/":                 {},
		"http://partner.example.com/":                      {"webhook.url_scheme", ""},
		"http://10.1.2.3:8080/":                            {"webhook.url_scheme", ""},
		"https://10.1.2.3/":                                {"webhook.address_refused", ""},
		"https://127.0.0.1/":                               {"webhook.address_refused", ""},
		"https://localhost/":                               {"webhook.address_refused", ""},
		"https://LOCALHOST./":                              {"webhook.address_refused", ""},
		"https://a.localhost/":                             {"webhook.address_refused", ""},
		"https://printer.local/":                           {"webhook.address_refused", ""},
		"https://metadata.google.internal/":                {"webhook.address_refused", ""}, // on private the guard decides
		"https://[::1]/":                                   {"webhook.address_refused", ""},
		"https://[::ffff:10.0.0.1]/":                       {"webhook.address_refused", ""},
		"https://[64:ff9b::a00:1]/":                        {"webhook.address_refused", ""},
		"https://[fd00:ec2::254]/":                         {"webhook.address_refused", "webhook.address_refused"},
		"https://169.254.169.254/latest/meta-data":         {"webhook.address_refused", "webhook.address_refused"},
		"https://[::ffff:a9fe:a9fe]/":                      {"webhook.address_refused", "webhook.address_refused"},
		"https://[fe80::1%25eth0]/":                        {"webhook.address_refused", "webhook.address_refused"},
		"https://0.0.0.0/":                                 {"webhook.address_refused", "webhook.address_refused"},
		"https://１２７.0.0.1/":                               {"webhook.address_refused", ""},
		"https://①⑥⑨.254.169.254/":                         {"webhook.address_refused", "webhook.address_refused"},
		"https://2852039166/":                              {"webhook.url_host", "webhook.url_host"}, // 169.254.169.254
		"https://0xa9fea9fe/":                              {"webhook.url_host", "webhook.url_host"},
		"https://0xA9.0xFE.0xA9.0xFE/":                     {"webhook.url_host", "webhook.url_host"},
		"https://0251.0376.0251.0376/":                     {"webhook.url_host", "webhook.url_host"},
		"https://169.254.43518/":                           {"webhook.url_host", "webhook.url_host"},
		"https://127.1/":                                   {"webhook.url_host", "webhook.url_host"},
		"https://1.2.3.4.5/":                               {"webhook.url_host", "webhook.url_host"},
		"https://a\u202eb.example/":                        {"webhook.url_host", "webhook.url_host"},
		"https://user:pass@partner.example.com/":           {"webhook.url_userinfo", "webhook.url_userinfo"},
		"https://user@partner.example.com/":                {"webhook.url_userinfo", "webhook.url_userinfo"},
		"https://partner.example.com/#part":                {"webhook.url_fragment", "webhook.url_fragment"},
		"https://partner.example.com/#":                    {"webhook.url_fragment", "webhook.url_fragment"},
		"ftp://partner.example.com/":                       {"webhook.url_scheme", "webhook.url_scheme"},
		"gopher://127.0.0.1:6379/_x":                       {"webhook.url_scheme", "webhook.url_scheme"},
		"file:///etc/passwd":                               {"webhook.url_invalid", "webhook.url_invalid"},
		"partner.example.com/hook":                         {"webhook.url_invalid", "webhook.url_invalid"},
		"https:///path":                                    {"webhook.url_invalid", "webhook.url_invalid"},
		"https://:443/":                                    {"webhook.url_invalid", "webhook.url_invalid"},
		"https://partner.example.com:0/":                   {"webhook.url_invalid", "webhook.url_invalid"},
		"https://partner.example.com:70000/":               {"webhook.url_invalid", "webhook.url_invalid"},
		"https://partner.example.com:/":                    {"webhook.url_invalid", "webhook.url_invalid"},
		"https://partner.example.com/\r\nX: y":             {"webhook.url_invalid", "webhook.url_invalid"},
		"":                                                 {"webhook.url_invalid", "webhook.url_invalid"},
		"https://x.example/" + strings.Repeat("x", maxURL): {"webhook.url_invalid", "webhook.url_invalid"},
	} {
		for network, code := range map[Network]string{Public: want.public, "": want.public, Private: want.private} {
			f := Check(address, network)
			if code == "" {
				assert.Nil(t, f, "%s on %q", address, network)
				continue
			}
			require.NotNil(t, f, "%s on %q", address, network)
			assert.Equal(t, code, f.Code, "%s on %q", address, network)
			assert.Equal(t, "url", f.Field)
			assert.NotEmpty(t, f.Resolution)
		}
	}
	assert.Equal(t, "webhook.network_unknown", Check("https://x.example/", "loopback").Code)
}

// Whatever the address: what Check lets through has a host and no credentials,
// and a literal address of it may be dialed.
func FuzzCheck(f *testing.F) {
	for _, s := range []string{"https://partner.example.com/x?y#z", "https://[::1]:80", "http://0x7f.1/", "https://a@b/", "https://①.1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, address string) {
		if Check(address, Public) != nil {
			return
		}
		if Check(address, Private) != nil {
			t.Fatalf("%q: private endpoints may be more, not less", address)
		}
		r, err := http.NewRequest(http.MethodPost, address, nil)
		if err != nil || r.URL.Scheme != "https" || r.URL.Host == "" || r.URL.User != nil || r.URL.Fragment != "" {
			t.Fatalf("%q was let through", address)
		}
	})
}

// names is a DNS server of our own: each question gets the next answer of its
// name, the last one for ever.
type names struct {
	mu      sync.Mutex
	answers map[string][][]string
	asked   map[string]int
}

// resolver asks the names over a pipe; no packet leaves the process.
func (n *names) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go n.serve(theirs)
		return ours, nil
	}}
}

// serve speaks DNS as over TCP: each message behind its length.
func (n *names) serve(conn net.Conn) {
	defer conn.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		packet := make([]byte, int(size[0])<<8|int(size[1]))
		if _, err := io.ReadFull(conn, packet); err != nil {
			return
		}
		answer := n.answer(packet)
		if _, err := conn.Write(append([]byte{byte(len(answer) >> 8), byte(len(answer))}, answer...)); err != nil {
			return
		}
	}
}

func (n *names) answer(packet []byte) []byte {
	var question dnsmessage.Message
	if err := question.Unpack(packet); err != nil {
		return nil
	}
	q := question.Questions[0]
	answer := dnsmessage.Message{Header: dnsmessage.Header{ID: question.ID, Response: true, Authoritative: true}, Questions: question.Questions}
	if q.Type == dnsmessage.TypeA {
		n.mu.Lock()
		defer n.mu.Unlock()
		name := strings.TrimSuffix(q.Name.String(), ".")
		all := n.answers[name]
		if len(all) == 0 {
			answer.RCode = dnsmessage.RCodeNameError
		} else {
			for _, a := range all[min(n.asked[name], len(all)-1)] {
				answer.Answers = append(answer.Answers, dnsmessage.Resource{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 0},
					Body:   &dnsmessage.AResource{A: [4]byte(net.ParseIP(a).To4())},
				})
			}
			n.asked[name]++
		}
	}
	packed, _ := answer.Pack()
	return packed
}

// A name is judged by where it leads at the moment of the dial.
func TestNamesAreJudgedWhereTheyLead(t *testing.T) {
	var reached atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer server.Close()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	dns := &names{asked: map[string]int{}, answers: map[string][][]string{
		"loopback.example":  {{"127.0.0.1"}},
		"metadata.example":  {{"169.254.169.254"}},
		"internal.example":  {{"10.0.0.7"}},
		"both.example":      {{"169.254.169.254", "127.0.0.1"}},
		"rebinding.example": {{"127.0.0.1"}, {"169.254.169.254"}},
	}}
	options := Options{resolver: dns.resolver()}
	strict := New(options)
	defer strict.Close()

	for _, host := range []string{"loopback.example", "metadata.example", "internal.example"} {
		a := send(strict, public("https://"+host+":"+port))
		failed(t, a, Park, "webhook.address_refused")
		assert.False(t, a.Trip.Written, host)
		assert.Empty(t, a.Trip.Remote)
	}
	a := send(strict, private("http://metadata.example:"+port))
	failed(t, a, Park, "webhook.address_refused")
	failed(t, send(strict, public("https://nowhere.example")), Retry, "webhook.dns")
	require.Zero(t, reached.Load())

	// network: private reaches private networks, and of several addresses only
	// those that may be dialed.
	assert.Equal(t, Delivered, send(strict, private("http://loopback.example:"+port)).Outcome)
	a = send(strict, private("http://both.example:"+port))
	assert.Equal(t, Delivered, a.Outcome, "%+v", a.Fault)
	assert.Equal(t, server.Listener.Addr().String(), a.Trip.Remote)

	// Rebinding: harmless when it was looked at first, metadata at the next dial.
	assert.Equal(t, Delivered, send(strict, private("http://rebinding.example:"+port)).Outcome)
	strict.Close() // no connection of before is left
	failed(t, send(strict, private("http://rebinding.example:"+port)), Park, "webhook.address_refused")
	assert.EqualValues(t, 3, reached.Load())
}

// Of several addresses one that may be dialed and is down may come back.
func TestRefusedOnlyWhenAllAre(t *testing.T) {
	dns := &names{asked: map[string]int{}, answers: map[string][][]string{"both.example": {{"169.254.169.254", "127.0.0.1"}}}}
	a := send(NewForTest(t, Options{resolver: dns.resolver()}), private("http://both.example:1"))
	require.NotNil(t, a.Fault)
	assert.Equal(t, Retry, a.Outcome, a.Fault.Code)
}

// A connection of a private endpoint is no way in for a public one.
func TestConnectionsAreNotShared(t *testing.T) {
	server := httptest.NewTLSServer(answers(200, nil, ""))
	defer server.Close()
	client := New(Options{RootCAs: trusting(server)})
	defer client.Close()
	require.Equal(t, Delivered, send(client, private(server.URL)).Outcome)
	failed(t, send(client, public(server.URL)), Park, "webhook.address_refused")
}

// A proxy would dial in our place, unguarded.
func TestNoProxy(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a proxy was used") }))
	defer proxy.Close()
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"} {
		t.Setenv(name, proxy.URL)
	}
	client := New(Options{resolver: (&names{asked: map[string]int{}, answers: map[string][][]string{"x.example": {{"169.254.169.254"}}}}).resolver()})
	defer client.Close()
	failed(t, send(client, private("http://x.example/")), Park, "webhook.address_refused")
	failed(t, send(client, public("https://x.example/")), Park, "webhook.address_refused")
}
