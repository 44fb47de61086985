package csv

import (
	"testing"

	"github.com/stretchr/testify/require"
	xunicode "golang.org/x/text/encoding/unicode"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/record"
)

func TestEncodings(t *testing.T) {
	const text = "id;name\r\n1;Café €\r\n2;\"Ĳ\n😀\"\r\n"
	const western = "id;name\r\n1;Caf\xe9 \x80\r\n"
	for name, tc := range map[string]struct {
		encoding, content, found string
		guessed                  bool
		want                     []string
	}{
		"utf-8, found":            {auto, text, "utf-8", true, []string{"Café €", "Ĳ\n😀"}},
		"utf-8 with BOM":          {auto, "\xef\xbb\xbf" + text, "utf-8", false, []string{"Café €", "Ĳ\n😀"}},
		"utf-8, told, with BOM":   {"UTF8", "\xef\xbb\xbf" + text, "utf-8", false, []string{"Café €", "Ĳ\n😀"}},
		"utf-16le by its BOM":     {auto, wide(t, text, xunicode.LittleEndian, xunicode.UseBOM), "utf-16le", false, []string{"Café €", "Ĳ\n😀"}},
		"utf-16be by its BOM":     {"utf-16", wide(t, text, xunicode.BigEndian, xunicode.UseBOM), "utf-16be", false, []string{"Café €", "Ĳ\n😀"}},
		"utf-16le by its zeros":   {auto, wide(t, text, xunicode.LittleEndian, xunicode.IgnoreBOM), "utf-16le", true, []string{"Café €", "Ĳ\n😀"}},
		"utf-16be by its zeros":   {auto, wide(t, text, xunicode.BigEndian, xunicode.IgnoreBOM), "utf-16be", true, []string{"Café €", "Ĳ\n😀"}},
		"utf-16be, told":          {"UTF-16BE", wide(t, text, xunicode.BigEndian, xunicode.IgnoreBOM), "utf-16be", false, []string{"Café €", "Ĳ\n😀"}},
		"windows-1252, found":     {auto, western, "windows-1252", true, []string{"Café €"}},
		"windows-1252, told":      {"cp1252", western, "windows-1252", false, []string{"Café €"}},
		"iso-8859-1":              {"latin1", "id;name\n1;Caf\xe9\n", "iso-8859-1", false, []string{"Café"}},
		"iso-8859-15":             {"ISO_8859-15", "id;name\n1;Caf\xe9 \xa4\n", "iso-8859-15", false, []string{"Café €"}},
		"windows-1251":            {"windows-1251", "id;name\n1;\xcf\xf0\xe8\xe2\xe5\xf2\n", "windows-1251", false, []string{"Привет"}},
		"code page 850":           {"cp850", "id;name\n1;Caf\x82\n", "ibm-code-page-850", false, []string{"Café"}},
		"one broken line of many": {auto, "id;name\n1;Köln\n2;Zürich\n3;K\xf6ln\n", "utf-8", true, []string{"Köln", "Zürich"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := connect(t, settings{"encoding": tc.encoding})
			c.put(t, "a.csv", tc.content)
			f, err := c.open("a.csv")
			require.NoError(t, err)
			defer f.Close()
			l, err := c.layoutOf(f)
			require.NoError(t, err)
			require.Equal(t, tc.found, l.form.codec.name)
			require.Equal(t, tc.guessed, l.guessed)
			var got []string
			for _, r := range readAll(t, c, connectors.RecordQuery{Model: "a.csv"}, 1).Records {
				got = append(got, r.Values["name"].(string))
			}
			require.Equal(t, tc.want, got)
		})
	}
}

func TestBytesThatAreNoTextMakeABadLine(t *testing.T) {
	for name, tc := range map[string]struct{ encoding, content, reason string }{
		"utf-8":             {"utf-8", "id,name\n1,ok\n2,K\xf6ln\n3,ok\n", "field 2 holds bytes that are not utf-8"},
		"€ in iso-8859-1":   {"iso-8859-1", "id,name\n1,ok\n2,\x80\n3,ok\n", "field 2 holds bytes that are not iso-8859-1"},
		"hole in iso-8859":  {"iso-8859-3", "id,name\n1,ok\n2,\xa5\n3,ok\n", "field 2 holds bytes that are not iso-8859-3"},
		"half of a pair":    {"utf-16be", wide(t, "id,name\n1,ok\n2,", xunicode.BigEndian, xunicode.IgnoreBOM) + "\xd8\x3d" + wide(t, "\n3,ok\n", xunicode.BigEndian, xunicode.IgnoreBOM), "field 2 holds bytes that are not utf-16be"},
		"NUL":               {"utf-8", "id,name\n1,ok\n2,a\x00b\n3,ok\n", "field 2 holds a NUL byte"},
		"NUL in utf-16":     {"utf-16le", wide(t, "id,name\n1,ok\n2,a\x00b\n3,ok\n", xunicode.LittleEndian, xunicode.IgnoreBOM), "field 2 holds a NUL byte"},
		"NUL where no name": {"utf-8", "id,name\n1,ok\n\x00,b\n3,ok\n", "field 1 holds a NUL byte"},
	} {
		t.Run(name, func(t *testing.T) {
			c := connect(t, settings{"encoding": tc.encoding})
			c.put(t, "a.csv", tc.content)
			all := readAll(t, c, connectors.RecordQuery{Model: "a.csv"}, 2)
			require.Equal(t, "1 3", ids(all))
			require.Equal(t, []string{"line 3: " + tc.reason}, wheres(all))
		})
	}
}

func TestHalfACharacterAtTheEnd(t *testing.T) {
	whole := wide(t, "id,name\n1,ok\n", xunicode.LittleEndian, xunicode.UseBOM)
	for name, tc := range map[string]struct{ content, where string }{
		"in a line":     {whole + "2\x00,\x00x", "line 3"},
		"on its own":    {whole + "2", "line 3"},
		"in quotes":     {whole + "2\x00,\x00\"\x00x", "line 3"},
		"behind blanks": {whole + "\n\x00\n\x00x", "line 5"},
	} {
		t.Run(name, func(t *testing.T) {
			c := connect(t, nil)
			c.put(t, "a.csv", tc.content)
			all := readAll(t, c, connectors.RecordQuery{Model: "a.csv"}, 1)
			require.Equal(t, "1", ids(all))
			require.Len(t, all.Bad, 1)
			require.Equal(t, tc.where, all.Bad[0].Where)
		})
	}
}

func TestEncodingsThatContradictTheFile(t *testing.T) {
	c := connect(t, settings{"encoding": "windows-1252"})
	c.put(t, "bom.csv", "\xef\xbb\xbfid\n1\n")
	_, err := c.RecordFields(t.Context(), "bom.csv")
	requireFault(t, err, fault.Conflict, "csv.encoding_differs")
	c.put(t, "wide.csv", "\xff\xfe\x00\x00i\x00\x00\x00")
	_, err = c.RecordFields(t.Context(), "wide.csv")
	requireFault(t, err, fault.Unsupported, "csv.utf32")
}

func TestEveryEncodingIsReadAsItIsWritten(t *testing.T) {
	for name, codec := range codecs {
		c := connect(t, settings{"encoding": name})
		w, err := c.Create("a.csv", []string{"id", "name"})
		require.NoError(t, err, name)
		require.NoError(t, w.Write(record.Values{"id": "1", "name": `a "b", c;` + "\n" + `d|e`}), name)
		_, err = w.Commit()
		require.NoError(t, err)
		require.NoError(t, w.Close())
		all := readAll(t, c, connectors.RecordQuery{Model: "a.csv"}, 10)
		require.Empty(t, all.Bad, codec.name)
		require.Equal(t, `a "b", c;`+"\n"+`d|e`, all.Records[0].Values["name"], codec.name)
	}
}
