package stack

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"

	"towpath/schema/fault"
)

var ports struct {
	sync.Mutex
	taken  map[int]bool
	claims []net.Listener // kept for the life of the process
}

// FreePort finds a free TCP port on 127.0.0.1 for a server that is started
// later. No two calls get the same one: not in this process and, on Linux, not
// in two processes that use this package at the same time.
//
// The port lies below the range from which the kernel serves outgoing
// connections. In that range any client on the machine could get it while a
// server is down between kill and restart; a client that keeps dialing the
// dead server can even get it itself and so be connected to itself.
//
// Faults: stack.no_port (Transient).
func FreePort() (int, error) {
	ports.Lock()
	defer ports.Unlock()
	if ports.taken == nil {
		ports.taken = map[int]bool{}
	}
	low, high := portRange()
	for range 500 {
		port := low + rand.IntN(high-low)
		if !ports.taken[port] && claim(port) {
			ports.taken[port] = true
			return port, nil
		}
	}
	return 0, fault.New(fault.Transient, "stack.no_port", "no free TCP port between %d and %d on 127.0.0.1", low, high)
}

// claim reports whether nobody listens on the port, and tells other processes
// by a socket in Linux's abstract namespace, which leaves no file and ends with
// us.
func claim(port int) bool {
	if abstractSockets {
		l, err := net.Listen("unix", fmt.Sprintf("@towpath-port-%d", port))
		if err != nil {
			return false
		}
		if !free(port) {
			l.Close()
			return false
		}
		ports.claims = append(ports.claims, l)
		return true
	}
	return free(port)
}

func free(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// portRange is 10,000 ports below the ephemeral ones, if there is room.
func portRange() (low, high int) {
	high = 32768
	if b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		var first, last int
		if n, _ := fmt.Sscan(string(b), &first, &last); n == 2 && first >= 16384 {
			high = first
		}
	}
	return high - 10000, high
}
