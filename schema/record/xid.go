package record

import "strings"

// XIDModule is the module part of every external id that Towpath gives to
// records in Odoo. It must never be the name of an installable module: Odoo
// deletes records of a module's name that are missing from its data when the
// module is updated (design section 4, tried on Odoo 14 and 19).
const XIDModule = "__towpath__"

// XID is the external id of a record: the idempotency key that lives in the
// target in the same transaction as the record. connection is the slug of the
// connection that owns the object; parts name it below its kind.
//
//	XID("shop", "order", "5001")          __towpath__.shop.order.5001
//	XID("shop", "line", "5001", "77")     __towpath__.shop.line.5001.77
func XID(connection, kind string, parts ...string) string {
	var b strings.Builder
	b.WriteString(XIDModule)
	for _, p := range append([]string{connection, kind}, parts...) {
		b.WriteByte('.')
		escapeXID(&b, p)
	}
	return b.String()
}

// escapeXID percent-encodes everything outside [A-Za-z0-9-], so that no
// external id can imitate another's path and none holds a space, which
// ir.model.data refuses.
func escapeXID(b *strings.Builder, s string) {
	const hex = "0123456789ABCDEF"
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-':
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
}
