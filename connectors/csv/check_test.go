package csv

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"towpath/connectors"
)

func probes(r connectors.Report) map[string]connectors.Probe {
	all := map[string]connectors.Probe{}
	for _, p := range r.Probes {
		all[p.Name] = p
	}
	return all
}

func TestCheckTellsHowFilesAreWritten(t *testing.T) {
	c := connect(t, settings{"files": "*.csv *.txt"})
	c.put(t, "a.csv", "id;price\n1;2,5\n2;3,75\n")
	c.put(t, "b.txt", "\xef\xbb\xbfid\tname\n1\tx\n")
	c.put(t, "c.csv", "id,name,price\n1,Caf\xe9,1.5\n")
	c.put(t, "notes.md", "no model")
	c.put(t, "sub/d.csv", "broken,broken\n")
	report := c.Check(t.Context())
	require.True(t, report.OK(), "%+v", report)
	all := probes(report)
	require.Equal(t, "the folder is readable; 3 files", all["reach"].Text)
	require.Equal(t, "id", all["id column"].Text)
	require.Equal(t, "utf-8 by the look of it, separated by semicolons, decimal comma, 2 columns", all["file a.csv"].Text)
	require.Equal(t, "utf-8, separated by tabs, no decimal mark found, 2 columns", all["file b.txt"].Text)
	require.Equal(t, "windows-1252 by the look of it, separated by commas, decimal point, 3 columns", all["file c.csv"].Text)
	require.True(t, all["file c.csv"].Warn)
	require.False(t, all["file a.csv"].Warn)
	require.Len(t, all, 5)
}

func TestPatternsMeanHiddenFilesWhereTheySaySo(t *testing.T) {
	for files, want := range map[string][]string{"*": {"a.csv"}, "*.csv *.part": {"a.csv"}, ".*.csv": {".b.csv"}} {
		c := connect(t, settings{"files": files})
		for _, name := range []string{"a.csv", ".b.csv", ".a.csv.AAAAAAAAAAAAAAAAAAAAAAAAAA.part"} {
			c.put(t, name, "id\n1\n")
		}
		got, err := c.files()
		require.NoError(t, err)
		require.Equal(t, want, got, files)
	}
}

func TestCheckTellsWhatIsWrong(t *testing.T) {
	c := connect(t, nil)
	all := probes(c.Check(t.Context()))
	require.True(t, all["reach"].Warn, "an empty folder")

	c.put(t, "a.csv", "id,id\n")
	c.put(t, "b.csv", "sku,name\n1,a\n")
	require.NoError(t, os.Symlink("/etc/hostname", filepath.Join(c.config.Folder, "c.csv")))
	report := c.Check(t.Context())
	require.False(t, report.OK())
	all = probes(report)
	for file, code := range map[string]string{"file a.csv": "csv.header_duplicate", "file b.csv": "csv.column_missing", "file c.csv": "csv.outside_folder"} {
		require.False(t, all[file].OK, file)
		require.ErrorContains(t, all[file].Fault, code)
		require.NotEmpty(t, all[file].Fix)
	}

	c.config.IDColumn = ""
	require.True(t, probes(c.Check(t.Context()))["id column"].Warn)

	c.config.Folder = filepath.Join(c.config.Folder, "gone")
	report = c.Check(t.Context())
	require.Len(t, report.Probes, 1)
	require.False(t, report.OK())
	require.ErrorContains(t, report.Probes[0].Fault, "csv.no_folder")
}
