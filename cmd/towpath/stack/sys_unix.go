//go:build unix && !linux

package stack

import "syscall"

// attributes: no death signal here; the watchdog does its work.
func attributes(_ syscall.Signal, as *account) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true}
	if as != nil {
		a.Credential = &syscall.Credential{Uid: as.uid, Gid: as.gid}
	}
	return a
}

type member struct{ pid int }

func (m member) alive() bool { return false }
func (m member) kill()       {}

// descendants are not looked for: without a /proc, the group has to do.
func descendants(int) []member { return nil }

const abstractSockets = false
