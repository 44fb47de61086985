package csv

import (
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

// guessTypes looks at the first records. Columns that the settings name for
// text, and what identifies a record, are text whatever they look like.
func (l *layout) guessTypes(rows *scanner, c Config) error {
	looks := make([]look, len(l.columns))
	for n := 0; n < sampleRows && rows.offset-l.offset < sampleLimit; n++ {
		r, more, err := rows.next()
		if err != nil {
			return fileFault(err)
		}
		if !more {
			break
		}
		if r.bad != "" || len(r.fields) != len(looks) {
			continue
		}
		for i, field := range r.fields {
			if l.form.wrongBytes(r, field) != "" {
				continue
			}
			if cell := l.form.text(r, field); cell != "" {
				looks[i] |= lookOf(cell)
			}
		}
	}
	for i, col := range l.columns {
		if col.name == c.IDColumn || slices.Contains(c.TextColumns, col.name) {
			looks[i] = looksText // nor does it prove a decimal mark
		}
	}
	if l.mark == 0 {
		l.mark = markOf(looks)
	}
	for i := range l.columns {
		l.columns[i].kind = typeOf(looks[i], l.mark)
	}
	return nil
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
// prove none, or both.
func markOf(looks []look) byte {
	point, comma := false, false
	for _, all := range looks {
		point = point || all.within(pointNumber) && all&looksSurePoint != 0
		comma = comma || all.within(commaNumber) && all&looksSureComma != 0
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
