package csv

import (
	"fmt"
	"slices"

	"towpath/schema/record"
)

// look is what a cell could be.
type look uint16

const (
	looksText look = 1 << iota
	looksBoolean
	looksInteger
	looksPoint     // 1.5
	looksComma     // 1,5
	looksSurePoint // and no grouped thousand: 1.5, not 1.500
	looksSureComma
	looksDate
	looksTime
)

const (
	pointNumber = looksInteger | looksPoint | looksSurePoint
	commaNumber = looksInteger | looksComma | looksSureComma
)

func (all look) within(allowed look) bool { return all != 0 && all&^allowed == 0 }

// tally is what the sampled cells of a column look like.
type tally struct {
	all          look
	cells        int // that are not empty
	points       int // that prove a decimal point, and a comma
	commas       int
	odd          int   // that are no number
	oddAt        int64 // line of the first of them
	told, banned bool  // by the settings: numbers, text
}

func (t *tally) see(cell string, line int64) {
	l := lookOf(cell)
	t.all |= l
	t.cells++
	switch {
	case l&looksSurePoint != 0:
		t.points++
	case l&looksSureComma != 0:
		t.commas++
	case l&(pointNumber|commaNumber) == 0:
		if t.odd++; t.odd == 1 {
			t.oddAt = line
		}
	}
}

// few says that a part of a column is so small that it is hardly meant: less
// than one in a hundred.
func few(part, all int) bool { return part*100 < all }

// guessTypes looks at the first records. Columns that the settings name for
// text, and what identifies a record, are text whatever they look like; those
// named for numbers are numbers.
func (l *layout) guessTypes(rows *scanner, c Config) error {
	seen := make([]tally, len(l.columns))
	for i, col := range l.columns {
		seen[i].banned = col.name == c.IDColumn || slices.Contains(c.TextColumns, col.name) // nor does it prove a decimal mark
		seen[i].told = slices.Contains(c.NumberColumns, col.name)
	}
	for n := 0; n < sampleRows && rows.offset-l.offset < sampleLimit; n++ {
		r, more, err := rows.next()
		if err != nil {
			return fileFault(err)
		}
		if !more {
			break
		}
		if r.bad != "" || len(r.fields) != len(seen) {
			continue
		}
		for i, field := range r.fields {
			if l.form.wrongBytes(r, field) != "" {
				continue
			}
			if cell := l.form.text(r, field); cell != "" {
				seen[i].see(cell, r.line)
			}
		}
	}
	if l.mark == 0 {
		l.mark = markOf(seen)
	}
	for i := range l.columns {
		col := &l.columns[i]
		switch t := seen[i]; {
		case t.told:
			col.kind, col.told = record.TypeNumber, true
		case !t.banned:
			col.kind = typeOf(t.all, l.mark)
			col.doubt = t.doubt(col.name, col.kind)
		}
	}
	return nil
}

// doubt says that a column would hold numbers, but for a few cells.
func (t tally) doubt(name string, kind record.FieldType) string {
	if kind != record.TypeText || t.odd == 0 || !few(t.odd, t.cells) {
		return ""
	}
	return fmt.Sprintf("column %q is taken for text because of %s among the first %d that %s no number, first in line %d; name it under number_columns of the connection if it holds numbers, and such a line is parked by itself",
		name, counted(t.odd, "cell"), t.cells, map[bool]string{true: "is", false: "are"}[t.odd == 1], t.oddAt)
}

func lookOf(cell string) look {
	if mark, decimals, ok := numberShape(cell); ok {
		sure := decimals != 3
		switch {
		case mark == 0:
			return looksInteger
		case mark == '.' && sure:
			return looksPoint | looksSurePoint
		case mark == '.':
			return looksPoint
		case sure:
			return looksComma | looksSureComma
		}
		return looksComma
	}
	if _, ok := parseBoolean(cell); ok {
		return looksBoolean
	}
	if isDate(cell) {
		return looksDate
	}
	if isTime(cell) {
		return looksTime
	}
	return looksText
}

// markOf is the decimal mark that the columns of numbers agree on; 0 when they
// prove none, or both. In a column that is told to hold numbers a few cells may
// be wrong.
func markOf(seen []tally) byte {
	point, comma := false, false
	for _, t := range seen {
		switch {
		case t.banned:
		case t.told:
			point = point || t.points > 0 && !few(t.points, t.points+t.commas)
			comma = comma || t.commas > 0 && !few(t.commas, t.points+t.commas)
		default:
			point = point || t.all.within(pointNumber) && t.all&looksSurePoint != 0
			comma = comma || t.all.within(commaNumber) && t.all&looksSureComma != 0
		}
	}
	switch {
	case point && !comma:
		return '.'
	case comma && !point:
		return ','
	}
	return 0
}

func typeOf(all look, mark byte) record.FieldType {
	switch {
	case all.within(looksBoolean):
		return record.TypeBoolean
	case all.within(looksInteger):
		return record.TypeInteger
	case mark == '.' && all.within(pointNumber), mark == ',' && all.within(commaNumber):
		return record.TypeNumber
	case all.within(looksDate):
		return record.TypeDate
	case all.within(looksTime):
		return record.TypeTime
	}
	return record.TypeText
}
