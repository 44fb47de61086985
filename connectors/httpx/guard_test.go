package httpx_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors/httpx"
	"towpath/schema/fault"
)

func TestAllowed(t *testing.T) {
	for address, want := range map[string]struct{ public, private bool }{
		"8.8.8.8":                {true, true},
		"2606:4700::1111":        {true, true},
		"127.0.0.1":              {false, true},
		"127.9.9.9":              {false, true},
		"::1":                    {false, true},
		"10.1.2.3":               {false, true},
		"172.16.0.1":             {false, true},
		"172.32.0.1":             {true, true},
		"192.168.1.1":            {false, true},
		"100.64.0.1":             {false, true},
		"fd12:3456::1":           {false, true},
		"198.18.0.1":             {false, true},
		"169.254.169.254":        {false, false}, // metadata of most clouds
		"fe80::1":                {false, false},
		"fe80::1%eth0":           {false, false},
		"fd00:ec2::254":          {false, false},
		"100.100.100.200":        {false, false},
		"0.0.0.0":                {false, false},
		"::":                     {false, false},
		"255.255.255.255":        {false, false},
		"224.0.0.1":              {false, false},
		"ff02::1":                {false, false},
		"::ffff:127.0.0.1":       {false, true},
		"::ffff:169.254.169.254": {false, false},
		"::127.0.0.1":            {false, true},
		"64:ff9b::7f00:1":        {false, true},
		"64:ff9b::a9fe:a9fe":     {false, false},
		"64:ff9b::808:808":       {true, true},
		"2002:7f00:1::":          {false, true},
		"2002:a9fe:a9fe::1":      {false, false},
		"2002:808:808::1":        {true, true},

		"169.254.170.2":                        {false, false}, // credentials of AWS containers
		"192.0.0.192":                          {false, false}, // metadata of Oracle
		"168.63.129.16":                        {false, false}, // Azure's host agent
		"fd20:ce::254":                         {false, false}, // metadata of Google
		"fd00:c1::a9fe:a9fe":                   {false, false}, // of Oracle
		"fd00:42::42":                          {false, false}, // of Scaleway
		"fe80::a9fe:a9fe":                      {false, false}, // of OpenStack
		"::ffff:100.100.100.200":               {false, false},
		"::ffff:8.8.8.8":                       {true, true},
		"::ffff:10.0.0.1":                      {false, true},
		"::ffff:0:7f00:1":                      {false, true}, // IPv4-translated
		"::ffff:0:a9fe:a9fe":                   {false, false},
		"::a9fe:a9fe":                          {false, false}, // IPv4-compatible
		"64:ff9b::a00:1":                       {false, true},
		"64:ff9b::6440:1":                      {false, true},  // CGNAT within NAT64
		"64:ff9b:1::a00:1":                     {false, true},  // local NAT64, address last
		"64:ff9b:1::808:808":                   {false, true},  // whatever it carries, it is local
		"64:ff9b:1::a9fe:a9fe":                 {false, false}, //
		"64:ff9b:1:a9fe:a9:fe00::":             {false, false}, // a /48 translator
		"64:ff9b:1:a00:0:100::":                {false, true},
		"64:ff9b:1:a9:fe:a9fe::":               {false, false}, // a /56 translator
		"64:ff9b:1::a9:fea9:fe00:0":            {false, false}, // a /64 translator
		"2001::1":                              {false, false}, // Teredo
		"2001:0:4136:e378:8000:63bf:5601:5601": {false, false}, // Teredo, hides 169.254.169.254
		"2001:2::1":                            {false, true},  // benchmarking
		"2001:10::1":                           {false, true},  // ORCHID
		"2001:4860:4860::8888":                 {true, true},
		"2001:db8::1":                          {false, true},
		"3fff::1":                              {false, true},
		"3ffe::1":                              {true, true},  // of old the 6bone, now unassigned global space
		"5f00::1":                              {false, true}, // segment routing
		"100::1":                               {false, true},
		"4000::1":                              {false, true}, // not handed out to anybody
		"192.88.99.1":                          {false, true},
		"2a00:1450::5efe:7f00:1":               {false, true}, // ISATAP
		"2a00:1450::200:5efe:7f00:1":           {false, true},
		"2a00:1450::5efe:a9fe:a9fe":            {false, false},
		"2a00:1450::5efe:808:808":              {true, true},
		"fc00::1":                              {false, true},
		"fdff:ffff::1":                         {false, true},
		"ff0e::1":                              {false, false},
		"239.255.255.250":                      {false, false},
		"fec0::1":                              {false, false},
	} {
		addr := netip.MustParseAddr(address)
		assert.Equal(t, want.public, httpx.Allowed(addr, false), address)
		assert.Equal(t, want.private, httpx.Allowed(addr, true), "%s, private", address)
	}
	assert.False(t, httpx.Allowed(netip.Addr{}, true))
}

// An IPv4 address gains nothing by hiding in an IPv6 one.
func TestEmbeddedAddressesGainNothing(t *testing.T) {
	hide := map[string]func(v4 [4]byte) [16]byte{
		"mapped":     func(v [4]byte) [16]byte { return [16]byte{10: 0xff, 0xff, v[0], v[1], v[2], v[3]} },
		"compatible": func(v [4]byte) [16]byte { return [16]byte{12: v[0], v[1], v[2], v[3]} },
		"translated": func(v [4]byte) [16]byte { return [16]byte{8: 0xff, 0xff, 0, 0, v[0], v[1], v[2], v[3]} },
		"NAT64":      func(v [4]byte) [16]byte { return [16]byte{0, 0x64, 0xff, 0x9b, 12: v[0], v[1], v[2], v[3]} },
		"NAT64 local": func(v [4]byte) [16]byte {
			return [16]byte{0, 0x64, 0xff, 0x9b, 0, 1, 12: v[0], v[1], v[2], v[3]}
		},
		"6to4":   func(v [4]byte) [16]byte { return [16]byte{0x20, 2, v[0], v[1], v[2], v[3]} },
		"Teredo": func(v [4]byte) [16]byte { return [16]byte{0x20, 1, 4: 8, 8, 8, 8, 12: ^v[0], ^v[1], ^v[2], ^v[3]} },
		"ISATAP": func(v [4]byte) [16]byte {
			return [16]byte{0x2a, 0, 0x14, 0x50, 10: 0x5e, 0xfe, v[0], v[1], v[2], v[3]}
		},
	}
	for _, text := range []string{
		"8.8.8.8", "127.0.0.1", "10.0.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1", "100.100.100.200", "169.254.169.254",
		"169.254.170.2", "224.0.0.1", "255.255.255.255", "192.0.0.192", "198.18.0.1", "168.63.129.16",
	} {
		v4 := netip.MustParseAddr(text)
		for name, in := range hide {
			addr := netip.AddrFrom16(in(v4.As4()))
			for _, privateToo := range []bool{false, true} {
				if httpx.Allowed(addr, privateToo) {
					assert.True(t, httpx.Allowed(v4, privateToo), "%s within %s (%s), private %v", text, name, addr, privateToo)
				}
			}
		}
	}
}

// Whatever the notation: nothing public-only ever reaches what is refused.
func FuzzAllowed(f *testing.F) {
	f.Add([]byte{127, 0, 0, 1})
	f.Add(netip.MustParseAddr("64:ff9b::7f00:1").AsSlice())
	f.Fuzz(func(t *testing.T, raw []byte) {
		addr, ok := netip.AddrFromSlice(raw)
		if !ok {
			return
		}
		public, private := httpx.Allowed(addr, false), httpx.Allowed(addr, true)
		if public && !private {
			t.Fatalf("%s: private connections may dial more, not less", addr)
		}
		plain := addr.Unmap()
		if public && (plain.IsLoopback() || plain.IsPrivate() || plain.IsLinkLocalUnicast() || plain.IsMulticast() || plain.IsUnspecified()) {
			t.Fatalf("%s may be dialed", addr)
		}
	})
}

// The guard sees the resolved address: a name for loopback is refused like the
// number, and the server behind it is never reached.
func TestGuardOnResolvedAddress(t *testing.T) {
	reached := false
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer server.Close()
	target, err := url.Parse(server.URL)
	require.NoError(t, err)
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "127.1", "2130706433"} {
		where := "http://" + host + ":" + target.Port()
		_, err := get(context.Background(), httpx.NewClient(httpx.Options{Room: "partner"}), where)
		require.Error(t, err, host)
		f := fault.Of(err)
		if !strings.Contains(f.Detail, "lookup") { // some resolvers do not know the odd notations
			assert.Equal(t, "partner.address_refused", f.Code, "%s: %s", host, f.Detail)
			assert.Equal(t, fault.Invalid, f.Kind)
		}
	}
	assert.False(t, reached)
	resp, err := get(context.Background(), httpx.NewClient(httpx.Options{Room: "odoo", Private: true}), server.URL)
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, resp.status)
	assert.True(t, reached)
}

// A proxy from the environment would dial in our place, unguarded.
func TestEnvironmentProxyIsIgnored(t *testing.T) {
	used := false
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { used = true }))
	defer proxy.Close()
	t.Setenv("HTTP_PROXY", proxy.URL)
	_, err := get(context.Background(), httpx.NewClient(httpx.Options{Private: true}), "http://169.254.169.254/latest/meta-data")
	assert.Equal(t, "http.address_refused", fault.Of(err).Code)
	assert.False(t, used)
}
