// Package bench measures the performance targets of Towpath (design section
// 12) on a whole installation on this machine: real PostgreSQL, Temporal and
// Odoo 19 beside Towpath's own processes.
//
// Every number is a ratio to something that anybody can run, measured in the
// same minute on the same machine: PostgreSQL's own pgbench, a hand-written
// RPC client, a batch inside Odoo's own process. Both sides do the same work,
// which is checked by digests of the rows that they leave behind. Rounds are
// interleaved; what varies too much between rounds is reported as noisy and
// neither passes nor fails.
package bench
