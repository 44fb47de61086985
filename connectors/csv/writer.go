package csv

import (
	"bufio"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"towpath/schema/fault"
	"towpath/schema/record"
)

// Writer writes records as a file that appears whole or not at all: it fills a
// hidden file beside it, which Commit renames. It is for one goroutine.
type Writer struct {
	sheet *sheet
	model string

	root    *os.Root
	temp    string
	file    *os.File
	buffer  *bufio.Writer
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
// ".NAME.….part" behind, which nothing reads and an export of that name removes
// when nobody has written to it for a day.
func (c *Connector) Create(model string, columns []string) (*Writer, error) {
	w := &Writer{model: model}
	w.buffer = bufio.NewWriterSize(nil, 64<<10)
	var err error
	if w.sheet, err = c.newSheet(columns, w.buffer); err != nil {
		return nil, err
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
	if err := maybeModel(w.root, w.model); err != nil {
		return err
	}
	c.removeAbandoned(w.root, w.model)
	dir, name := path.Split(filepath.ToSlash(w.model))
	temp := path.Join(dir, partPrefix(name)+rand.Text()+partSuffix)
	// Records may be personal: nobody but the owner and the group reads them.
	if w.file, err = w.root.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640); err != nil {
		return writeFault(err)
	}
	w.temp = temp
	w.buffer.Reset(w.file)
	if _, err := w.buffer.WriteString(w.sheet.codec.bom); err != nil {
		return writeFault(err)
	}
	return w.sheet.header()
}

// maybeModel makes sure that a file of this name can be written: it need not be
// there, but is nothing else than a file, and none of the exports' own.
func maybeModel(root *os.Root, model string) error {
	if first, _, _ := strings.Cut(path.Clean(filepath.ToSlash(model)), "/"); first == hiddenFolder {
		return outside(nil)
	}
	if _, err := statIn(root, model); err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	return nil
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
	err := w.sheet.record(values)
	switch {
	case fault.Is(err, fault.Invalid):
		w.written.Refused++
	case err == nil:
		w.written.Records++
	}
	return err
}

// join adds records that a sheet of the same settings has written.
func (w *Writer) join(lines io.Reader, records int64) error {
	if err := w.sheet.flush(); err != nil {
		return err
	}
	if _, err := w.buffer.ReadFrom(lines); err != nil {
		return writeFault(err)
	}
	w.written.Records += records
	return nil
}

// Commit makes the file appear under its name, durably.
func (w *Writer) Commit() (Written, error) {
	if w.file == nil {
		return Written{}, fault.New(fault.Conflict, "csv.export_closed", "the export is closed").WithResolution("begin the export again")
	}
	err := errors.Join(w.sheet.finish(), w.buffer.Flush(), w.file.Sync())
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
	syncFolder(w.root, path.Dir(filepath.ToSlash(w.model)))
	return w.written, nil
}

// syncFolder makes the names in a folder durable; some file systems cannot be
// told to.
func syncFolder(root *os.Root, folder string) {
	if dir, err := root.Open(folder); err == nil {
		_ = dir.Sync()
		dir.Close()
	}
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

// abandonedAfter is when a hidden file that nobody writes to is one of a
// process that died: a file under way is written to all the time.
const abandonedAfter = 24 * time.Hour

const partSuffix = ".part"

func partPrefix(name string) string { return "." + name + "." }

// removeAbandoned removes hidden files of dead exports of this model. It is a
// courtesy: where it fails, the export goes on.
func (c *Connector) removeAbandoned(root *os.Root, model string) {
	dir, name := path.Split(filepath.ToSlash(model))
	dir = path.Clean(dir)
	entries, err := fs.ReadDir(root.FS(), dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		middle, ours := strings.CutPrefix(e.Name(), partPrefix(name))
		middle, ended := strings.CutSuffix(middle, partSuffix)
		if !ours || !ended || !isRandom(middle) || !e.Type().IsRegular() {
			continue
		}
		if info, err := e.Info(); err == nil && c.now().Sub(info.ModTime()) > abandonedAfter {
			_ = root.Remove(path.Join(dir, e.Name()))
		}
	}
}

// isRandom tells a text of rand.Text, so that nobody else's file is removed.
func isRandom(s string) bool {
	return len(s) == 26 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}
