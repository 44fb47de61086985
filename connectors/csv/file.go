package csv

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"towpath/schema/fault"
)

// identityBlock is how much of a file's beginning goes into its identity.
const identityBlock = 64 << 10

// file is a model, open for reading.
type file struct {
	*os.File
	model    string
	size     int64
	written  time.Time
	identity string // of this content, read with these settings
}

// root opens the folder. Nothing can be opened through it that is not below.
func (c *Connector) root() (*os.Root, error) {
	root, err := os.OpenRoot(c.config.Folder)
	switch {
	case err == nil:
		return root, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.New(fault.NotFound, "csv.no_folder", "the connection's folder is not there").WithField("folder").
			WithResolution("create the folder, or mount it on this machine, too").WithDetail(err.Error()).WithCause(err)
	case errors.Is(err, fs.ErrPermission):
		return nil, fault.New(fault.Unauthorized, "csv.folder_denied", "the connection's folder may not be read").WithField("folder").
			WithResolution("let the user that Towpath runs as read the folder").WithDetail(err.Error()).WithCause(err)
	}
	return nil, fault.New(fault.Transient, "csv.folder_failed", "the connection's folder cannot be opened; it is tried again").WithField("folder").
		WithResolution("check that the path is a folder").WithDetail(err.Error()).WithCause(err)
}

// shut closes a folder: nothing was written through it that could be lost.
func shut(root *os.Root) { _ = root.Close() }

// statIn looks at a model's file without opening it: opening a pipe would wait
// for its writer.
func statIn(root *os.Root, model string) (fs.FileInfo, error) {
	if !filepath.IsLocal(model) || strings.ContainsRune(model, 0) {
		return nil, outside(nil)
	}
	info, err := root.Stat(model)
	if err != nil {
		return nil, fileFault(err)
	}
	if !info.Mode().IsRegular() {
		return nil, fault.New(fault.Invalid, "csv.no_file", "the model is no file").WithField("model").
			WithResolution("name a file below the connection's folder")
	}
	return info, nil
}

func outside(err error) *fault.Fault {
	f := fault.New(fault.Invalid, "csv.outside_folder", "the model leaves the connection's folder").WithField("model").
		WithResolution("name a file below the connection's folder, such as products.csv")
	if err != nil {
		f = f.WithDetail(err.Error()).WithCause(err)
	}
	return f
}

func fileFault(err error) *fault.Fault {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault.New(fault.NotFound, "csv.file_missing", "the file is not there").WithField("model").
			WithResolution("deliver the file, or correct its name in the mapping").WithDetail(err.Error()).WithCause(err)
	case errors.Is(err, fs.ErrPermission):
		return fault.New(fault.Unauthorized, "csv.file_denied", "the file may not be opened").WithField("model").
			WithResolution("let the user that Towpath runs as read the file").WithDetail(err.Error()).WithCause(err)
	case strings.Contains(err.Error(), "path escapes"): // os.Root's own error has no name
		return outside(err)
	}
	return fault.New(fault.Transient, "csv.file_failed", "the file cannot be read or written; it is tried again").WithField("model").
		WithResolution("check the disk or the network that the folder is on").WithDetail(err.Error()).WithCause(err)
}

// open opens a model's file. Close it.
func (c *Connector) open(model string) (*file, error) {
	root, err := c.root()
	if err != nil {
		return nil, err
	}
	defer shut(root)
	if _, err := statIn(root, model); err != nil {
		return nil, err
	}
	opened, err := root.Open(model)
	if err != nil {
		return nil, fileFault(err)
	}
	f := &file{File: opened, model: model}
	if f.identity, err = c.identityOf(f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// identityOf tells one content of a file from the next, by its size, its time
// and its first block. The settings belong to it: under others, the same bytes
// are other records.
func (c *Connector) identityOf(f *file) (string, error) {
	info, err := f.Stat()
	if err != nil {
		return "", fileFault(err)
	}
	settings, err := c.config.text()
	if err != nil {
		return "", err
	}
	f.size, f.written = info.Size(), info.ModTime()
	sum := sha256.New()
	fmt.Fprintf(sum, "%d %d %s\n", info.Size(), info.ModTime().UnixNano(), settings)
	if _, err := io.Copy(sum, io.NewSectionReader(f, 0, identityBlock)); err != nil {
		return "", fileFault(err)
	}
	return hex.EncodeToString(sum.Sum(nil)[:16]), nil
}

// unchanged makes sure that nobody wrote into the file while it was read. One
// that was put in its place does not disturb: the old one is still open.
func (f *file) unchanged() error {
	info, err := f.Stat()
	if err != nil {
		return fileFault(err)
	}
	if info.Size() != f.size || !info.ModTime().Equal(f.written) {
		return fileChanged()
	}
	return nil
}

func fileChanged() *fault.Fault {
	return fault.New(fault.Conflict, "csv.file_changed", "the file was replaced, or the connection's settings were changed, while it was read").WithField("model").
		WithResolution("start the run again; deliver files by renaming them into place, and not during a run")
}

// from is a scanner of the file from a row on.
func (f *file) from(fm form, offset, line int64) *scanner {
	return newScanner(io.NewSectionReader(f, offset, f.size-offset), fm, offset, line)
}
