package local_test

import (
	"flag"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// An installation is half a dozen processes that mostly wait: for heartbeats
// of the dead, for quarantines, for retries. So each processor carries several
// of them, more than go test would run at once, and some more while it has
// nothing to do; but not as many as there are tests, since what is killed and
// comes back needs some of the machine to do so in time.
const (
	perProcessor     = 3
	morePerProcessor = 3  // while the machine is idle
	atMost           = 16 // for the sake of memory: some 400 MB each
)

var room = newRoom(runtime.GOMAXPROCS(0))

func newRoom(processors int) *places {
	free := min(perProcessor*processors, atMost)
	return &places{free: free, spare: min(morePerProcessor*processors, atMost-free)}
}

// manyAtOnce lets all parallel tests begin, so that the room, and not the
// number of tests that go test would run at once, says who goes on.
func manyAtOnce() error {
	flag.Parse()
	return flag.Set("test.parallel", "1000")
}

// lengthy is t.Parallel for a test of half a minute and more: it goes before
// the others, so that no long one is left to last alone at the end.
func lengthy(t *testing.T) {
	t.Helper()
	room.prefer(t.Name())
	t.Parallel()
}

// places are handed out in the order of asking, but to lengthy tests first.
type places struct {
	mu        sync.Mutex
	free      int // negative when places were taken back from those who have them still
	spare     int // may be added
	added     int
	waiting   []*guest
	preferred []string
}

type guest struct {
	needs int
	first bool
	come  chan struct{}
}

func (p *places) prefer(test string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.preferred = append(p.preferred, test)
}

// enter waits for so many places, which are free again when leave is called.
func (p *places) enter(test string, needs int) (leave func()) {
	p.mu.Lock()
	g := &guest{needs: needs, first: slices.Contains(p.preferred, test), come: make(chan struct{})}
	p.waiting = append(p.waiting, g)
	p.admit()
	p.mu.Unlock()
	<-g.come
	return func() { p.leave(needs) }
}

func (p *places) leave(needs int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free += needs
	p.admit()
}

// admit lets in who is next, until there is no room for him.
func (p *places) admit() {
	for len(p.waiting) > 0 {
		next := max(0, slices.IndexFunc(p.waiting, func(g *guest) bool { return g.first }))
		g := p.waiting[next]
		if g.needs > p.free {
			return
		}
		p.free -= g.needs
		p.waiting = slices.Delete(p.waiting, next, next+1)
		close(g.come)
	}
}

// Parts of the machine's time that are idle enough for one installation more,
// and so little that there was one too many.
const (
	idle = 0.15
	full = 0.03
)

// adapt gives a place more, or takes it back, by how idle the machine has been.
func (p *places) adapt(idled float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case idled >= idle && p.added < p.spare && len(p.waiting) > 0:
		p.added++
		p.free++
		p.admit()
	case idled <= full && p.added > 0:
		p.added--
		p.free--
	}
}

// watch adapts the room for as long as the process lives. It is slow enough for
// who was let in to show what he needs.
func (p *places) watch() {
	for before := machineTime(); ; {
		time.Sleep(4 * time.Second)
		now := machineTime()
		p.adapt(now.idleSince(before))
		before = now
	}
}

// cpuTime is what all processors have spent.
type cpuTime struct{ idle, all float64 }

// idleSince is 0 where nobody knows.
func (c cpuTime) idleSince(before cpuTime) float64 {
	if c.all <= before.all {
		return 0
	}
	return (c.idle - before.idle) / (c.all - before.all)
}

// machineTime reads Linux' count (proc_stat(5)); elsewhere nothing is known.
func machineTime() (c cpuTime) {
	stat, _ := os.ReadFile("/proc/stat")
	first, _, _ := strings.Cut(string(stat), "\n")
	for i, field := range strings.Fields(first) {
		n, err := strconv.ParseFloat(field, 64)
		if err != nil || i > 8 { // "cpu", and what guests had, which is counted already
			continue
		}
		c.all += n
		if i == 4 || i == 5 { // idle, and waiting for disks
			c.idle += n
		}
	}
	return c
}

func TestRoomGrowsWhileTheMachineIsIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &places{free: 1, spare: 1}
		var inside atomic.Int64
		for range 4 {
			go func() {
				p.enter("test", 1)
				inside.Add(1)
			}()
		}
		synctest.Wait()
		for _, step := range []struct {
			idled float64
			want  int64
		}{{0.1, 1}, {0.5, 2}, {0.9, 2}} { // there is one to spare
			p.adapt(step.idled)
			synctest.Wait()
			assert.Equal(t, step.want, inside.Load(), "idle %v", step.idled)
		}
		p.adapt(0) // taken back: the next who leaves lets nobody in
		p.leave(1)
		synctest.Wait()
		assert.EqualValues(t, 2, inside.Load())
		for range 2 {
			p.leave(1)
			synctest.Wait()
		}
		assert.EqualValues(t, 4, inside.Load())
	})
	assert.Zero(t, cpuTime{idle: 5, all: 9}.idleSince(cpuTime{idle: 5, all: 9}))
	assert.InDelta(t, 0.25, cpuTime{idle: 6, all: 13}.idleSince(cpuTime{idle: 5, all: 9}), 1e-9)
	if c := machineTime(); runtime.GOOS == "linux" {
		assert.Greater(t, c.all, c.idle)
		assert.Positive(t, c.idle)
	}
}

func TestRoomIsGivenToLengthyTestsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &places{free: 3}
		p.prefer("lengthy")
		var mu sync.Mutex
		var came []string
		ends := map[string]func(){}
		come := func(test string, needs int) {
			go func() {
				leave := p.enter(test, needs)
				mu.Lock()
				defer mu.Unlock()
				came, ends[test] = append(came, test), leave
			}()
			synctest.Wait()
		}
		come("first", 2)
		come("second", 2)
		come("third", 1)
		come("lengthy", 2)
		assert.Equal(t, []string{"first"}, came, "who needs less does not overtake, or the others would wait for ever")
		for _, next := range [][]string{{"first", "lengthy"}, {"lengthy", "second"}} {
			ends[next[0]]()
			synctest.Wait()
			assert.Contains(t, came, next[1])
		}
		assert.Len(t, came, 4)
		assert.Equal(t, []string{"first", "lengthy"}, came[:2])
		assert.Zero(t, p.free)
	})
}
