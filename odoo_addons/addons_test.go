package odoo_addons_test

import (
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

// TestModule installs towpath_outbox into a fresh database and runs its own
// tests there; each is a subtest here.
func TestModule(t *testing.T) {
	c := odootest.Find(t)
	out, err := c.Script(t.Context(), "addontest.sh", "--db", odootest.Name("addon"), "--pghost", c.Host, "--pgport", c.Port)
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
			delete(bad, name)
		})
	}
	assert.Empty(t, bad, "failures outside of the tests themselves")
	if assert.NoError(t, err, "%s", tail(out, 60)) {
		assert.False(t, complain.MatchString(out[:ran[0][0]]), "errors while installing:\n%s", tail(out[:ran[0][0]], 60))
	}
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
