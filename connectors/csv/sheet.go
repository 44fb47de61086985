package csv

import (
	stdcsv "encoding/csv"
	"io"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"towpath/schema/fault"
	"towpath/schema/record"
)

// sheet turns records into lines as the connection's settings say: into a file,
// or into a page of one.
type sheet struct {
	config  Config
	codec   codec
	mark    byte
	columns []string
	cells   []string
	rows    *stdcsv.Writer
	encode  io.WriteCloser // text into the codec
}

// newSheet writes into out; the file's BOM is not the sheet's.
func (c *Connector) newSheet(columns []string, out io.Writer) (*sheet, error) {
	s := &sheet{config: c.config, columns: columns, mark: c.config.mark, cells: make([]string, len(columns))}
	if c.config.quote != '"' {
		return nil, fault.New(fault.Unsupported, "csv.export_quote", "files are written with double quotes only").WithField("quote").
			WithResolution("export through a connection whose quote is the double quote")
	}
	if len(columns) == 0 {
		return nil, fault.New(fault.Invalid, "csv.no_columns", "the export names no columns").WithField("columns").
			WithResolution("name at least one column")
	}
	if f := checkNames(columns); f != nil {
		return nil, f.WithField("columns").WithResolution("give each column of the export a name of its own")
	}
	var ok bool
	if s.codec, ok = codecNamed(c.config.Encoding); !ok {
		if s.codec = utf8Codec; plainName(c.config.Encoding) == utf16Name {
			s.codec = utf16LE
		}
	}
	for _, name := range columns {
		if c.config.Header && !s.holds(name) {
			return nil, s.cannotHold(name)
		}
	}
	s.encode = s.codec.encoder().Writer(out).(io.WriteCloser)
	s.rows = stdcsv.NewWriter(s.encode)
	if c.config.separator != 0 {
		s.rows.Comma = c.config.separator
	}
	return s, nil
}

// header writes the columns' names, where the connection's files have them.
func (s *sheet) header() error {
	if !s.config.Header {
		return nil
	}
	for i, name := range s.columns {
		s.cells[i] = s.guard(name)
	}
	return s.put()
}

// record writes one record. A fault of kind Invalid refuses this one only.
func (s *sheet) record(values record.Values) error {
	for i, name := range s.columns {
		cell, isText := s.cell(lookUp(values, name))
		if !s.holds(cell) {
			return s.cannotHold(name)
		}
		if isText {
			cell = s.guard(cell)
		}
		s.cells[i] = cell
	}
	return s.put()
}

// holds reports whether a text can stand in the file.
func (s *sheet) holds(text string) bool {
	return s.codec.holds(text) && strings.IndexByte(text, 0) < 0
}

func (s *sheet) cannotHold(column string) *fault.Fault {
	return fault.New(fault.Invalid, "csv.not_encodable", "the text has characters that %s does not", s.codec.name).WithField(column).
		WithResolution("export as utf-8, or correct the text")
}

func (s *sheet) put() error {
	if err := s.rows.Write(s.cells); err != nil {
		return writeFault(err)
	}
	return nil
}

// flush hands every line on that was written.
func (s *sheet) flush() error {
	s.rows.Flush()
	if err := s.rows.Error(); err != nil {
		return writeFault(err)
	}
	return nil
}

// finish is flush, and ends the text.
func (s *sheet) finish() error {
	if err := s.flush(); err != nil {
		return err
	}
	if err := s.encode.Close(); err != nil {
		return writeFault(err)
	}
	return nil
}

// lookUp finds a value by its name, else by its dot path.
func lookUp(values record.Values, name string) any {
	if v, ok := values[name]; ok {
		return v
	}
	head, rest, ok := strings.Cut(name, ".")
	if !ok {
		return nil
	}
	inner, ok := values[head].(record.Values)
	if !ok {
		return nil
	}
	return lookUp(inner, rest)
}

// cell is a value as it is written, and whether it is free text.
func (s *sheet) cell(v any) (text string, isText bool) {
	switch v := v.(type) {
	case nil:
		return "", false
	case string:
		return v, true
	case bool:
		if v {
			return "true", false
		}
		return "false", false
	case decimal.Decimal:
		if s.mark == ',' {
			return strings.Replace(v.String(), ".", ",", 1), false
		}
		return v.String(), false
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano), false
	case record.Date:
		return string(v), true
	case record.Values:
		return s.cell(v["id"])
	case []any:
		members := make([]string, len(v))
		for i, m := range v {
			members[i], _ = s.cell(m)
		}
		return strings.Join(members, ","), true
	}
	return "", false
}

// guard takes the danger out of a text that a spreadsheet would run as a
// formula, if the connection asks for it: by an apostrophe before it, as OWASP
// advises ("CSV Injection"). What is a plain number has no danger.
func (s *sheet) guard(text string) string {
	if !s.config.Safe || text == "" {
		return text
	}
	if _, _, number := numberShape(text); number {
		return text
	}
	for _, begin := range []string{"=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"} {
		if strings.HasPrefix(text, begin) {
			return "'" + text
		}
	}
	return text
}
