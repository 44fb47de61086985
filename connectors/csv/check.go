package csv

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"towpath/connectors"
	"towpath/schema/fault"
)

// maxProbed is how many files a check opens.
const maxProbed = 50

// Check looks whether the folder and its files can be read. Probes: reach, id
// column, and one for each file that the setting files selects, by name, with
// what was found out about it. A folder has neither identity nor version.
func (c *Connector) Check(ctx context.Context) connectors.Report {
	names, err := c.files()
	if err != nil {
		return connectors.Report{Probes: []connectors.Probe{failed("reach", err)}}
	}
	reach := connectors.Probe{Name: "reach", OK: true, Text: "the folder is readable; " + counted(len(names), "file")}
	if len(names) == 0 {
		reach.Warn, reach.Fix = true, "deliver files that match "+c.config.Files+", or correct the setting files"
	}
	if len(names) > maxProbed {
		reach.Text += fmt.Sprintf(", the first %d looked at", maxProbed)
		names = names[:maxProbed]
	}
	report := connectors.Report{Probes: []connectors.Probe{reach, c.checkID()}}
	unseen := slices.Clone(c.config.NumberColumns)
	for _, name := range names {
		if ctx.Err() != nil {
			report.Probes = append(report.Probes, failed("file "+name, ctx.Err()))
			break
		}
		probe, l := c.checkFile(name)
		report.Probes = append(report.Probes, probe)
		unseen = slices.DeleteFunc(unseen, func(column string) bool { return !probe.OK || l.index(column) >= 0 })
	}
	if len(unseen) > 0 && len(names) > 0 {
		report.Probes = append(report.Probes, connectors.Probe{
			Name: "number columns", OK: true, Warn: true, Text: fmt.Sprintf("no file has a column %q", unseen[0]), Fix: "correct number_columns",
		})
	}
	return report
}

// files lists the files that the connection is for, in the folder itself. As in
// a shell, a pattern means hidden files only if it begins with a dot: exports
// that are not finished are hidden.
func (c *Connector) files() ([]string, error) {
	root, err := c.root()
	if err != nil {
		return nil, err
	}
	defer shut(root)
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, fault.New(fault.Unauthorized, "csv.folder_denied", "the connection's folder may not be listed").WithField("folder").
			WithResolution("let the user that Towpath runs as list the folder").WithDetail(err.Error()).WithCause(err)
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() && c.config.matches(e.Name()) {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

func failed(name string, err error) connectors.Probe {
	f := fault.Of(err)
	return connectors.Probe{Name: name, Text: f.Message, Fix: f.Resolution, Fault: f}
}

func (c *Connector) checkID() connectors.Probe {
	if c.config.IDColumn == "" {
		return connectors.Probe{
			Name: "id column", OK: true, Warn: true, Text: "none: nothing can be synced, because a line's number does not survive the file's next edit",
			Fix: "set id_column to the column that identifies a record, such as a SKU",
		}
	}
	return connectors.Probe{Name: "id column", OK: true, Text: c.config.IDColumn}
}

func (c *Connector) checkFile(name string) (connectors.Probe, layout) {
	title := "file " + name
	f, err := c.open(name)
	if err != nil {
		return failed(title, err), layout{}
	}
	defer f.Close()
	l, err := c.layoutOf(f)
	if err == nil {
		_, err = c.selects(l, connectors.RecordQuery{Model: name})
	}
	if err != nil {
		return failed(title, err), layout{}
	}
	p := connectors.Probe{Name: title, OK: true, Text: l.describe()}
	if l.guessed && l.form.codec.name != utf8Codec.name {
		p.Warn, p.Fix = true, "the encoding is a guess: set encoding if texts look wrong"
	}
	fixes := slices.DeleteFunc([]string{p.Fix}, func(fix string) bool { return fix == "" })
	for _, col := range l.columns {
		if col.doubt != "" {
			p.Warn, fixes = true, append(fixes, col.doubt)
		}
	}
	p.Fix = strings.Join(fixes, "; ")
	return p, l
}

// describe says in words how a file is written.
func (l layout) describe() string {
	said := []string{l.form.codec.name}
	if l.guessed {
		said[0] += " by the look of it"
	}
	said = append(said,
		"separated by "+map[rune]string{',': "commas", ';': "semicolons", '\t': "tabs", '|': "|"}[l.form.sep],
		map[byte]string{'.': "decimal point", ',': "decimal comma", 0: "no decimal mark found"}[l.mark],
		counted(len(l.columns), "column"))
	return strings.Join(said, ", ")
}
