package csv

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"towpath/schema/fault"
	"towpath/schema/record"
)

// How much of a file is looked at to find out how it is written.
const (
	sampleBytes = 1 << 20
	sampleRows  = 1000
	sampleLimit = 16 << 20 // for rows that are large
)

// layout is how one file is written and what its columns hold.
type layout struct {
	identity string
	form     form
	columns  []column
	offset   int64 // where the records begin
	line     int64
	mark     byte // of decimals; 0: not known
	guessed  bool // the encoding, by the look of the text
}

type column struct {
	name  string
	kind  record.FieldType
	told  bool   // by number_columns: what is no number is not taken for text
	doubt string // see record.FieldInfo
}

func (l layout) index(name string) int {
	return slices.IndexFunc(l.columns, func(c column) bool { return c.name == name })
}

// layoutOf finds a file's layout out, or remembers it.
func (c *Connector) layoutOf(f *file) (layout, error) {
	c.mu.Lock()
	known, ok := c.layouts[f.model]
	c.mu.Unlock()
	if ok && known.identity == f.identity {
		return known, nil
	}
	l, err := c.findLayout(f)
	if err != nil {
		return layout{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.layouts) > 1000 { // names come from outside: never without bound
		clear(c.layouts)
	}
	c.layouts[f.model] = l
	return l, nil
}

func (c *Connector) findLayout(f *file) (layout, error) {
	sample := make([]byte, min(sampleBytes, f.size))
	if n, err := io.ReadFull(io.NewSectionReader(f, 0, f.size), sample); err != nil {
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return layout{}, fileFault(err)
		}
		sample = sample[:n]
	}
	whole := int64(len(sample)) == f.size
	found, bad := detect(sample, c.config.Encoding, whole)
	if bad != nil {
		return layout{}, bad
	}
	l := layout{identity: f.identity, guessed: found.guessed, mark: c.config.mark}
	l.form = form{codec: found.codec, sep: c.config.separator, quote: c.config.quote}
	l.offset, l.line = int64(found.skip), 1

	text := sample[found.skip:]
	hint, length := separatorHint(text, found.codec)
	if length > 0 {
		l.offset, l.line = l.offset+int64(length), 2
		text = text[length:]
	}
	switch {
	case l.form.sep != 0:
	case length > 0:
		l.form.sep = hint
	default:
		l.form.sep = guessSeparator(text, l.form, whole)
	}
	rows := f.from(l.form, l.offset, l.line)
	if err := l.nameColumns(rows, c.config); err != nil {
		return layout{}, err
	}
	return l, l.guessTypes(rows, c.config)
}

// separatorHint reads the line "sep=;" that Excel writes and obeys, and gives
// its length.
func separatorHint(text []byte, c codec) (rune, int) {
	s := newScanner(bytes.NewReader(text), form{codec: c, sep: none, quote: none}, 0, 1)
	length, _, wrong := s.parse()
	if wrong != "" || length != 5*c.width {
		return 0, 0
	}
	line := c.decode(text[:length])
	if sep := separators[strings.TrimPrefix(line, "sep=")]; strings.HasPrefix(line, "sep=") && sep != 0 {
		return sep, length + s.newline(length)
	}
	return 0, 0
}

// guessSeparator takes what parts most rows of the sample as it parts the
// first; of equals what gives more fields. A file of one column has none: a
// comma does.
func guessSeparator(text []byte, f form, whole bool) rune {
	best, bestRows, bestWidth := ',', 0, 0
	for _, sep := range []rune{',', ';', '\t', '|'} {
		f.sep = sep
		rows, width := alike(text, f, whole)
		if width > 1 && (rows > bestRows || rows == bestRows && width > bestWidth) {
			best, bestRows, bestWidth = sep, rows, width
		}
	}
	return best
}

// alike counts the rows among the first hundred that have as many fields as
// the first.
func alike(text []byte, f form, whole bool) (rows, width int) {
	s := newScanner(bytes.NewReader(text), f, 0, 1)
	for range 100 {
		r, more, err := s.next()
		if !more || err != nil || (!whole && s.offset >= int64(len(text))) { // the sample's end cuts a row
			break
		}
		if r.bad != "" {
			continue
		}
		if width == 0 {
			width = len(r.fields)
		}
		if len(r.fields) == width {
			rows++
		}
	}
	return rows, width
}

// nameColumns takes the names from the settings or the header.
func (l *layout) nameColumns(rows *scanner, c Config) error {
	names := c.Columns
	if c.Header {
		var err error
		if names, err = readHeader(rows, l.form); err != nil {
			return err
		}
		l.offset, l.line = rows.offset, rows.line
	}
	for _, name := range names {
		l.columns = append(l.columns, column{name: name, kind: record.TypeText})
	}
	return nil
}

func readHeader(rows *scanner, f form) ([]string, error) {
	head, more, err := rows.next()
	switch {
	case err != nil:
		return nil, fileFault(err)
	case !more:
		return nil, fault.New(fault.Invalid, "csv.no_header", "the file is empty: it has no header").WithField("model").
			WithResolution("deliver the file with a header, or set header: false and name the columns")
	case head.bad != "":
		return nil, badHeader(head.line, head.bad)
	}
	var names []string
	for i, field := range head.fields {
		if wrong := f.wrongBytes(head, field); wrong != "" {
			return nil, badHeader(head.line, fmt.Sprintf("field %d %s", i+1, wrong))
		}
		names = append(names, strings.TrimSpace(f.text(head, field)))
	}
	if f := checkNames(names); f != nil {
		return nil, f.WithDetail(strings.Join(names, "\n"))
	}
	return names, nil
}

func badHeader(line int64, why string) *fault.Fault {
	return fault.New(fault.Invalid, "csv.bad_header", "the header in line %d cannot be read: %s", line, why).WithField("model").
		WithResolution("correct the file's header, or the connection's encoding, separator and quote")
}

// checkNames makes sure that each column can be told from the others.
func checkNames(names []string) *fault.Fault {
	seen := map[string]int{}
	for i, name := range names {
		if strings.TrimSpace(name) == "" {
			return fault.New(fault.Invalid, "csv.header_empty", "column %d has no name", i+1).WithField("model").
				WithResolution("name every column in the file's header; a separator at the end of the line makes one more column")
		}
		if first, ok := seen[name]; ok {
			return fault.New(fault.Invalid, "csv.header_duplicate", "columns %d and %d have the same name", first, i+1).WithField("model").
				WithResolution("give each column in the file's header a name of its own")
		}
		seen[name] = i + 1
	}
	return nil
}

// wrongBytes says what is wrong with a field's bytes; "" when they are text.
func (f form) wrongBytes(r row, at field) string {
	switch raw := r.raw[at.from:at.to]; {
	case !f.codec.valid(raw):
		return "holds bytes that are not " + f.codec.name
	case f.codec.hasNUL(raw):
		return "holds a NUL byte"
	}
	return ""
}

// text is a field's text, without the doubling of its quotes.
func (f form) text(r row, at field) string {
	text := f.codec.decode(r.raw[at.from:at.to])
	if at.doubled {
		quote := string(f.quote)
		return strings.ReplaceAll(text, quote+quote, quote)
	}
	return text
}
