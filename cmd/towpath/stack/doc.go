// Package stack runs the real parts that Towpath works with, privately and on
// loopback only: a PostgreSQL cluster, the development Temporal server, a real
// Odoo 19, and any other program. The demo, the development setup, the test
// runner and the kill tests are made of it.
//
//	s, err := stack.New(stack.Options{Out: os.Stderr})
//	defer s.Close()
//	pg, err := s.Postgres(ctx)
//	temporal, err := s.Temporal(ctx, stack.TemporalOptions{DBFile: true})
//	odoo, err := s.Odoo(ctx, stack.OdooOptions{})
//	worker, err := s.Start(ctx, stack.ProcessSpec{Name: "worker", Path: towpath, Args: []string{"worker"}})
//
// Every part is a [Process] and can be stopped, killed and started again at the
// same address with the same data. Close ends all of them. When the Go process
// itself is killed, they end too: each child gets a death signal from the
// kernel (Linux), and a small watchdog, which notices by a closed pipe, kills
// the process groups that are left and removes the temporary folder.
//
// Several stacks may run at once, in one process or in many. The package keeps
// one goroutine for ever (see spawn); a leak detector should ignore
// "towpath/cmd/towpath/stack.spawnLoop".
//
// It is for Linux and other Unix systems; Odoo needs root on Debian or Ubuntu.
package stack
