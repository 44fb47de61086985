package csv

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"towpath/connectors"
	"towpath/schema/fault"
)

// part is a page as it rests: its head as a line of JSON, then its lines as
// they will stand in the file.
type part struct {
	head  partHead
	lines []byte
}

type partHead struct {
	Stamp string `json:"stamp"` // of the settings and columns it was written with
	Rows  int64  `json:"rows"`
	Bytes int64  `json:"bytes"`
	CRC   uint32 `json:"crc"` // Castagnoli, of the lines
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// outcome is what ending a run came to. It rests in the run's folder, so that
// ending it again gives the same.
type outcome struct {
	Where string `json:"where"`
	Rows  int64  `json:"rows"`
}

const outcomeName = "done.json"

// runFolder is what a run has written so far.
type runFolder struct {
	root   *os.Root
	folder string // below root
	stamp  string // of the settings and columns that its pages share
	step   func(string)
}

// runFolder finds what a run has written. Shut its root.
func (c *Connector) runFolder(run, model string, columns []string) (runFolder, error) {
	settings, err := c.config.text()
	if err != nil {
		return runFolder{}, err
	}
	root, err := c.root()
	if err != nil {
		return runFolder{}, err
	}
	return runFolder{
		root: root, stamp: digest(settings + strings.Join(columns, "\x00")), step: c.step,
		// Ids of runs may hold anything, a folder's name may not.
		folder: path.Join(hiddenFolder, digest(run+"\x00"+model)),
	}, nil
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:16])
}

// begin makes the run's folder.
func (x runFolder) begin() error {
	if err := x.root.MkdirAll(x.folder, 0o750); err != nil {
		return fileFault(err)
	}
	return nil
}

func (x runFolder) path(name string) string { return path.Join(x.folder, name) }

func nameOf(at connectors.SinkAt) string { return fmt.Sprintf("%d-%d%s", at.Lane, at.Page, partSuffix) }

func comparePages(a, b connectors.SinkAt) int {
	return cmp.Or(cmp.Compare(a.Lane, b.Lane), cmp.Compare(a.Page, b.Page))
}

// newPart writes a page's rows, less those that the file cannot hold.
func (c *Connector) newPart(page connectors.SinkPage) (part, []connectors.SinkRefusal, error) {
	var lines bytes.Buffer
	s, err := c.newSheet(page.Columns, &lines)
	if err != nil {
		return part{}, nil, err
	}
	var refused []connectors.SinkRefusal
	for i, row := range page.Rows {
		err := s.record(row)
		switch {
		case fault.Is(err, fault.Invalid):
			refused = append(refused, connectors.SinkRefusal{Row: i, Err: err})
		case err != nil:
			return part{}, nil, err
		}
	}
	if err := s.finish(); err != nil {
		return part{}, nil, err
	}
	return part{lines: lines.Bytes(), head: partHead{
		Rows: int64(len(page.Rows) - len(refused)), Bytes: int64(lines.Len()), CRC: crc32.Checksum(lines.Bytes(), castagnoli),
	}}, refused, nil
}

// put lets a page rest, in the place of the same page written before.
func (x runFolder) put(at connectors.SinkAt, p part) error {
	p.head.Stamp = x.stamp
	head, err := json.Marshal(p.head)
	if err != nil {
		return err
	}
	return x.replace(nameOf(at), append(head, '\n'), p.lines)
}

// replace writes a file of the run whole, durably.
func (x runFolder) replace(name string, content ...[]byte) error {
	temp := x.path(rand.Text())
	f, err := x.root.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
	if err != nil {
		return fileFault(err)
	}
	for _, c := range content {
		if err == nil {
			_, err = f.Write(c)
		}
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	x.step("page written")
	if err == nil {
		err = x.root.Rename(temp, x.path(name))
	}
	if err != nil {
		_ = x.root.Remove(temp)
		return fileFault(err)
	}
	syncFolder(x.root, x.folder)
	return nil
}

// complete makes sure that all pages are there, before anything is joined.
func (x runFolder) complete(pages []connectors.SinkAt) error {
	entries, err := fs.ReadDir(x.root.FS(), x.folder)
	if err != nil {
		return fileFault(err)
	}
	there := make(map[string]bool, len(entries))
	for _, e := range entries {
		there[e.Name()] = true
	}
	var missing []connectors.SinkAt
	for _, at := range pages {
		if !there[nameOf(at)] {
			missing = append(missing, at)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fault.New(fault.Conflict, "csv.export_incomplete", "%d of %d pages of the export are missing, first page %d of lane %d; the file was left as it was",
		len(missing), len(pages), missing[0].Page, missing[0].Lane).
		WithResolution("start the run again; every worker must see the connection's folder under the same path")
}

// joinPart adds a page's lines to the file, and proves that they are all there.
func (x runFolder) joinPart(w *Writer, at connectors.SinkAt) error {
	f, err := x.root.Open(x.path(nameOf(at)))
	if err != nil {
		return fileFault(err)
	}
	defer f.Close()
	lines := bufio.NewReader(f)
	first, err := lines.ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fileFault(err)
	}
	var head partHead
	if json.Unmarshal(first, &head) != nil {
		return damaged(at)
	}
	if head.Stamp != x.stamp {
		return fault.New(fault.Conflict, "csv.export_settings", "the connection's settings or the columns were changed during the run; the file was left as it was").
			WithResolution("start the run again")
	}
	sum := &checked{from: lines}
	if err := w.join(sum, head.Rows); err != nil {
		return err
	}
	if sum.bytes != head.Bytes || sum.crc != head.CRC {
		return damaged(at)
	}
	return nil
}

func damaged(at connectors.SinkAt) *fault.Fault {
	return fault.New(fault.Conflict, "csv.export_damaged", "page %d of lane %d of the export is damaged; the file was left as it was", at.Page, at.Lane).
		WithResolution("check the disk that the connection's folder is on, and start the run again")
}

// checked counts and sums what is read.
type checked struct {
	from  io.Reader
	bytes int64
	crc   uint32
}

func (c *checked) Read(into []byte) (int, error) {
	n, err := c.from.Read(into)
	c.bytes += int64(n)
	c.crc = crc32.Update(c.crc, castagnoli, into[:n])
	return n, err
}

// outcome tells whether the run was ended, and how.
func (x runFolder) outcome() (done outcome, over bool, err error) {
	raw, err := x.root.ReadFile(x.path(outcomeName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return done, false, nil
	case err != nil:
		return done, false, fileFault(err)
	}
	if err := json.Unmarshal(raw, &done); err != nil {
		return done, false, fileFault(err)
	}
	return done, true, nil
}

// settle notes how the run ended and removes its pages.
func (x runFolder) settle(done outcome) error {
	raw, err := json.Marshal(done)
	if err != nil {
		return err
	}
	if err := x.replace(outcomeName, raw); err != nil {
		return err
	}
	x.step("noted")
	x.removePages()
	return nil
}

// removePages clears the pages away of a run that has ended. What stays, where
// it fails, is removed when it is old.
func (x runFolder) removePages() {
	entries, err := fs.ReadDir(x.root.FS(), x.folder)
	if err != nil {
		return
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), partSuffix) {
			_ = x.root.Remove(x.path(e.Name()))
		}
	}
}
