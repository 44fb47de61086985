package activities

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/connectors/odoo/simulator"
	shop "towpath/connectors/shopify/simulator"
	"towpath/schema/jobs"
	"towpath/schema/mapping"
	"towpath/schema/record"
)

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// TestDocumentedMappings: the mappings and jobs that docs/sync.md gives to begin
// with are good, and fit the systems that they name.
func TestDocumentedMappings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	odooOf(w, "odoo", simulator.Options{})
	shopOf(w, "shop", shop.Options{})
	page, err := os.ReadFile("../docs/sync.md")
	require.NoError(t, err)
	fitted := 0
	for _, block := range yamlBlock.FindAllStringSubmatch(string(page), -1) {
		var file struct {
			Mappings []mapping.Mapping
			Jobs     []jobs.Job
		}
		require.NoError(t, yaml.Unmarshal([]byte(block[1]), &file), block[1])
		for _, j := range file.Jobs {
			require.NoError(t, j.Validate())
		}
		for _, m := range file.Mappings {
			exports := slices.ContainsFunc(m.Fields, func(f mapping.Field) bool { return f.Direction == mapping.Export })
			direction := mapping.Import
			if exports {
				direction = mapping.Export
			}
			c, err := mapping.Compile(m, direction)
			require.NoError(t, err, m.Name)
			source, target := c.Models()
			if strings.HasSuffix(source, ".csv") {
				continue // its columns are the reader's
			}
			_, err = c.For(w.fieldsOf(source), w.fieldsOf(target))
			require.NoError(t, err, m.Name)
			fitted++
		}
	}
	require.GreaterOrEqual(t, fitted, 4)
}

func (w *world) fieldsOf(model string) []record.FieldInfo {
	w.Helper()
	name := "shop"
	if strings.Contains(model, ".") {
		name = "odoo"
	}
	fields, err := w.doors[name].(connectors.RecordSource).RecordFields(w.Context(), model)
	require.NoError(w, err)
	return fields
}
