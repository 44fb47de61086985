package csv

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	xunicode "golang.org/x/text/encoding/unicode"

	"towpath/schema/fault"
)

// codec is how a file's bytes are text. Every codec writes ASCII in units of
// its width with the values of ASCII, and no unit of another character has
// such a value: the scanner relies on it.
type codec struct {
	name  string
	width int  // bytes of a unit: 1, or 2 in UTF-16
	big   bool // UTF-16: big endian
	bom   string
	table *charmap.Charmap // one byte per character; nil: UTF-8 or UTF-16
}

const utf16Name = "utf16" // by its BOM, or guessed

var (
	utf8Codec    = codec{name: "utf-8", width: 1}
	utf16LE      = codec{name: "utf-16le", width: 2, bom: "\xff\xfe"}
	utf16BE      = codec{name: "utf-16be", width: 2, big: true, bom: "\xfe\xff"}
	western      = codec{name: "windows-1252", width: 1, table: charmap.Windows1252}
	utf8BOMCodec = codec{name: "utf-8-bom", width: 1, bom: "\xef\xbb\xbf"}
)

// codecs by plain name. Those of one byte are all of golang.org/x/text that
// hold ASCII; its EBCDIC pages do not.
var codecs = func() map[string]codec {
	all := map[string]codec{}
	for _, c := range []codec{utf8Codec, utf8BOMCodec, utf16LE, utf16BE} {
		all[plainName(c.name)] = c
	}
	for _, e := range charmap.All {
		table, ok := e.(*charmap.Charmap)
		if !ok || table.DecodeByte('\n') != '\n' || table.DecodeByte(',') != ',' {
			continue
		}
		name := strings.ToLower(strings.ReplaceAll(table.String(), " ", "-"))
		all[plainName(name)] = codec{name: name, width: 1, table: table}
	}
	for alias, name := range map[string]string{
		"latin1": "iso88591", "latin2": "iso88592", "latin9": "iso885915", "ascii": "utf8", "ansi": "windows1252",
		"cp1250": "windows1250", "cp1251": "windows1251", "cp1252": "windows1252", "cp437": "ibmcodepage437", "cp850": "ibmcodepage850",
	} {
		all[alias] = all[name]
	}
	return all
}()

// plainName takes the spelling out of an encoding's name: ISO_8859-1, iso8859-1.
func plainName(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
}

func codecNamed(name string) (codec, bool) {
	c, ok := codecs[plainName(name)]
	return c, ok
}

// valid reports whether raw bytes are text. Control characters from 80 to 9F
// count as invalid in encodings of one byte: nobody writes them, but who says
// iso-8859-1 and means windows-1252 has his € there.
func (c codec) valid(raw []byte) bool {
	switch {
	case c.width == 2:
		return c.valid16(raw)
	case c.table == nil:
		return utf8.Valid(raw)
	}
	for _, x := range raw {
		if r := c.table.DecodeByte(x); r == utf8.RuneError || r >= 0x80 && r <= 0x9f {
			return false
		}
	}
	return true
}

// valid16 asks that every surrogate has its other half.
func (c codec) valid16(raw []byte) bool {
	for len(raw) >= 2 {
		r, n := c.rune16(raw)
		if n == 2 && utf16.IsSurrogate(r) {
			return false
		}
		raw = raw[n:]
	}
	return len(raw) == 0
}

// rune16 is the first character of raw; half of one is given as it is.
func (c codec) rune16(raw []byte) (r rune, length int) {
	r = c.unit(raw)
	if utf16.IsSurrogate(r) && len(raw) >= 4 {
		if both := utf16.DecodeRune(r, c.unit(raw[2:])); both != utf8.RuneError {
			return both, 4
		}
	}
	return r, 2
}

func (c codec) hasNUL(raw []byte) bool {
	if c.width == 1 {
		return bytes.IndexByte(raw, 0) >= 0
	}
	for i := 0; i+1 < len(raw); i += 2 {
		if raw[i] == 0 && raw[i+1] == 0 {
			return true
		}
	}
	return false
}

// decode gives the text of raw bytes; what is not valid becomes U+FFFD, or in
// UTF-8 stays as it is.
func (c codec) decode(raw []byte) string {
	if c.width == 1 && c.table == nil {
		return string(raw)
	}
	var b strings.Builder
	b.Grow(len(raw))
	if c.width == 1 {
		for _, x := range raw {
			b.WriteRune(c.table.DecodeByte(x))
		}
		return b.String()
	}
	for len(raw) >= 2 {
		r, n := c.rune16(raw)
		b.WriteRune(r) // half a character is written as U+FFFD
		raw = raw[n:]
	}
	return b.String()
}

// unit is the first unit of raw, which has at least its width.
func (c codec) unit(raw []byte) rune {
	switch {
	case c.width == 1:
		return rune(raw[0])
	case c.big:
		return rune(raw[0])<<8 | rune(raw[1])
	}
	return rune(raw[1])<<8 | rune(raw[0])
}

// encoder writes text in the codec, without a BOM.
func (c codec) encoder() *encoding.Encoder {
	switch {
	case c.width == 2 && c.big:
		return xunicode.UTF16(xunicode.BigEndian, xunicode.IgnoreBOM).NewEncoder()
	case c.width == 2:
		return xunicode.UTF16(xunicode.LittleEndian, xunicode.IgnoreBOM).NewEncoder()
	case c.table == nil:
		return encoding.Nop.NewEncoder()
	}
	return c.table.NewEncoder()
}

// holds reports whether text can be written in the codec.
func (c codec) holds(text string) bool {
	if c.table == nil {
		return utf8.ValidString(text)
	}
	for _, r := range text {
		if _, ok := c.table.EncodeRune(r); !ok {
			return false
		}
	}
	return true
}

// detected is what was found out about a file's encoding.
type detected struct {
	codec   codec
	skip    int  // bytes of the BOM
	guessed bool // by the look of the text
}

// detect finds the encoding of a file that begins with sample; whole says that
// nothing follows.
func detect(sample []byte, setting string, whole bool) (detected, *fault.Fault) {
	told, known := codecNamed(setting)
	byBOM, skip, ok := bomOf(sample)
	switch {
	case !ok:
		return detected{}, fault.New(fault.Unsupported, "csv.utf32", "the file is written in UTF-32").
			WithResolution("save the file as UTF-8")
	case skip > 0 && known && (told.width != byBOM.width || told.big != byBOM.big || told.table != nil):
		return detected{}, fault.New(fault.Conflict, "csv.encoding_differs", "the file begins with the mark of %s, but the connection says %s", byBOM.name, told.name).
			WithField("encoding").WithResolution("set the connection's encoding to auto, or deliver the file as it says")
	case skip > 0:
		return detected{codec: byBOM, skip: skip}, nil
	case known:
		return detected{codec: told}, nil
	}
	if wide, ok := looksWide(sample); ok {
		return detected{codec: wide, guessed: true}, nil
	}
	if plainName(setting) == utf16Name {
		return detected{codec: utf16LE, guessed: true}, nil
	}
	return detected{codec: looksNarrow(sample, whole), guessed: true}, nil
}

// bomOf tells a byte order mark; ok is false when it is one of UTF-32.
func bomOf(sample []byte) (c codec, length int, ok bool) {
	if bytes.HasPrefix(sample, []byte("\xff\xfe\x00\x00")) || bytes.HasPrefix(sample, []byte("\x00\x00\xfe\xff")) {
		return c, 0, false
	}
	for _, c := range []codec{utf8BOMCodec, utf16LE, utf16BE} {
		if bytes.HasPrefix(sample, []byte(c.bom)) {
			if c.width == 1 {
				return utf8Codec, len(c.bom), true
			}
			return c, len(c.bom), true
		}
	}
	return c, 0, true
}

// looksWide tells UTF-16 by its zeros: half of every ASCII character is one.
func looksWide(sample []byte) (codec, bool) {
	sample = sample[:min(len(sample), 4096)]
	var zeros [2]int
	for i, b := range sample {
		if b == 0 {
			zeros[i%2]++
		}
	}
	enough := len(sample) / 8
	switch {
	case zeros[1] > enough && zeros[1] > 4*zeros[0]:
		return utf16LE, true
	case zeros[0] > enough && zeros[0] > 4*zeros[1]:
		return utf16BE, true
	}
	return codec{}, false
}

// looksNarrow tells UTF-8 from windows-1252. What is longer than one byte in
// UTF-8 hardly occurs in texts of the latter, so a UTF-8 file with some broken
// lines stays one, and only its broken lines are bad.
func looksNarrow(sample []byte, whole bool) codec {
	good, bad := 0, 0
	for i := 0; i < len(sample); {
		r, n := utf8.DecodeRune(sample[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			if !whole && !utf8.FullRune(sample[i:]) {
				return narrow(good, bad) // cut in the middle of a character
			}
			bad++
		case n > 1:
			good++
		}
		i += n
	}
	return narrow(good, bad)
}

func narrow(good, bad int) codec {
	if bad > good {
		return western
	}
	return utf8Codec
}
