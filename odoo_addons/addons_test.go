package odoo_addons_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/odoo_addons/odootest"
)

var (
	started  = regexp.MustCompile(`: Starting (Test\w+\.test_\w+) \.\.\.`)
	failed   = regexp.MustCompile(` (?:FAIL|ERROR): (?:setUpClass )?\(?(\S*Test\w+[\w.]*)`)
	complain = regexp.MustCompile(` (?:ERROR|CRITICAL) \S+ `)
)

// TestModule installs towpath_outbox into fresh databases and runs its own
// tests there; each is a subtest here.
func TestModule(t *testing.T) {
	t.Run("with sales, accounting and CRM", func(t *testing.T) { runAddonTests(t) })
	t.Run("with nothing else", func(t *testing.T) { runAddonTests(t, "--bare") })
}

func runAddonTests(t *testing.T, flags ...string) {
	c := odootest.Find(t)
	args := append([]string{"--db", odootest.Name("addon"), "--pghost", c.Host, "--pgport", c.Port, "--port", odootest.FreePort(t)}, flags...)
	out, err := c.Script(t.Context(), "addontest.sh", args...)
	bad := map[string]bool{}
	for _, m := range failed.FindAllStringSubmatch(out, -1) {
		bad[m[1]] = true
	}
	ran := started.FindAllStringSubmatchIndex(out, -1)
	require.Greater(t, len(ran), 50, "Odoo ran hardly any test:\n%s", tail(out, 60))
	for i, m := range ran {
		name, end := out[m[2]:m[3]], len(out)
		if i+1 < len(ran) {
			end = ran[i+1][0]
		}
		t.Run(name, func(t *testing.T) {
			if bad[name] {
				t.Errorf("failed in Odoo:\n%s", tail(out[m[0]:end], 60))
			}
		})
		delete(bad, name)
	}
	assert.Empty(t, bad, "failures outside of the tests themselves")
	if assert.NoError(t, err, "%s", tail(out, 60)) {
		assert.False(t, complain.MatchString(out[:ran[0][0]]), "errors while installing:\n%s", tail(out[:ran[0][0]], 60))
	}
}

// TestUninstall leaves an Odoo as if the module had never been there.
func TestUninstall(t *testing.T) {
	c := odootest.Find(t)
	run := func(name string, args ...string) {
		t.Helper()
		out, err := c.Script(t.Context(), name, args...)
		require.NoError(t, err, "%s", tail(out, 40))
	}
	db, dir := odootest.Name("uninstall"), t.TempDir()
	run("outbox.sh", c.Host, c.Port)
	run("newdb.sh", "--outbox", db, c.Host, c.Port)
	t.Cleanup(func() { _, _ = c.Script(context.Background(), "newdb.sh", "--drop", db, c.Host, c.Port) })
	script := filepath.Join(dir, "uninstall.py")
	require.NoError(t, os.WriteFile(script, []byte(`
for model in ("res.partner", "ir.model", "ir.model.fields"):
    env["towpath.rule"].create({"name": model, "model_id": env["ir.model"]._get(model).id, "on_unlink": True})
env.cr.commit()
env.ref("base.module_towpath_outbox").button_immediate_uninstall()
for query in (
    "SELECT tablename FROM pg_tables WHERE tablename LIKE 'towpath%'",
    "SELECT name FROM ir_act_window WHERE res_model LIKE 'towpath%'",
    "SELECT name FROM ir_model_data WHERE module = 'towpath_outbox'",
    "SELECT name FROM ir_module_module WHERE name = 'towpath_outbox' AND state <> 'uninstalled'",
):
    env.cr.execute(query)
    left = env.cr.fetchall()
    assert not left, left
`), 0o600))
	run("shell.sh", "--db", db, "--data", dir, "--script", script, "--addons", ".")
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
