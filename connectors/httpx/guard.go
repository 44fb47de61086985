package httpx

import (
	"context"
	"net/netip"
	"syscall"

	"towpath/schema/fault"
)

// refused are the networks nobody may dial, whatever the connection says:
// link-local ones, where clouds keep their metadata and credentials, and what
// is not a host at all.
var refused = prefixes(
	"0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4",
	"::/128", "fe80::/10", "fec0::/10", "ff00::/8",
	"fd00:ec2::/32",      // metadata of AWS over IPv6
	"100.100.100.200/32", // metadata of Alibaba
	"192.0.0.192/32",     // metadata of Oracle
	"168.63.129.16/32",   // Azure's host agent
)

// private are the networks only a connection with `network: private` may dial.
var private = prefixes(
	"127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10",
	"192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
	"::1/128", "fc00::/7", "2001:db8::/32", "100::/64",
)

// embedding are IPv6 networks that carry an IPv4 address, and at which byte.
// A dual-stack router would deliver 64:ff9b::7f00:1 to 127.0.0.1.
var embedding = []struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("::/96"), 12},          // IPv4-compatible
	{netip.MustParsePrefix("64:ff9b::/96"), 12},   // NAT64
	{netip.MustParsePrefix("64:ff9b:1::/48"), 12}, // NAT64, local use
	{netip.MustParsePrefix("2002::/16"), 2},       // 6to4
}

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		out[i] = netip.MustParsePrefix(t)
	}
	return out
}

// Allowed reports whether an address may be dialed.
func Allowed(addr netip.Addr, privateToo bool) bool {
	addr = addr.Unmap().WithZone("")
	if !addr.IsValid() || within(addr, refused) {
		return false
	}
	if addr.Is6() {
		for _, e := range embedding {
			if e.prefix.Contains(addr) && addr != netip.IPv6Loopback() {
				b := addr.As16()
				return Allowed(netip.AddrFrom4([4]byte(b[e.at:e.at+4])), privateToo)
			}
		}
	}
	return privateToo || !within(addr, private)
}

func within(addr netip.Addr, in []netip.Prefix) bool {
	for _, p := range in {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// Guard is a net.Dialer.ControlContext that refuses addresses which are not
// Allowed. It sees the address that is really dialed, after name resolution,
// so a name that changes its address between check and use gains nothing.
func Guard(privateToo bool) func(ctx context.Context, network, address string, _ syscall.RawConn) error {
	return func(_ context.Context, _, address string, _ syscall.RawConn) error {
		target, err := netip.ParseAddrPort(address)
		if err == nil && Allowed(target.Addr(), privateToo) {
			return nil
		}
		return fault.New(fault.Invalid, "http.address_refused", "the host's address is in a network that must not be dialed").
			WithResolution("use a public address; an operator may allow private networks with `network: private` on the connection").
			WithDetail("refused address " + address)
	}
}
