package mapping

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"towpath/schema/record"
)

// Digest identifies values: equal values have equal digests, whatever the order
// of a map, the zeros behind a decimal (1.50 and 1.5) or the time zone of a
// time. A field that is nil is one that is not there. The order of lists counts.
func Digest(values record.Values) string {
	var b bytes.Buffer
	writeFields(&b, values, 0)
	sum := sha256.Sum256(b.Bytes())
	return hex.EncodeToString(sum[:])
}

// write puts the kind before and the length before or an end behind each value,
// so that no two different values read the same.
func write(b *bytes.Buffer, value any, depth int) {
	if depth > 4*maxDepth { // only a record that contains itself
		b.WriteByte('c')
		return
	}
	switch v := value.(type) {
	case nil:
		b.WriteByte('z')
	case bool:
		b.WriteByte('b')
		b.WriteString(strconv.FormatBool(v)[:1])
	case string:
		writeText(b, 's', v)
	case record.Date:
		writeText(b, 'd', string(v))
	case time.Time:
		writeText(b, 't', v.UTC().Format(time.RFC3339Nano))
	case decimal.Decimal:
		writeText(b, 'n', canonicalNumber(v))
	case record.Values:
		writeFields(b, v, depth)
	case []any:
		fmt.Fprintf(b, "l%d:", len(v))
		for _, item := range v {
			write(b, item, depth+1)
		}
	default: // against the contract of record.Values; equal prints are all that can be asked
		writeText(b, 'x', fmt.Sprintf("%T %+v", v, v))
	}
}

func writeFields(b *bytes.Buffer, values record.Values, depth int) {
	b.WriteByte('m')
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if values[name] == nil {
			continue
		}
		writeText(b, 'k', name)
		write(b, values[name], depth+1)
	}
	b.WriteByte('e')
}

func writeText(b *bytes.Buffer, kind byte, text string) {
	b.WriteByte(kind)
	b.WriteString(strconv.Itoa(len(text)))
	b.WriteByte(':')
	b.WriteString(text)
}

// canonicalNumber never writes a power of ten out: 1e999999 stays short.
func canonicalNumber(d decimal.Decimal) string {
	if d.IsZero() {
		return "0"
	}
	digits := d.Coefficient().String()
	short := strings.TrimRight(digits, "0")
	return short + "e" + strconv.FormatInt(int64(d.Exponent())+int64(len(digits)-len(short)), 10)
}
