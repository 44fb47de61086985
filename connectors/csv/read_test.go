package csv

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/mapping"
	"towpath/schema/record"
)

func TestSeparators(t *testing.T) {
	for name, tc := range map[string]struct{ setting, content, name string }{
		"comma":                   {auto, "id,name\n1,a;b\n2,c\n", "a;b"},
		"semicolon":               {auto, "id;name;price\n1;a,b;1,5\n2;c;2,75\n", "a,b"},
		"tab":                     {auto, "id\tname\n1\ta,b\n", "a,b"},
		"bar":                     {auto, "id|name\n1|a,b\n", "a,b"},
		"quoted ones do not vote": {auto, "id;name\n1;\"a,b,c\"\n2;\"d,e,f\"\n", "a,b,c"},
		"Excel's hint":            {auto, "sep=|\nid|name\n1|a\n", "a"},
		"Excel's hint, CRLF":      {";", "sep=;\r\nid;name\r\n1;a\r\n", "a"},
		"told":                    {"tab", "id\tname,x;y\n1\ta\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := connect(t, settings{"separator": tc.setting})
			c.put(t, "a.csv", tc.content)
			all := readAll(t, c, connectors.RecordQuery{Model: "a.csv"}, 1)
			require.Equal(t, "1", all.Records[0].ID)
			require.Empty(t, all.Bad)
			if tc.name != "" {
				require.Equal(t, tc.name, all.Records[0].Values["name"])
			}
		})
	}
}

func TestQuotesAndLineEnds(t *testing.T) {
	for name, tc := range map[string]struct{ quote, content, want string }{
		"LF":                     {`"`, "id,n\n1,a\n2,b\n", "1=a 2=b"},
		"CRLF":                   {`"`, "id,n\r\n1,a\r\n2,b\r\n", "1=a 2=b"},
		"CR":                     {`"`, "id,n\r1,a\r2,b\r", "1=a 2=b"},
		"mixed":                  {`"`, "id,n\r\n1,a\r2,b\n3,c", "1=a 2=b 3=c"},
		"no end":                 {`"`, "id,n\n1,a", "1=a"},
		"empty lines":            {`"`, "\n\nid,n\n\n1,a\n\r\n\n2,b\n\n", "1=a 2=b"},
		"rows of nothing":        {`"`, "id,n\n1,a\n,\n,,,,\n\"\",\n2,b\n,", "1=a 2=b"},
		"quotes":                 {`"`, "\"id\",\"n\"\n\"1\",\"a,b\"\n", "1=a,b"},
		"doubled quotes":         {`"`, "id,n\n1,\"5\"\" disk\"\n2,\"\"\"\"\n", `1=5" disk 2="`},
		"lines in quotes":        {`"`, "id,n\n1,\"a\r\nb\nc\rd\"\n2,\"\n\"\n", "1=a\r\nb\nc\rd 2=\n"},
		"single quotes":          {"'", "id,n\n1,'a,''b\"'\n", `1=a,'b"`},
		"no quotes":              {"none", "id,n\n1,\"a\n2,5\" disk\n", `1="a 2=5" disk`},
		"spaces stay":            {`"`, "id,n\n1, a \n", "1= a "},
		"empty cells":            {`"`, "id,n\n1,\n2,\"\"\n", "1=<nil> 2=<nil>"},
		"names lose their space": {`"`, " id , n \n 1 ,a\n", "1=a"},
	} {
		t.Run(name, func(t *testing.T) {
			c := connect(t, settings{"quote": tc.quote, "separator": ","})
			c.put(t, "a.csv", tc.content)
			for limit := 1; limit < 4; limit++ {
				all := readAll(t, c, connectors.RecordQuery{Model: "a.csv"}, limit)
				var got []string
				for _, r := range all.Records {
					text, ok := r.Values["n"].(string)
					if !ok {
						text = "<nil>"
					}
					got = append(got, r.ID+"="+text)
				}
				require.Empty(t, all.Bad)
				require.Equal(t, tc.want, strings.Join(got, " "))
			}
		})
	}
}

func TestBadLines(t *testing.T) {
	long := strings.Repeat("x", maxRecord+5)
	for name, tc := range map[string]struct {
		content, good string
		bad           []string
	}{
		"too few fields":             {"id,n\n1,a\n2\n3,c\n", "1 3", []string{"line 3: 1 field, but the file has 2 columns"}},
		"too many":                   {"id,n\n1,a\n2,b,c\n3,c\n", "1 3", []string{"line 3: 3 fields, but the file has 2 columns"}},
		"too many, over lines":       {"id,n\n1,a\n2,\"b\nb\",c\n3,c\n", "1 3", []string{"lines 3-4: 3 fields, but the file has 2 columns"}},
		"no identity":                {"id,n\n1,a\n ,b\n3,c\n", "1 3", []string{`line 3: no value in column "id", which identifies a record`}},
		"quote inside":               {"id,n\n1,a\n2,5\" disk\n3,c\n", "1 3", []string{"line 3: " + quoteInside}},
		"space before the quote":     {"id,n\n1,a\n2, \"b\"\n3,c\n", "1 3", []string{"line 3: " + quoteInside}},
		"text behind the quote":      {"id,n\n1,a\n2,\"b\"b\n3,c\n", "1 3", []string{"line 3: " + quoteFollowed}},
		"never closed":               {"id,n\n1,a\n2,\"b\n3,c\n4,d", "1 3 4", []string{"line 3: " + quoteUnclosed}},
		"never closed, then quotes":  {"id,n\n1,a\n2,\"b\n3,\"c\"\n4,\"d\"\n", "1 3 4", []string{"line 3: " + quoteFollowed}},
		"after lines in quotes":      {"id,n\n1,\"a\na\n\na\"\n\n2\n3,c", "1 3", []string{"line 7: 1 field, but the file has 2 columns"}},
		"the last":                   {"id,n\n1,a\n2,\"", "1", []string{"line 3: " + quoteUnclosed}},
		"longer than 1 MB":           {"id,n\n1,a\n2," + long + "\n3,c\n", "1 3", []string{"line 3: " + lineTooLong}},
		"longer than 1 MB, the last": {"id,n\n1,a\n2," + long, "1", []string{"line 3: " + lineTooLong}},
		"open for over 1 MB":         {"id,n\n1,a\n2,\"b\n3," + long[:maxRecord-100] + "\n4," + long[:200] + "\n", "1 3 4", []string{"line 3: " + quoteTooFar}},
	} {
		t.Run(name, func(t *testing.T) {
			c := connect(t, settings{"separator": ","})
			c.put(t, "a.csv", tc.content)
			for limit := 1; limit < 4; limit++ {
				all := readAll(t, c, connectors.RecordQuery{Model: "a.csv"}, limit)
				require.Equal(t, tc.good, ids(all))
				require.Equal(t, tc.bad, wheres(all))
				require.LessOrEqual(t, len(all.Bad[0].Raw), 1000)
				require.NotEmpty(t, all.Bad[0].Raw)
			}
		})
	}
}

func TestHeaders(t *testing.T) {
	for name, tc := range map[string]struct{ content, code string }{
		"empty file":           {"", "csv.no_header"},
		"only empty lines":     {"\n\r\n", "csv.no_header"},
		"only a BOM":           {"\xef\xbb\xbf", "csv.no_header"},
		"two of one name":      {"id,name, name\n1,a,b\n", "csv.header_duplicate"},
		"no name":              {"id,,name\n1,a,b\n", "csv.header_empty"},
		"separator at the end": {"id,name,\n1,a,\n", "csv.header_empty"},
		"broken quote":         {"id,\"name\n1,a\n", "csv.bad_header"},
		"NUL":                  {"id,na\x00me\n1,a\n", "csv.bad_header"},
	} {
		t.Run(name, func(t *testing.T) {
			c := connect(t, settings{"separator": ","})
			c.put(t, "a.csv", tc.content)
			_, err := c.RecordFields(t.Context(), "a.csv")
			requireFault(t, err, fault.Invalid, tc.code)
			_, err = c.ReadRecords(t.Context(), connectors.RecordQuery{Model: "a.csv"}, "", 10)
			requireFault(t, err, fault.Invalid, tc.code)
		})
	}
}

func TestColumnsWithoutHeader(t *testing.T) {
	c := connect(t, settings{"header": false, "columns": []string{"id", "name"}})
	c.put(t, "a.csv", "1;a\n2;b\n")
	all := readAll(t, c, connectors.RecordQuery{Model: "a.csv"}, 1)
	require.Equal(t, "1 2", ids(all))
	require.Equal(t, record.Values{"id": "2", "name": "b"}, all.Records[1].Values)

	c.put(t, "empty.csv", "")
	require.Empty(t, readAll(t, c, connectors.RecordQuery{Model: "empty.csv"}, 1).Records)
}

func TestFieldsThatAreAskedFor(t *testing.T) {
	c := connect(t, nil)
	c.put(t, "a.csv", "id,name,price\n1,a,2.50\n")
	all := readAll(t, c, connectors.RecordQuery{Model: "a.csv", Fields: []string{"price"}}, 10)
	require.Empty(t, cmp.Diff(map[string]any{"price": "#2.5"}, plain(all.Records[0].Values)))

	_, err := c.ReadRecords(t.Context(), connectors.RecordQuery{Model: "a.csv", Fields: []string{"weight"}}, "", 10)
	require.Equal(t, "weight", requireFault(t, err, fault.Invalid, "csv.unknown_field"))
	_, err = c.CountRecords(t.Context(), connectors.RecordQuery{Model: "a.csv", Filter: "price > 3"})
	requireFault(t, err, fault.Unsupported, "csv.filter")
}

func TestWithoutAnIDColumnNothingIsRead(t *testing.T) {
	c := connect(t, settings{"id_column": ""})
	c.put(t, "a.csv", "name,n\na,1\nb,2\n")
	_, err := c.ReadRecords(t.Context(), connectors.RecordQuery{Model: "a.csv"}, "", 10)
	require.Equal(t, "id_column", requireFault(t, err, fault.Invalid, "csv.no_id_column"))
	n, err := c.CountRecords(t.Context(), connectors.RecordQuery{Model: "a.csv"})
	require.NoError(t, err)
	require.EqualValues(t, 2, n)

	c = connect(t, settings{"id_column": "sku"})
	c.put(t, "a.csv", "name,n\na,1\n")
	_, err = c.ReadRecords(t.Context(), connectors.RecordQuery{Model: "a.csv"}, "", 10)
	require.Equal(t, "id_column", requireFault(t, err, fault.Invalid, "csv.column_missing"))
}

func TestNothingOutsideTheFolder(t *testing.T) {
	c := connect(t, nil)
	c.put(t, "in/a.csv", "id,n\n1,a\n")
	require.Equal(t, "1", ids(readAll(t, c, connectors.RecordQuery{Model: "in/a.csv"}, 5)))
	require.Equal(t, "1", ids(readAll(t, c, connectors.RecordQuery{Model: "in/../in/a.csv"}, 5)))

	secret := filepath.Join(t.TempDir(), "secret.csv")
	require.NoError(t, os.WriteFile(secret, []byte("id,n\n1,a\n"), 0o600))
	require.NoError(t, os.Symlink(secret, filepath.Join(c.config.Folder, "link.csv")))
	require.NoError(t, os.Symlink("in/a.csv", filepath.Join(c.config.Folder, "inside.csv")))
	require.Equal(t, "1", ids(readAll(t, c, connectors.RecordQuery{Model: "inside.csv"}, 5)))
	for _, model := range []string{"../secret.csv", secret, "in/../../x.csv", "link.csv", "", "a\x00.csv"} {
		_, err := c.RecordFields(t.Context(), model)
		require.Equal(t, "model", requireFault(t, err, fault.Invalid, "csv.outside_folder"), model)
		_, err = c.ModelNow(t.Context(), model)
		requireFault(t, err, fault.Invalid, "csv.outside_folder")
		_, err = c.Create(model, []string{"id"})
		requireFault(t, err, fault.Invalid, "csv.outside_folder")
	}
	_, err := c.RecordFields(t.Context(), "in")
	requireFault(t, err, fault.Invalid, "csv.no_file")
	_, err = c.RecordFields(t.Context(), "b.csv")
	requireFault(t, err, fault.NotFound, "csv.file_missing")
}

func TestReadingOnInAnotherFile(t *testing.T) {
	rewrite := func(change func(c *Connector, at string)) error {
		c := connect(t, nil)
		c.put(t, "a.csv", "id,n\n1,a\n2,b\n3,c\n")
		first, err := c.ReadRecords(t.Context(), connectors.RecordQuery{Model: "a.csv"}, "", 2)
		require.NoError(t, err)
		change(c, filepath.Join(c.config.Folder, "a.csv"))
		_, err = c.ReadRecords(t.Context(), connectors.RecordQuery{Model: "a.csv"}, first.Next, 2)
		return err
	}
	require.NoError(t, rewrite(func(*Connector, string) {}))
	for name, change := range map[string]func(c *Connector, at string){
		"touched": func(_ *Connector, at string) {
			require.NoError(t, os.Chtimes(at, time.Time{}, time.Now().Add(time.Hour)))
		},
		"grown":    func(c *Connector, _ string) { c.put(t, "a.csv", "id,n\n1,a\n2,b\n3,c\n4,d\n") },
		"settings": func(c *Connector, _ string) { c.config.Encoding = "windows-1252" },
		"same size and time": func(c *Connector, at string) {
			info, err := os.Stat(at)
			require.NoError(t, err)
			c.put(t, "a.csv", "id,n\n7,a\n2,b\n3,c\n")
			require.NoError(t, os.Chtimes(at, time.Time{}, info.ModTime()))
		},
	} {
		t.Run(name, func(t *testing.T) { requireFault(t, rewrite(change), fault.Conflict, "csv.file_changed") })
	}
}

func TestAFileThatIsWrittenWhileItIsRead(t *testing.T) {
	c := connect(t, nil)
	c.put(t, "a.csv", "id,n\n1,a\n")
	f, err := c.open("a.csv")
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, f.unchanged())
	at := filepath.Join(c.config.Folder, "a.csv")
	require.NoError(t, os.Rename(at, at+".old"))
	c.put(t, "a.csv", "id,n\n2,b\n3,c\n")
	require.NoError(t, f.unchanged(), "the old file is still open")
	c.put(t, "a.csv.old", "id,n\n1,a\n2,b\n")
	requireFault(t, f.unchanged(), fault.Conflict, "csv.file_changed")
}

// Where next to nothing is selected, pages come back all the same.
func TestPagesLookThroughSoMuchOnly(t *testing.T) {
	c := connect(t, settings{"changed_column": "at"})
	c.scan = 1000
	c.put(t, "a.csv", "id,at\n"+strings.Repeat("old,2026-01-01\n", 1000)+"new,2026-02-01\n")
	q := connectors.RecordQuery{Model: "a.csv", Since: time.Date(2026, 1, 15, 0, 0, 0, 0, time.UTC)}
	page, err := c.ReadRecords(t.Context(), q, "", 10)
	require.NoError(t, err)
	require.Empty(t, page.Records)
	require.NotEmpty(t, page.Next)
	require.Equal(t, "new", ids(readAll(t, c, q, 10)))
}

func TestCursorsOfOthers(t *testing.T) {
	c := connect(t, nil)
	c.put(t, "a.csv", "id,n\n1,a\n2,b\n")
	for _, cursor := range []string{"x", "1", "1.2", "-1.1.abc", "1.0.abc", "+1.1.abc", "1.1.abc def"} {
		_, err := c.ReadRecords(t.Context(), connectors.RecordQuery{Model: "a.csv"}, cursor, 1)
		requireFault(t, err, fault.Invalid, "csv.bad_cursor")
	}
}

func TestReadingStopsWithItsCaller(t *testing.T) {
	c := connect(t, nil)
	c.put(t, "a.csv", "id,n\n"+strings.Repeat("1,a\n", 1000))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.CountRecords(ctx, connectors.RecordQuery{Model: "a.csv"})
	require.ErrorIs(t, err, context.Canceled)
}

// What is excluded does not count as bad, and what has no time is always there.
func TestSinceAndUntil(t *testing.T) {
	at := func(s string) time.Time {
		x, err := time.Parse(time.RFC3339, s)
		require.NoError(t, err)
		return x
	}
	for name, tc := range map[string]struct {
		layout, zone string
		cells        [4]string // the second and third lie between since and until
	}{
		"iso":           {"iso", "UTC", [4]string{"2026-03-01T09:59:59Z", "2026-03-01T10:00:00Z", "2026-03-01 10:59:59.9", "2026-03-01T11:00:00Z"}},
		"iso, offset":   {"iso", "Europe/Vienna", [4]string{"2026-03-01 10:59:59", "2026-03-01 11:00", "2026-03-01T13:30:00+03:00", "2026-03-01 12:00"}},
		"pattern":       {"DD.MM.YYYY HH:mm", "Europe/Vienna", [4]string{"01.03.2026 10:59", "01.03.2026 11:00", "01.03.2026 11:59", "01.03.2026 12:00"}},
		"unix":          {"unix", "UTC", [4]string{"1772359199", "1772359200", "1772362799", "1772362800"}},
		"unix_ms":       {"unix_ms", "UTC", [4]string{"1772359199999", "1772359200000", "1772362799999", "1772362800000"}},
		"the whole day": {"iso", "UTC", [4]string{"2026-02-28", "2026-03-01", "2026-03-01", "2026-03-02"}},
		"day pattern":   {"DD/MM/YYYY", "UTC", [4]string{"28/02/2026", "01/03/2026", "01/03/2026", "02/03/2026"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := connect(t, settings{"changed_column": "changed", "changed_layout": tc.layout, "timezone": tc.zone, "separator": ","})
			c.put(t, "a.csv", "id,changed\n1,"+tc.cells[0]+"\n2,"+tc.cells[1]+"\n3,"+tc.cells[2]+"\n4,"+tc.cells[3]+"\n5,\n6,yesterday\n7\n")
			q := connectors.RecordQuery{Model: "a.csv", Since: at("2026-03-01T10:00:00Z"), Until: at("2026-03-01T11:00:00Z")}
			all := readAll(t, c, q, 2)
			require.Equal(t, "2 3 5", ids(all))
			require.Len(t, all.Bad, 2)
			require.Equal(t, "line 7", all.Bad[0].Where)
			require.True(t, all.Records[2].Changed.IsZero())
			require.Equal(t, time.UTC, all.Records[0].Changed.Location())

			require.Equal(t, "1 2 3 4 5", ids(readAll(t, c, connectors.RecordQuery{Model: "a.csv"}, 2)))
			require.Equal(t, "2 3 4 5", ids(readAll(t, c, connectors.RecordQuery{Model: "a.csv", Since: q.Since}, 2)))
			require.Equal(t, "1 2 3 5", ids(readAll(t, c, connectors.RecordQuery{Model: "a.csv", Until: q.Until}, 2)))
		})
	}
}

func TestTheHourThatComesTwiceCountsAsTheLater(t *testing.T) {
	vienna, err := time.LoadLocation("Europe/Vienna")
	require.NoError(t, err)
	for local, utc := range map[string]string{
		"2026-10-25 01:59": "2026-10-24T23:59:00Z",
		"2026-10-25 02:30": "2026-10-25T01:30:00Z",
		"2026-10-25 03:00": "2026-10-25T02:00:00Z",
	} {
		got, ok := parseISO(local, vienna)
		require.True(t, ok)
		require.Equal(t, utc, got.Format(time.RFC3339), local)
	}
}

func TestClocks(t *testing.T) {
	c := connect(t, nil)
	c.now = func() time.Time { return time.Date(2026, 3, 2, 1, 0, 0, 0, time.FixedZone("", 3600)) }
	now, err := c.SourceNow(t.Context())
	require.NoError(t, err)
	require.Equal(t, time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), now)

	c.put(t, "a.csv", "id\n1\n")
	written := time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)
	require.NoError(t, os.Chtimes(filepath.Join(c.config.Folder, "a.csv"), time.Time{}, written))
	now, err = c.ModelNow(t.Context(), "a.csv")
	require.NoError(t, err)
	require.Equal(t, written, now, "a file tells of changes until it was written")
}

func TestIDsAreReadWithoutTheirRecords(t *testing.T) {
	c := connect(t, settings{"changed_column": "at"})
	c.put(t, "a.csv", "id,at\n1,2026-01-01\nbad\n2,2026-01-02\n3,2026-01-03\n4,\n")
	q := connectors.RecordQuery{Model: "a.csv", Since: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)}
	want := readAll(t, c, q, 2)
	for _, limit := range []int{0, 1, 2, 3, connectors.MaxIDs + 1} {
		var all []string
		for after := ""; ; {
			got, next, err := c.ReadIDs(t.Context(), q, after, limit)
			require.NoError(t, err)
			require.LessOrEqual(t, len(got), max(limit, 1))
			if all = append(all, got...); next == "" {
				break
			}
			page, err := c.ReadRecords(t.Context(), q, next, 1)
			require.NoError(t, err, "cursors are the same")
			require.NotContains(t, all, ids(page))
			after = next
		}
		require.Equal(t, ids(want), strings.Join(all, " "), limit)
	}
	c.config.IDColumn = ""
	_, _, err := c.ReadIDs(t.Context(), q, "", 1)
	requireFault(t, err, fault.Invalid, "csv.no_id_column")
}

// A column's name may look like a path: it is found by its whole name, and by
// an expression that follows the path.
func TestColumnsWithDotsInTheirNames(t *testing.T) {
	c := connect(t, nil)
	c.put(t, "a.csv", "id,maker.name,maker.land.code,maker.land,v..1,id.old\n1,Ann,AT,Austria,x,7\n2,,,,,\n")
	fields, err := c.RecordFields(t.Context(), "a.csv")
	require.NoError(t, err)
	require.Equal(t, "maker.name", fields[1].Name)
	all := readAll(t, c, connectors.RecordQuery{Model: "a.csv"}, 5)
	require.Equal(t, record.Values{
		"id": "1", "maker.name": "Ann", "maker.land.code": "AT", "maker.land": "Austria", "v..1": "x", "id.old": num("7"),
		"maker": record.Values{"name": "Ann", "land": record.Values{"code": "AT"}},
	}, all.Records[0].Values)
	require.Equal(t, record.Values{"name": nil, "land": record.Values{"code": nil}}, all.Records[1].Values["maker"])

	some := readAll(t, c, connectors.RecordQuery{Model: "a.csv", Fields: []string{"maker.name"}}, 5)
	require.Equal(t, record.Values{"maker.name": "Ann", "maker": record.Values{"name": "Ann"}}, some.Records[0].Values)
}

func TestEveryRecordHasAnID(t *testing.T) {
	c := connect(t, settings{"id_column": "sku"})
	c.put(t, "a.csv", "sku,name\nA,x\n")
	all := readAll(t, c, connectors.RecordQuery{Model: "a.csv", Fields: []string{"id", "name"}}, 5)
	require.Equal(t, "A", ids(all))
	require.Equal(t, record.Values{"name": "x"}, all.Records[0].Values)
}

func TestFilesAreReadInOneLane(t *testing.T) {
	c := connect(t, nil)
	c.put(t, "a.csv", "id\n1\n")
	for _, q := range []connectors.RecordQuery{{Model: "a.csv", From: "x"}, {Model: "a.csv", To: "x"}} {
		_, err := c.ReadRecords(t.Context(), q, "", 1)
		requireFault(t, err, fault.Unsupported, "csv.bounds")
	}
}

func TestExpressionsFollowColumnsWithDots(t *testing.T) {
	c := connect(t, nil)
	c.put(t, "a.csv", "id,maker.name\n1,Ann\n")
	compiled, err := mapping.Compile(mapping.Mapping{Name: "m", Source: "a.csv", Target: "product", Match: mapping.ByBinding, Fields: []mapping.Field{
		{Source: "maker.name", Target: "plain"}, {Expr: "record.maker.name", Target: "followed"},
	}}.WithDefaults(), mapping.Import)
	require.NoError(t, err)
	all := readAll(t, c, connectors.RecordQuery{Model: "a.csv", Fields: compiled.SourceFields()}, 5)
	require.Equal(t, record.Values{"plain": "Ann", "followed": "Ann"}, compiled.Apply(all.Records[0]).Values)
}
