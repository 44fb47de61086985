package csv

import (
	"errors"
	"io"
)

// maxRecord is how many bytes a record may have: beyond it, a quote was
// forgotten or the file is none of CSV.
const maxRecord = 1 << 20

// keptRaw is how much of a bad line is kept for the operator.
const keptRaw = 1000

// What is no unit of any text.
const (
	endOfFile rune = -1
	none      rune = -2
)

// Why a line cannot be read. These are public, and hold nothing of the line.
const (
	quoteUnclosed = "a quote opens in this line and is not closed before the end of the file"
	quoteTooFar   = "a quote opens in this line and is not closed within 1 MB"
	quoteFollowed = "text follows a closing quote; a quote inside a quoted field must be doubled"
	quoteInside   = "a quote stands inside a field that does not begin with one"
	lineTooLong   = "the line is longer than 1 MB"
	tornCharacter = "the file ends in the middle of a character"
)

// form is how a file's records are written.
type form struct {
	codec codec
	sep   rune
	quote rune
}

// field is where a field's text lies in its row, without its quotes.
type field struct {
	from, to int
	doubled  bool // holds doubled quotes
	lines    int  // line ends inside
}

// row is one record as it stands in the file, or one line that cannot be read.
// Its slices are good until the next row is asked for.
type row struct {
	offset int64 // of its first byte in the file
	line   int64 // number of its first line, from 1
	lines  int64 // how many lines it takes
	fields []field
	raw    []byte // without the line end; of a bad line its beginning
	bad    string // why it cannot be read
}

// scanner cuts a file into rows. Each begins where the former ended or after
// empty lines: no byte is passed over otherwise.
type scanner struct {
	form   form
	offset int64 // of the next row in the file
	line   int64 // its number

	src        io.Reader
	buf        []byte
	start, end int // what was read and not yet taken
	ended      bool
	torn       bool // half a unit is left at the end of the file
	err        error
	fields     []field
}

// newScanner reads from src, whose first byte is the file's at offset, where
// the given line begins.
func newScanner(src io.Reader, f form, offset, line int64) *scanner {
	return &scanner{src: src, form: f, offset: offset, line: line, buf: make([]byte, 64<<10)}
}

// next gives the next row; more is false at the end of the file.
func (s *scanner) next() (r row, more bool, err error) {
	if !s.more() {
		return row{}, false, s.err
	}
	length, inner, wrong := s.parse()
	if wrong != "" {
		r = s.dropLine(wrong)
		return r, true, s.err
	}
	lineEnd := s.newline(length)
	r = row{offset: s.offset, line: s.line, lines: 1 + int64(inner), fields: s.fields}
	r.raw = s.buf[s.start : s.start+length]
	s.take(length + lineEnd)
	s.line += r.lines
	if lineEnd == 0 && s.torn {
		s.torn = false
		s.offset++
		r.bad = tornCharacter
	}
	return r, true, s.err
}

// more passes over empty lines and reports whether a row follows.
func (s *scanner) more() bool {
	for n := s.newline(0); n > 0; n = s.newline(0) {
		s.take(n)
		s.line++
	}
	return s.at(0) != endOfFile || s.torn
}

// parse finds the fields of the record ahead: its length without the line end,
// and how many line ends its quotes hold.
func (s *scanner) parse() (length, inner int, wrong string) {
	s.fields = s.fields[:0]
	for i := 0; ; i += s.form.codec.width {
		var f field
		if s.at(i) == s.form.quote {
			f, i, wrong = s.quoted(i)
		} else {
			f, i, wrong = s.plain(i)
		}
		if wrong != "" {
			return 0, 0, wrong
		}
		s.fields = append(s.fields, f)
		inner += f.lines
		if s.at(i) != s.form.sep {
			return i, inner, ""
		}
	}
}

// plain reads a field without quotes and gives where it ends.
func (s *scanner) plain(i int) (f field, end int, wrong string) {
	f.from = i
	for ; ; i += s.form.codec.width {
		switch c := s.at(i); {
		case c == s.form.sep || c == '\n' || c == '\r' || c == endOfFile:
			f.to = i
			return f, i, ""
		case c == s.form.quote:
			return f, i, quoteInside
		case i >= maxRecord:
			return f, i, lineTooLong
		}
	}
}

// quoted reads a field in quotes and gives where what follows them begins.
func (s *scanner) quoted(i int) (f field, end int, wrong string) {
	w := s.form.codec.width
	i += w
	f.from = i
	for ; ; i += w {
		switch c := s.at(i); {
		case c == endOfFile:
			return f, i, quoteUnclosed
		case i >= maxRecord:
			return f, i, quoteTooFar
		case c == s.form.quote && s.at(i+w) == s.form.quote:
			f.doubled = true
			i += w
		case c == s.form.quote:
			f.to = i
			if c := s.at(i + w); c != s.form.sep && c != '\n' && c != '\r' && c != endOfFile {
				return f, i, quoteFollowed
			}
			return f, i + w, ""
		case c == '\n' || c == '\r' && s.at(i+w) != '\n':
			f.lines++
		}
	}
}

// dropLine takes the line ahead for bad, however long it is.
func (s *scanner) dropLine(wrong string) row {
	r := row{offset: s.offset, line: s.line, lines: 1, bad: wrong}
	w := s.form.codec.width
	for i := 0; ; i += w {
		lineEnd := s.newline(i)
		ended := lineEnd == 0 && s.at(i) == endOfFile
		if lineEnd == 0 && !ended && i < 32<<10 {
			continue
		}
		if room := keptRaw - len(r.raw); room > 0 {
			r.raw = append(r.raw, s.buf[s.start:s.start+min(i, room)]...)
		}
		s.take(i + lineEnd)
		i = -w
		if lineEnd > 0 {
			s.line++
			return r
		}
		if ended {
			if s.torn {
				s.torn = false
				s.offset++
			}
			s.line++
			return r
		}
	}
}

// newline is how many bytes of line end (LF, CRLF or CR) are ahead at i.
func (s *scanner) newline(i int) int {
	w := s.form.codec.width
	switch s.at(i) {
	case '\n':
		return w
	case '\r':
		if s.at(i+w) == '\n' {
			return 2 * w
		}
		return w
	}
	return 0
}

// at is the unit that begins i bytes ahead.
func (s *scanner) at(i int) rune {
	for s.start+i+s.form.codec.width > s.end {
		if !s.fill() {
			return endOfFile
		}
	}
	if s.form.codec.width == 1 {
		return rune(s.buf[s.start+i])
	}
	return s.form.codec.unit(s.buf[s.start+i:])
}

func (s *scanner) take(n int) {
	s.start += n
	s.offset += int64(n)
}

// fill reads more of the file behind what is ahead. The buffer grows with the
// longest record only, which parse and dropLine bound.
func (s *scanner) fill() bool {
	if s.ended {
		return false
	}
	if s.start > 0 {
		copy(s.buf, s.buf[s.start:s.end])
		s.start, s.end = 0, s.end-s.start
	}
	if s.end == len(s.buf) {
		s.buf = append(s.buf, make([]byte, len(s.buf))...)
	}
	n, err := s.src.Read(s.buf[s.end:])
	s.end += n
	if err == nil {
		return true
	}
	s.ended = true
	if !errors.Is(err, io.EOF) {
		s.err = err
	}
	if half := (s.end - s.start) % s.form.codec.width; half > 0 {
		s.end -= half
		s.torn = true
	}
	return true
}
