package local_test

import (
	"flag"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
)

// An installation is half a dozen processes that mostly wait: for heartbeats
// of the dead, for quarantines, for retries. So each processor carries several
// of them, more than go test would run at once; but not as many as there are
// tests, since what is killed and comes back needs some of the machine to do
// so in time.
const (
	perProcessor = 3
	atMost       = 16 // for the sake of memory: some 400 MB each
)

var room = &places{free: min(perProcessor*runtime.GOMAXPROCS(0), atMost)}

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
	free      int
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
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.free += needs
		p.admit()
	}
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
