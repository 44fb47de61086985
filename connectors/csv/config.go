package csv

import (
	"encoding/json"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a minimal container has no time zones of its own

	"towpath/schema/fault"
)

// Config is one folder of CSV files.
type Config struct {
	Folder        string   `json:"folder" required:"true" doc:"The folder, as an absolute path that every process of Towpath sees. Nothing outside of it is read or written."`
	Files         string   `json:"files" default:"*.csv" doc:"Which files a check looks at: patterns separated by spaces."`
	Encoding      string   `json:"encoding" default:"auto" doc:"How text is written: auto, utf-8, utf-8-bom (exports begin with a BOM, which Excel needs), utf-16, utf-16le, utf-16be, windows-1252, iso-8859-1, iso-8859-15 or another one-byte encoding. auto goes by the BOM, else by the first megabyte."`
	Separator     string   `json:"separator" default:"auto" doc:"What separates fields: auto, a comma, a semicolon, tab or |. Exports take a comma for auto."`
	Quote         string   `json:"quote" default:"\"" doc:"What quotes a field: a double quote, a single quote, or none. Exports use the double quote."`
	Header        bool     `json:"header" default:"true" doc:"The first line names the columns."`
	Columns       []string `json:"columns" doc:"The columns' names, when there is no header."`
	Decimal       string   `json:"decimal" default:"auto" doc:"The decimal mark of numbers: auto, . or a comma. Exports take a point for auto."`
	TextColumns   []string `json:"text_columns" doc:"Columns that stay text whatever they look like, such as version numbers."`
	NumberColumns []string `json:"number_columns" doc:"Columns that hold numbers, such as prices. A cell in them that is no number parks its own record, with line and column; without the setting one such cell among the first 1,000 records makes the column text."`
	IDColumn      string   `json:"id_column" doc:"The column that identifies a record for ever, such as a SKU. Needed for syncs: a line's number does not survive the next export."`
	ChangedColumn string   `json:"changed_column" doc:"The column that says when a record was last changed. Without it every run reads all records."`
	ChangedLayout string   `json:"changed_layout" default:"iso" doc:"How changed_column is written: iso, unix (seconds), unix_ms, or a pattern of YYYY MM DD HH mm ss and ZZ (offset), such as DD.MM.YYYY HH:mm."`
	Timezone      string   `json:"timezone" default:"UTC" doc:"The zone of times that name none, e.g. Europe/Vienna."`
	Safe          bool     `json:"safe_for_spreadsheets" default:"false" doc:"Exports put an apostrophe before texts that a spreadsheet would run as a formula. People may then open the file without danger, but programs read the apostrophe as data."`

	// What the words above mean.
	separator rune // 0: auto
	quote     rune
	mark      byte // 0: auto
	zone      *time.Location
	changed   clock
}

const auto = "auto"

var separators = map[string]rune{auto: 0, ",": ',', ";": ';', "tab": '\t', "\t": '\t', `\t`: '\t', "|": '|'}

var quotes = map[string]rune{`"`: '"', "'": '\'', "none": none}

var marks = map[string]byte{auto: 0, ".": '.', ",": ','}

// readConfig parses, fills in defaults and checks. All that is wrong is said
// at once.
func readConfig(raw json.RawMessage) (Config, error) {
	c := Config{Files: "*.csv", Encoding: auto, Separator: auto, Quote: `"`, Header: true, Decimal: auto, ChangedLayout: "iso", Timezone: "UTC"}
	if err := json.Unmarshal(raw, &c); err != nil {
		return c, fault.New(fault.Invalid, "csv.config", "the connection's settings are not readable").
			WithResolution("correct the connection's settings").WithDetail(err.Error()).WithCause(err)
	}
	if wrong := c.understand(); len(wrong) > 0 {
		field, _, _ := strings.Cut(wrong[0], ":")
		return c, fault.New(fault.Invalid, "csv.config", "%s", strings.Join(wrong, "; ")).
			WithField(field).WithResolution("correct the connection's settings")
	}
	return c, nil
}

// understand finds what the settings' words mean, and lists what is wrong with
// them, each as "field: text".
func (c *Config) understand() (wrong []string) {
	add := func(field, format string, args ...any) {
		wrong = append(wrong, field+": "+fmt.Sprintf(format, args...))
	}
	if !filepath.IsAbs(c.Folder) {
		add("folder", "must be an absolute path")
	}
	if len(c.patterns()) == 0 {
		add("files", "must name at least one pattern")
	}
	for _, p := range c.patterns() {
		if _, err := path.Match(p, ""); err != nil {
			add("files", "%q is not a pattern such as *.csv", p)
		}
	}
	if _, ok := codecNamed(c.Encoding); !ok && !slices.Contains([]string{auto, utf16Name}, plainName(c.Encoding)) {
		add("encoding", "%q is not known: use auto, utf-8, utf-16, windows-1252, iso-8859-1, iso-8859-15 or another one-byte encoding", c.Encoding)
	}
	var ok bool
	if c.separator, ok = separators[c.Separator]; !ok {
		add("separator", "must be auto, a comma, a semicolon, tab or |")
	}
	if c.quote, ok = quotes[c.Quote]; !ok {
		add("quote", `must be ", ' or none`)
	}
	if c.mark, ok = marks[c.Decimal]; !ok {
		add("decimal", "must be auto, . or a comma")
	}
	for _, name := range c.NumberColumns {
		if name == c.IDColumn || name == c.ChangedColumn || slices.Contains(c.TextColumns, name) {
			add("number_columns", "%q is id_column, changed_column or one of text_columns, too", name)
		}
	}
	switch {
	case c.Header && len(c.Columns) > 0:
		add("columns", "are named by the header: give either header: false or no columns")
	case !c.Header && len(c.Columns) == 0:
		add("columns", "must be named, because the files have no header")
	case !c.Header:
		wrong = append(wrong, c.wrongColumns()...)
	}
	var err error
	if c.zone, err = time.LoadLocation(c.Timezone); err != nil || c.Timezone == "" || c.Timezone == "Local" {
		add("timezone", "%q is not a zone such as Europe/Vienna", c.Timezone)
		c.zone = time.UTC
	}
	if c.changed, err = newClock(c.ChangedLayout, c.zone); err != nil {
		add("changed_layout", "%s", err)
	}
	return wrong
}

// wrongColumns checks named columns as a header would be checked.
func (c *Config) wrongColumns() (wrong []string) {
	if f := checkNames(c.Columns); f != nil {
		wrong = append(wrong, "columns: "+f.Message)
	}
	for setting, names := range map[string][]string{"id_column": {c.IDColumn}, "changed_column": {c.ChangedColumn}, "number_columns": c.NumberColumns} {
		for _, column := range names {
			if column != "" && !slices.Contains(c.Columns, column) {
				wrong = append(wrong, fmt.Sprintf("%s: %q is not among columns", setting, column))
			}
		}
	}
	slices.Sort(wrong)
	return wrong
}

// text tells settings from others.
func (c Config) text() (string, error) {
	raw, err := json.Marshal(c)
	if err != nil {
		return "", fault.New(fault.Invalid, "csv.config", "the connection's settings are not readable").
			WithResolution("correct the connection's settings").WithCause(err)
	}
	return string(raw), nil
}

func (c *Config) patterns() []string { return strings.Fields(c.Files) }

// matches reports whether a file is one of the connection's.
func (c *Config) matches(name string) bool {
	return slices.ContainsFunc(c.patterns(), func(p string) bool {
		ok, err := path.Match(p, name)
		return ok && err == nil && strings.HasPrefix(p, ".") == strings.HasPrefix(name, ".")
	})
}
