package odoo_addons_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestBuilds looks at what build.py makes for each version; only that for 19
// is also run, by TestModule.
func TestBuilds(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("SKIPPED, NOT PROVED: no python3 to build the module with")
	}
	for _, version := range []int{16, 17, 18, 19} {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			out := t.TempDir()
			said, err := exec.CommandContext(t.Context(), python, "build.py", "--version", fmt.Sprint(version), "--out", out).CombinedOutput()
			require.NoError(t, err, "%s", said)
			var data, all strings.Builder
			require.NoError(t, fs.WalkDir(os.DirFS(out), ".", func(path string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				text, err := os.ReadFile(filepath.Join(out, path))
				if err != nil {
					return err
				}
				all.Write(text)
				if filepath.Ext(path) == ".xml" {
					data.Write(text)
					assert.NoError(t, wellFormed(string(text)), path)
				}
				if version == 19 {
					source, err := os.ReadFile(path)
					assert.NoError(t, err)
					assert.Equal(t, string(source), string(text), "%s: 19 is the source", path)
				}
				return nil
			}))
			has := func(text string, want bool) {
				t.Helper()
				assert.Equal(t, want, strings.Contains(data.String(), text), "%s", text)
			}
			assert.Contains(t, all.String(), fmt.Sprintf(`"version": "%d.0.1.`, version))
			has("<list", version >= 18)
			has("<tree", version < 18)
			has(">tree,form<", version < 18)
			has(`name="numbercall"`, version < 18)
			has("privilege", version == 19)
			has(`name="category_id" ref="module_category_towpath"`, true)
			has(`name="user_ids"`, version == 19)
			has(`name="users"`, version < 19)
			compiled, err := exec.CommandContext(t.Context(), python, "-m", "compileall", "-q", out).CombinedOutput()
			assert.NoError(t, err, "%s", compiled)
		})
	}
}

func wellFormed(text string) error {
	for dec := xml.NewDecoder(strings.NewReader(text)); ; {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}
