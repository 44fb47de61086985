package csv

import (
	"bufio"
	"crypto/rand"
	stdcsv "encoding/csv"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"towpath/schema/fault"
	"towpath/schema/record"
)

// Writer writes records as a file that appears whole or not at all: it fills a
// hidden file beside it, which Commit renames. It is for one goroutine.
type Writer struct {
	config  Config
	codec   codec
	mark    byte
	columns []string
	model   string

	root    *os.Root
	temp    string
	file    *os.File
	buffer  *bufio.Writer
	encode  io.WriteCloser // text into the codec
	rows    *stdcsv.Writer
	cells   []string
	written Written
}

// Written is what an export came to.
type Written struct {
	Records int64
	Refused int64 // records that the file cannot hold; Write said why
	Bytes   int64
}

// Create begins a file below the connection's folder, which replaces one of
// that name when it is committed. Columns are names or dot paths of the values
// to be written, and the header when the connection has one. Settings that say
// "auto" mean UTF-8, a comma, and a decimal point. Lines end in LF, which
// spreadsheets read, too.
//
// Call Commit, and Close in any case. A process that dies leaves a hidden file
// ".NAME.….part" behind, which nothing reads.
func (c *Connector) Create(model string, columns []string) (*Writer, error) {
	w := &Writer{config: c.config, columns: columns, model: model, mark: c.config.mark, cells: make([]string, len(columns))}
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
	if w.codec, ok = codecNamed(c.config.Encoding); !ok {
		if w.codec = utf8Codec; plainName(c.config.Encoding) == utf16Name {
			w.codec = utf16LE
		}
	}
	if err := w.open(c); err != nil {
		_ = w.Close() // what went wrong first says more
		return nil, err
	}
	return w, nil
}

// open makes the hidden file and writes the header.
func (w *Writer) open(c *Connector) error {
	var err error
	if w.root, err = c.root(); err != nil {
		return err
	}
	if _, err := statIn(w.root, w.model); err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	dir, name := path.Split(filepath.ToSlash(w.model))
	temp := path.Join(dir, "."+name+"."+rand.Text()+".part")
	// Records may be personal: nobody but the owner and the group reads them.
	if w.file, err = w.root.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640); err != nil {
		return writeFault(err)
	}
	w.temp = temp
	w.buffer = bufio.NewWriterSize(w.file, 64<<10)
	w.encode = w.codec.encoder().Writer(w.buffer).(io.WriteCloser)
	w.rows = stdcsv.NewWriter(w.encode)
	if w.config.separator != 0 {
		w.rows.Comma = w.config.separator
	}
	if _, err := w.buffer.WriteString(w.codec.bom); err != nil {
		return writeFault(err)
	}
	if !w.config.Header {
		return nil
	}
	for i, name := range w.columns {
		if w.cells[i] = w.guard(name); !w.codec.holds(name) || strings.ContainsRune(name, 0) {
			return w.cannotHold(name)
		}
	}
	return w.put()
}

func writeFault(err error) *fault.Fault {
	if errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.NotFound, "csv.export_folder", "the folder to export into is not there").WithField("model").
			WithResolution("create the folder below the connection's folder").WithDetail(err.Error()).WithCause(err)
	}
	return fileFault(err)
}

// Write adds one record. A fault of kind Invalid refuses this record only and
// names its column; any other ends the export.
//
// Empty values are empty cells, booleans true and false, numbers with the
// connection's decimal mark, times ISO 8601 in UTC, references their id, lists
// their members separated by commas.
func (w *Writer) Write(values record.Values) error {
	for i, name := range w.columns {
		cell, isText := w.cell(lookUp(values, name))
		if !w.codec.holds(cell) || strings.IndexByte(cell, 0) >= 0 {
			w.written.Refused++
			return w.cannotHold(name)
		}
		if isText {
			cell = w.guard(cell)
		}
		w.cells[i] = cell
	}
	if err := w.put(); err != nil {
		return err
	}
	w.written.Records++
	return nil
}

func (w *Writer) cannotHold(column string) *fault.Fault {
	return fault.New(fault.Invalid, "csv.not_encodable", "the text has characters that %s does not", w.codec.name).WithField(column).
		WithResolution("export as utf-8, or correct the text")
}

func (w *Writer) put() error {
	if err := w.rows.Write(w.cells); err != nil {
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
func (w *Writer) cell(v any) (text string, isText bool) {
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
		if w.mark == ',' {
			return strings.Replace(v.String(), ".", ",", 1), false
		}
		return v.String(), false
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano), false
	case record.Date:
		return string(v), true
	case record.Values:
		return w.cell(v["id"])
	case []any:
		members := make([]string, len(v))
		for i, m := range v {
			members[i], _ = w.cell(m)
		}
		return strings.Join(members, ","), true
	}
	return "", false
}

// guard takes the danger out of a text that a spreadsheet would run as a
// formula, if the connection asks for it: by an apostrophe before it, as OWASP
// advises ("CSV Injection"). What is a plain number has no danger.
func (w *Writer) guard(text string) string {
	if !w.config.Safe || text == "" {
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

// Commit makes the file appear under its name, durably.
func (w *Writer) Commit() (Written, error) {
	if w.file == nil {
		return Written{}, fault.New(fault.Conflict, "csv.export_closed", "the export is closed").WithResolution("begin the export again")
	}
	w.rows.Flush()
	err := errors.Join(w.rows.Error(), w.encode.Close(), w.buffer.Flush(), w.file.Sync())
	if info, statErr := w.file.Stat(); statErr == nil {
		w.written.Bytes = info.Size()
	}
	if err = errors.Join(err, w.file.Close()); err == nil {
		err = w.root.Rename(w.temp, w.model)
	}
	w.file = nil
	if err != nil {
		return Written{}, writeFault(err)
	}
	w.temp = ""
	// The name is durable when its folder is; some file systems cannot be told.
	if dir, err := w.root.Open(path.Dir(filepath.ToSlash(w.model))); err == nil {
		_ = dir.Sync()
		dir.Close()
	}
	return w.written, nil
}

// Close gives an export up that was not committed: its hidden file is removed.
func (w *Writer) Close() error {
	if w.root == nil {
		return nil
	}
	if w.file != nil {
		w.file.Close()
		w.file = nil
	}
	var err error
	if w.temp != "" {
		err = w.root.Remove(w.temp)
		w.temp = ""
	}
	shut(w.root)
	w.root = nil
	if err != nil {
		return writeFault(err)
	}
	return nil
}
