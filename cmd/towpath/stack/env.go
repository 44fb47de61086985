package stack

// Env is the environment for tests against the parts that are up, as KEY=VALUE.
// It waits for a part that is being started.
//
//   - PostgreSQL: TOWPATH_TEST_DATABASE_URL, the superuser's DSN of a scratch
//     database, in or beside which each test makes a schema or a database.
//   - Temporal: TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE as every Temporal client
//     knows them, TOWPATH_TEST_TEMPORAL (the address again, for tests that must
//     not take just any server), TOWPATH_TEST_TEMPORAL_BIN (the program).
//   - Odoo, the first one: TOWPATH_TEST_ODOO_URL, _DB, _LOGIN, _PASSWORD,
//     _API_KEY, and _PG, the superuser's DSN of its database.
//   - always TOWPATH_REQUIRE_REAL=1: a missing part is a failure and no skip.
func (s *Stack) Env() []string {
	env := []string{"TOWPATH_REQUIRE_REAL=1"}
	set := func(key, value string) { env = append(env, key+"="+value) }

	s.pgMu.Lock()
	if pg := s.pg; pg != nil {
		set("TOWPATH_TEST_DATABASE_URL", pg.DSN(ScratchDB))
	}
	s.pgMu.Unlock()

	s.temporalMu.Lock()
	if t := s.temporal; t != nil {
		set("TEMPORAL_ADDRESS", t.Address)
		set("TEMPORAL_NAMESPACE", t.Namespace)
		set("TOWPATH_TEST_TEMPORAL", t.Address)
		set("TOWPATH_TEST_TEMPORAL_BIN", t.Bin)
	}
	s.temporalMu.Unlock()

	s.odooMu.Lock()
	if len(s.odoos) > 0 {
		o := s.odoos[0]
		set("TOWPATH_TEST_ODOO_URL", o.URL)
		set("TOWPATH_TEST_ODOO_DB", o.DB)
		set("TOWPATH_TEST_ODOO_LOGIN", o.Login)
		set("TOWPATH_TEST_ODOO_PASSWORD", o.Password)
		set("TOWPATH_TEST_ODOO_API_KEY", o.APIKey)
		set("TOWPATH_TEST_ODOO_PG", o.PGDSN)
	}
	s.odooMu.Unlock()
	return env
}
