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
	"2001::/32",              // Teredo: a tunnel to whatever IPv4 address it hides
	"100.100.100.200/32",     // metadata of Alibaba
	"192.0.0.192/32",         // metadata of Oracle
	"168.63.129.16/32",       // Azure's host agent
	"fd00:ec2::/32",          // metadata of AWS over IPv6
	"fd20:ce::254/128",       // of Google
	"fd00:c1::a9fe:a9fe/128", // of Oracle
	"fd00:42::42/128",        // of Scaleway
)

// private are the networks only a connection with `network: private` may dial:
// IANA's special-purpose registries, where not globally reachable. Of IPv6
// global is the public one; the rest needs no list.
var private = prefixes(
	"127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10",
	"192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
	"2001::/23", "2001:db8::/32", "3fff::/20",
)

// global is the IPv6 space that IANA hands out to the Internet.
var global = netip.MustParsePrefix("2000::/3")

// embedding are IPv6 networks that carry an IPv4 address, and at which byte.
// A dual-stack router would deliver 64:ff9b::7f00:1 to 127.0.0.1.
var embedding = []struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("::/96"), 12},           // IPv4-compatible
	{netip.MustParsePrefix("::ffff:0:0:0/96"), 12}, // IPv4-translated (RFC 2765)
	{netip.MustParsePrefix("64:ff9b::/96"), 12},    // NAT64
	{netip.MustParsePrefix("2002::/16"), 2},        // 6to4
}

// localNAT64 is for a site's own translators (RFC 8215), which may place the
// IPv4 address in any of the ways of RFC 6052 2.2; byte 8 is skipped.
var (
	localNAT64  = netip.MustParsePrefix("64:ff9b:1::/48")
	nat64Places = [][4]int{{6, 7, 9, 10}, {7, 9, 10, 11}, {9, 10, 11, 12}, {12, 13, 14, 15}}
)

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
	switch {
	case !addr.IsValid() || within(addr, refused):
		return false
	case addr.Is4():
		return privateToo || !within(addr, private)
	case addr.IsLoopback():
		return privateToo
	case localNAT64.Contains(addr):
		return privateToo && !hidesRefused(addr)
	}
	b := addr.As16()
	for _, e := range embedding {
		if e.prefix.Contains(addr) {
			return Allowed(netip.AddrFrom4([4]byte(b[e.at:e.at+4])), privateToo)
		}
	}
	if isatap(b) && !Allowed(netip.AddrFrom4([4]byte(b[12:])), privateToo) {
		return false
	}
	return privateToo || global.Contains(addr) && !within(addr, private)
}

// hidesRefused reports whether any reading of a local NAT64 address is an IPv4
// address that nobody may dial. Zeroes are what the other readings leave.
func hidesRefused(addr netip.Addr) bool {
	b := addr.As16()
	for _, at := range nat64Places {
		v4 := netip.AddrFrom4([4]byte{b[at[0]], b[at[1]], b[at[2]], b[at[3]]})
		if b[at[0]] != 0 && within(v4, refused) {
			return true
		}
	}
	return false
}

// isatap reports the interface identifiers of RFC 5214, which tunnel to the
// IPv4 address in the last four bytes.
func isatap(b [16]byte) bool {
	return b[8]&^2 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe
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
// so a name that changes its address between check and use gains nothing: there
// is no time between them.
func Guard(privateToo bool) func(ctx context.Context, network, address string, _ syscall.RawConn) error {
	return guard(func(addr netip.Addr) bool { return Allowed(addr, privateToo) })
}

func guard(allow func(netip.Addr) bool) func(ctx context.Context, network, address string, _ syscall.RawConn) error {
	return func(_ context.Context, _, address string, _ syscall.RawConn) error {
		target, err := netip.ParseAddrPort(address)
		if err == nil && allow(target.Addr()) {
			return nil
		}
		return fault.New(fault.Invalid, "http.address_refused", "the host's address is in a network that must not be dialed").
			WithResolution("use a public address; an operator may allow private networks with `network: private` on the connection").
			WithDetail("refused address " + address)
	}
}
