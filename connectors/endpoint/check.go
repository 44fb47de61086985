package endpoint

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/idna"

	"towpath/connectors/httpx"
	"towpath/schema/fault"
)

// maxURL is longer than any honest address and short enough for every proxy.
const maxURL = 2048

// Check says what is wrong with an endpoint's address, as far as can be told
// without asking anybody; nil when nothing is. Where the name leads is decided
// by the guard on every dial, never here. The fault's field is `url`.
func Check(raw string, network Network) *fault.Fault {
	_, f := check(raw, network, func(a netip.Addr) bool { return httpx.Allowed(a, network == Private) })
	if f != nil {
		return f.WithField("url")
	}
	return nil
}

// check gives the parsed address too. allow is the guard's own rule.
func check(raw string, network Network, allow func(netip.Addr) bool) (*url.URL, *fault.Fault) {
	target, err := url.Parse(raw)
	switch {
	case network != "" && network != Public && network != Private:
		return nil, fault.New(fault.Invalid, "webhook.network_unknown", "there is no such network").
			WithResolution("use `public` or `private`")
	case err != nil || target.Host == "" || len(raw) > maxURL:
		return nil, fault.New(fault.Invalid, "webhook.url_invalid", "this is not an address").
			WithResolution("give it as https://partner.example.com/hooks/odoo, at most %d characters", maxURL)
	case target.Scheme != "https" && target.Scheme != "http":
		return nil, fault.New(fault.Invalid, "webhook.url_scheme", "webhooks are sent over https only").
			WithResolution("give an address that begins with https://")
	case target.Scheme == "http" && network != Private:
		return nil, fault.New(fault.Invalid, "webhook.url_scheme", "webhooks are sent over https only").
			WithResolution("use https; an operator may allow http with `network: private` on the endpoint")
	case target.User != nil:
		return nil, fault.New(fault.Invalid, "webhook.url_userinfo", "the address holds a user or password").
			WithResolution("take it out of the address and give it as `auth` of type basic")
	case target.Fragment != "" || strings.Contains(raw, "#"):
		return nil, fault.New(fault.Invalid, "webhook.url_fragment", "the address holds a fragment, which is never sent").
			WithResolution("take out # and what follows it")
	case !portOK(target):
		return nil, fault.New(fault.Invalid, "webhook.url_invalid", "the address has no usable port").
			WithResolution("use a port from 1 to 65535, or none")
	}
	return target, checkHost(target.Hostname(), network, allow)
}

func portOK(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	port, err := strconv.Atoi(u.Port())
	return err == nil && port > 0 && port < 1<<16
}

// checkHost refuses what the guard would refuse anyway, where the name alone
// tells, and the spellings of numbers (127.1, 0x7f000001, 2130706433, 0177.0.0.1)
// that some resolvers take for addresses and others for names.
func checkHost(host string, network Network, allow func(netip.Addr) bool) *fault.Fault {
	// As net/http does: fullwidth and circled digits become plain ones.
	if ascii, err := idna.Lookup.ToASCII(host); err == nil {
		host = ascii
	} else if !isASCII(host) {
		return fault.New(fault.Invalid, "webhook.url_host", "the host name is not a valid one").
			WithResolution("write the host name as it stands in the DNS")
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.Zone() != "" || !allow(addr) {
			return refused()
		}
		return nil
	}
	switch {
	case host == "":
		return fault.New(fault.Invalid, "webhook.url_invalid", "the address names no host").
			WithResolution("give it as https://partner.example.com/hooks/odoo")
	case endsInNumber(host):
		return fault.New(fault.Invalid, "webhook.url_host", "the host is an unusual spelling of a number").
			WithResolution("write a host name, or an IP address as 203.0.113.7 or [2001:db8::7]")
	case network != Private && neverPublic(host):
		return refused()
	}
	return nil
}

func refused() *fault.Fault {
	return fault.New(fault.Invalid, "webhook.address_refused", "the address lies in a network that webhooks are not sent to").
		WithResolution("use a public address; an operator may allow private networks with `network: private` on the endpoint, but never link-local or metadata addresses")
}

// neverPublic tells names that lead nowhere on the public Internet (RFC 6761,
// 6762, and the cloud's own).
func neverPublic(host string) bool {
	for _, top := range []string{"localhost", "local", "internal"} {
		if host == top || strings.HasSuffix(host, "."+top) {
			return true
		}
	}
	return false
}

// endsInNumber is the rule of the same name in the WHATWG's URL standard.
func endsInNumber(host string) bool {
	last := host[strings.LastIndexByte(host, '.')+1:]
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return last != "" && strings.Trim(last, "0123456789") == ""
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
