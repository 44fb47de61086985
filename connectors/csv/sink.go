package csv

import (
	"context"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"time"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// hiddenFolder holds, below the connection's folder, what runs have written
// before their files appear: a folder for each.
const hiddenFolder = ".towpath"

// partsKept is how long the parts of a run that never ended are kept.
const partsKept = 7 * 24 * time.Hour

// SinkFields gives any columns, as text: a file of this name need not be there.
// It says what forbids writing one.
func (c *Connector) SinkFields(_ context.Context, model string, columns []string) ([]record.FieldInfo, error) {
	if _, err := c.newSheet(columns, io.Discard); err != nil {
		return nil, err
	}
	root, err := c.root()
	if err != nil {
		return nil, err
	}
	defer shut(root)
	if err := maybeModel(root, model); err != nil {
		return nil, err
	}
	if _, err := root.Stat(path.Dir(filepath.ToSlash(model))); err != nil {
		return nil, writeFault(err)
	}
	fields := make([]record.FieldInfo, len(columns))
	for i, name := range columns {
		fields[i] = record.FieldInfo{Name: name, Label: name, Type: record.TypeText}
	}
	return fields, nil
}

// SinkPage keeps a page as a file of its own in the run's hidden folder, whole
// or not at all, until SinkDone. How values are written: see Writer.Write.
func (c *Connector) SinkPage(_ context.Context, page connectors.SinkPage) ([]connectors.SinkRefusal, error) {
	x, err := c.runFolder(page.Run, page.Model, page.Columns)
	if err != nil {
		return nil, err
	}
	defer shut(x.root)
	if err := maybeModel(x.root, page.Model); err != nil {
		return nil, err
	}
	if err := x.begin(); err != nil {
		return nil, err
	}
	if _, over, err := x.outcome(); err != nil {
		return nil, err
	} else if over {
		return nil, exportOver()
	}
	p, refused, err := c.newPart(page)
	if err != nil {
		return nil, err
	}
	return refused, x.put(connectors.SinkAt{Lane: page.Lane, Page: page.Page}, p)
}

// SinkDone joins the pages into the model's file, which replaces the former one
// whole, and gives its path. What runs left behind that were written to last
// over 7 days ago is removed.
func (c *Connector) SinkDone(ctx context.Context, run connectors.SinkRun) (where string, err error) {
	x, err := c.runFolder(run.Run, run.Model, run.Columns)
	if err != nil {
		return "", err
	}
	defer shut(x.root)
	if err := x.begin(); err != nil { // also of a run that had nothing to write
		return "", err
	}
	if done, over, err := x.outcome(); err != nil || over {
		return done.Where, err
	}
	if err := c.joinParts(ctx, x, run); err != nil {
		// Somebody else may have ended the run and taken its parts meanwhile.
		if done, over, _ := x.outcome(); over {
			return done.Where, nil
		}
		return "", err
	}
	where = filepath.Join(c.config.Folder, filepath.FromSlash(run.Model))
	if err := x.settle(outcome{Where: where, Rows: run.Rows}); err != nil {
		return "", err
	}
	c.removeOldExports(x)
	return where, nil
}

// SinkDrop removes the run's hidden folder, and nothing else.
func (c *Connector) SinkDrop(_ context.Context, run connectors.SinkRun) error {
	x, err := c.runFolder(run.Run, run.Model, run.Columns)
	if err != nil {
		return err
	}
	defer shut(x.root)
	if err := x.root.RemoveAll(x.folder); err != nil {
		return fileFault(err)
	}
	return nil
}

// joinParts writes the model's file out of the run's pages. Its memory does not
// grow with them.
func (c *Connector) joinParts(ctx context.Context, x runFolder, run connectors.SinkRun) error {
	pages := slices.Clone(run.Pages)
	slices.SortFunc(pages, comparePages)
	pages = slices.Compact(pages)
	if err := x.complete(pages); err != nil {
		return err
	}
	w, err := c.Create(run.Model, run.Columns)
	if err != nil {
		return err
	}
	defer func() { _ = w.Close() }() // after Commit there is nothing to lose
	for _, at := range pages {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := x.joinPart(w, at); err != nil {
			return err
		}
	}
	if w.written.Records != run.Rows {
		return fault.New(fault.Conflict, "csv.export_rows", "the pages hold %d rows, the run counted %d; the file was left as it was", w.written.Records, run.Rows).
			WithResolution("start the run again; if it happens again, report it")
	}
	c.step("joined")
	if _, over, _ := x.outcome(); over {
		return exportOver() // a later run's file may stand there by now
	}
	if _, err = w.Commit(); err == nil {
		c.step("renamed")
	}
	return err
}

func exportOver() *fault.Fault {
	return fault.New(fault.Conflict, "csv.export_over", "the export has ended; the page was not kept").
		WithResolution("the next run exports the record again")
}

// removeOldExports clears away what runs have left that never ended, and what
// tells that others did. It is a courtesy: where it fails, the next run does it.
func (c *Connector) removeOldExports(own runFolder) {
	entries, err := fs.ReadDir(own.root.FS(), hiddenFolder)
	if err != nil {
		return
	}
	for _, e := range entries {
		folder := path.Join(hiddenFolder, e.Name())
		if info, err := e.Info(); err == nil && e.IsDir() && folder != own.folder && c.now().Sub(info.ModTime()) > partsKept {
			_ = own.root.RemoveAll(folder)
		}
	}
}

// step is a place where a test lets the process die.
func (c *Connector) step(name string) {
	if c.at != nil {
		c.at(name)
	}
}
