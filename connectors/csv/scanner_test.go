package csv

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"towpath/connectors"
	"towpath/schema/fault"
)

// Good lines are never lost, whatever stands between them: records and bad
// lines together are the lines. (No line here closes the quote of another one
// properly: then all between would be that quote's text.)
func TestNoGoodLineIsLost(t *testing.T) {
	good := []string{`%d,plain`, `%d,"quoted"`, `%d,"a ""word"""`, `%d,`, `%d,"x,y"`, `%d,ünï`, `%d,""`}
	broken := []string{`x`, `x,y,z`, `x,"open`, `x,"a"b`, `x,a"b`, `,noid`, `x,""""y`, "x,\xff", "x,\x00", `"x"","`, `x,"",""`}
	rapid.Check(t, func(t *rapid.T) {
		var text strings.Builder
		var want []string
		lines := rapid.IntRange(0, 30).Draw(t, "lines")
		for i := range lines {
			if rapid.Bool().Draw(t, "good") {
				fmt.Fprintf(&text, rapid.SampledFrom(good).Draw(t, "line"), i)
				want = append(want, fmt.Sprint(i))
			} else {
				text.WriteString(rapid.SampledFrom(broken).Draw(t, "line"))
			}
			text.WriteString(rapid.SampledFrom([]string{"\n", "\r\n", "\r"}).Draw(t, "end"))
		}
		got, bad, covered := scan(t, []byte(text.String()), form{codec: utf8Codec, sep: ',', quote: '"'})
		require.Subset(t, got, want, "%q", text.String())
		require.Len(t, got, len(want), "%q", text.String())
		require.Equal(t, lines, len(got)+bad)
		require.EqualValues(t, lines, covered)
	})
}

// scan reads text as records of two columns, the first of which identifies.
func scan(t require.TestingT, text []byte, f form) (got []string, bad int, lines int64) {
	s := &selection{layout: layout{form: f, columns: make([]column, 2)}, id: 0, changed: -1}
	rows := newScanner(bytes.NewReader(text), f, 0, 1)
	for {
		r, more, err := rows.next()
		require.NoError(t, err)
		if !more {
			return got, bad, lines
		}
		lines += r.lines
		if r.bad != "" {
			bad++
			continue
		}
		rec, _, wrong := s.read(r)
		if wrong != "" {
			bad++
			continue
		}
		got = append(got, rec.ID)
	}
}

// A file read from any of its rows on gives the rest of its rows, however the
// disk cuts what it hands over.
func TestReadingOnIsReadingThrough(t *testing.T) {
	pieces := []string{"a", `"`, ",", "\n", "\r", "\r\n", `""`, "ß", " ", "\x00", "😀"}
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 60).Draw(t, "text"), "")
		f := form{codec: rapid.SampledFrom([]codec{utf8Codec, utf16LE, utf16BE, western}).Draw(t, "codec"), sep: ',', quote: '"'}
		raw, err := f.codec.encoder().Bytes([]byte(strings.ReplaceAll(text, "😀", "e")))
		require.NoError(t, err)
		raw = raw[:len(raw)-min(len(raw), rapid.IntRange(0, 1).Draw(t, "torn"))]
		whole := rowsOf(t, bytes.NewReader(raw), f, 0, 1)
		require.Equal(t, whole, rowsOf(t, iotest.OneByteReader(bytes.NewReader(raw)), f, 0, 1))
		for i, r := range whole {
			require.Equal(t, whole[i:], rowsOf(t, bytes.NewReader(raw[r.offset:]), f, r.offset, r.line))
		}
	})
}

type seen struct {
	offset, line, lines int64
	raw, bad            string
	fields              []string
}

func rowsOf(t require.TestingT, src io.Reader, f form, offset, line int64) (all []seen) {
	s := newScanner(src, f, offset, line)
	for {
		r, more, err := s.next()
		require.NoError(t, err)
		if !more {
			return all
		}
		x := seen{offset: r.offset, line: r.line, lines: r.lines, raw: string(r.raw), bad: r.bad}
		for _, at := range r.fields {
			x.fields = append(x.fields, f.text(r, at))
		}
		all = append(all, x)
	}
}

func TestADiskThatFailsIsNoEndOfTheFile(t *testing.T) {
	s := newScanner(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("a,b\nc,d\n"))), form{codec: utf8Codec, sep: ',', quote: '"'}, 0, 1)
	_, _, err := s.next()
	require.ErrorIs(t, err, iotest.ErrTimeout)
	_, more, err := s.next()
	require.False(t, more)
	require.ErrorIs(t, err, iotest.ErrTimeout)
}

// Every byte of any input belongs to one row or to an empty line between two,
// every line is counted once, and every row can be judged.
func FuzzScanner(f *testing.F) {
	for _, seed := range []string{"id,n\n1,a\n", "a;\"b\nc\"\r\nd", "\"", "\r\r\n\n", "\xff\xfea\x00\n\x00b", "x,\"\"\"\n", "'a','b'\n", "sep=;\n", "a,\x00\n"} {
		f.Add([]byte(seed), uint8(0))
		f.Add([]byte(seed), uint8(7))
	}
	all := []codec{utf8Codec, utf16LE, utf16BE, western}
	f.Fuzz(func(t *testing.T, text []byte, how uint8) {
		fm := form{codec: all[how&3], sep: []rune{',', ';', '\t', '|'}[how>>2&3], quote: []rune{'"', '\'', none, '"'}[how>>4&3]}
		end := int64(0)
		lines := int64(0)
		for _, r := range rowsOf(t, bytes.NewReader(text), fm, 0, 1) {
			require.GreaterOrEqual(t, r.offset, end)
			blank := fm.codec.decode(text[end:r.offset])
			require.Empty(t, strings.Trim(blank, "\r\n"), "only line ends are passed over")
			require.Greater(t, r.line, lines)
			require.Positive(t, r.lines)
			lines = r.line + r.lines - 1
			if r.bad == "" {
				require.True(t, bytes.HasPrefix(text[r.offset:], []byte(r.raw)))
				end = r.offset + int64(len(r.raw))
			} else {
				end = r.offset
				for end < int64(len(text)) && lineEndAt(text[end:], fm.codec) == 0 {
					end += int64(min(fm.codec.width, len(text[end:])))
				}
			}
			end += int64(lineEndAt(text[end:], fm.codec))
		}
		rest := fm.codec.decode(text[end:])
		require.Empty(t, strings.Trim(rest, "\r\n"), "nothing is left")

		// And the layers above never panic.
		if found, bad := detect(text, auto, true); bad == nil {
			fm.codec = found.codec
			fm.sep = guessSeparator(text[found.skip:], fm, true)
			_, _, _ = scan(t, text[found.skip:], fm)
		}
	})
}

// lineEndAt is written apart from the scanner, to judge it.
func lineEndAt(text []byte, c codec) int {
	for _, end := range []string{"\r\n", "\r", "\n"} {
		raw, err := c.encoder().Bytes([]byte(end))
		if err == nil && bytes.HasPrefix(text, raw) {
			return len(raw)
		}
	}
	return 0
}

// Whatever a folder is given, it is read to its end, as often as it is counted,
// or refused with a fault that says what to do.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{"id,n\n1,a\n2,1.5\n", "\xef\xbb\xbfid;at\r\n1;2026-01-01", "\xff\xfei\x00d\x00\n\x001\x00", "sep=|\nid|n\n\"1|2\n3|4", "id\n\"a\nb\"\n\n,\n", "id,n,\n"} {
		f.Add([]byte(seed), uint8(2))
	}
	c := connect(f, nil)
	f.Fuzz(func(t *testing.T, text []byte, limit uint8) {
		c.put(t, "a.csv", string(text))
		q := connectors.RecordQuery{Model: "a.csv"}
		if _, err := c.ReadRecords(t.Context(), q, "", 1); err != nil {
			found := fault.Of(err)
			require.NotEmpty(t, found.Resolution, "%v", err)
			require.NotEqual(t, fault.Transient, found.Kind, "%v", err)
			return
		}
		for _, b := range readAll(t, c, q, 1+int(limit)).Bad {
			require.True(t, utf8.ValidString(b.Raw))
			require.LessOrEqual(t, len(b.Raw), keptRaw)
			require.NotEmpty(t, b.Reason)
		}
	})
}

// Memory is flat and the last page costs what the first did.
func TestLargeFiles(t *testing.T) {
	const rows, limit = 300_000, 500
	c := connect(t, settings{"changed_column": "changed"})
	file, err := os.Create(filepath.Join(c.config.Folder, "large.csv"))
	require.NoError(t, err)
	for i := range rows {
		if i == 0 {
			fmt.Fprintln(file, "id,name,price,changed,text")
		}
		if _, err := fmt.Fprintf(file, "SKU-%06d,\"Name, of %d\",%d.25,2026-01-01T%02d:00:00Z,\"two\nlines\"\n", i, i, i%1000, i%24); err != nil {
			t.Fatal(err)
		}
	}
	require.NoError(t, file.Close())

	q := connectors.RecordQuery{Model: "large.csv"}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, highest := heap(), uint64(0)
	n, pages, next := 0, 0, ""
	for {
		page, err := c.ReadRecords(t.Context(), q, next, limit)
		require.NoError(t, err)
		require.Empty(t, page.Bad)
		n += len(page.Records)
		if pages++; pages%100 == 0 {
			highest = max(highest, heap())
		}
		if next = page.Next; next == "" {
			break
		}
	}
	require.Equal(t, rows, n)
	require.Less(t, int64(highest)-int64(before), int64(8<<20), "the heap does not grow with the file")

	count, err := c.CountRecords(t.Context(), q)
	require.NoError(t, err)
	require.EqualValues(t, rows, count)
	q.Since = time.Date(2026, 1, 1, 23, 0, 0, 0, time.UTC)
	count, err = c.CountRecords(t.Context(), q)
	require.NoError(t, err)
	require.EqualValues(t, rows/24, count)
}

// A page is found by seeking: it allocates the same at both ends of a file.
func TestPagesCostTheSame(t *testing.T) {
	c := connect(t, nil)
	var b strings.Builder
	b.WriteString("id,name\n")
	for i := range 50_000 {
		fmt.Fprintf(&b, "%06d,name of %06d\n", i, i)
	}
	c.put(t, "a.csv", b.String())
	q := connectors.RecordQuery{Model: "a.csv"}
	cost := func(after string) float64 {
		return testing.AllocsPerRun(5, func() {
			_, err := c.ReadRecords(t.Context(), q, after, 50)
			require.NoError(t, err)
		})
	}
	first, err := c.ReadRecords(t.Context(), q, "", 49_000)
	require.NoError(t, err)
	require.InEpsilon(t, cost(""), cost(first.Next), 0.1)
}

func BenchmarkRead(b *testing.B) {
	c := connect(b, nil)
	var text strings.Builder
	text.WriteString("id,name,price,day,text\n")
	for i := range 100_000 {
		fmt.Fprintf(&text, "SKU-%06d,\"Name, of %d\",%d.25,2026-01-01,plain text of some length\n", i, i, i%1000)
	}
	c.put(b, "a.csv", text.String())
	b.SetBytes(int64(text.Len()))
	for b.Loop() {
		for after := ""; ; {
			page, err := c.ReadRecords(b.Context(), connectors.RecordQuery{Model: "a.csv"}, after, 500)
			require.NoError(b, err)
			if after = page.Next; after == "" {
				break
			}
		}
	}
}
