package bench

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors/shopify/simulator/scenario"
)

func TestPercentiles(t *testing.T) {
	xs := []float64{4, 1, 3, 2}
	assert.InDelta(t, 2.5, median(xs), 1e-9)
	assert.InDelta(t, 1.0, percentile(xs, 0), 1e-9)
	assert.InDelta(t, 4.0, percentile(xs, 100), 1e-9)
	assert.InDelta(t, 3.85, percentile(xs, 95), 1e-9)
	assert.Equal(t, []float64{4, 1, 3, 2}, xs, "the samples stay in the order of their rounds")
	assert.InDelta(t, 0.1, spread([]float64{9, 10, 11}), 1e-9)
	assert.Zero(t, spread([]float64{7}))
}

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		name    string
		target  Target
		samples []float64
		want    Verdict
	}{
		{"above a floor", Target{AtLeast: 0.9}, []float64{0.95, 1, 0.97}, OK},
		{"below a floor", Target{AtLeast: 0.9}, []float64{0.85, 0.8, 0.82}, Missed},
		{"below a ceiling", Target{AtMost: 6}, []float64{5, 5.2}, OK},
		{"above a ceiling", Target{AtMost: 6}, []float64{7, 7.2}, Missed},
		{"noise passes nothing", Target{AtLeast: 0.9}, []float64{1, 2, 3}, Noisy},
		{"noise fails nothing", Target{AtMost: 1}, []float64{1, 2, 3}, Noisy},
		{"no target", Target{}, []float64{1, 9}, Info},
		{"nothing was measured", Target{AtMost: 1}, nil, Missed},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newReport(1)
			r.add("bench", "what", "×", c.target, c.samples)
			assert.Equal(t, c.want, r.Rows[0].Verdict)
			assert.Equal(t, c.want != Missed, r.Good())
		})
	}
	r := newReport(1)
	r.same("sides", false, "one has more")
	assert.False(t, r.Good(), "a comparison of unequal work is no success")
	var b strings.Builder
	r.Print(&b)
	assert.Contains(t, b.String(), "NOT THE SAME WORK: sides: one has more")
}

func TestNoiseIsExplainedWhereItIs(t *testing.T) {
	for name, c := range map[string]struct {
		target  Target
		samples []float64
		want    int // lines that begin with the word
	}{
		"a noisy row":               {Target{AtMost: 1}, []float64{1, 2, 3}, 1},
		"a quiet row":               {Target{AtMost: 6}, []float64{5, 5.2}, 0},
		"a wide row without target": {Target{}, []float64{1, 9}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReport(1)
			r.add("bench", "steady", "×", Target{AtLeast: 0.9}, []float64{1, 1})
			r.add("bench", "what", "×", c.target, c.samples)
			var b strings.Builder
			r.Print(&b)
			assert.Equal(t, c.want, strings.Count(b.String(), "\nnoisy: "), b.String())
			assert.Contains(t, b.String(), "seed 1")
		})
	}
}

// A server of the standard library judges the requests, and the generator
// reads its answers.
func TestShotsAreFiredOnceEach(t *testing.T) {
	bodies := scenario.Bodies(7, 100, 4096, scenario.Options{})
	var taken, refuse atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/hook" || r.Header.Get("X-Shopify-Hmac-Sha256") == "" || r.ContentLength < 4000 || refuse.Load() > 0 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		taken.Add(1)
		w.WriteHeader(http.StatusAccepted)
		_, _ = w.Write([]byte(`{"success":true}`))
	}))
	defer s.Close()
	address := s.Listener.Addr().(*net.TCPAddr).String()
	all := newShots("/hook", "shop.example", "secret", bodies)
	f, err := all.fire(t.Context(), address, 8)
	require.NoError(t, err)
	assert.Len(t, f.each, 100)
	assert.EqualValues(t, 100, taken.Load())
	refuse.Store(1)
	_, err = all.fire(t.Context(), address, 8)
	assert.ErrorContains(t, err, "401")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = all.fire(ctx, address, 2)
	assert.Error(t, err)
}

func TestReadAnswerRefusesWhatItCannotMeasure(t *testing.T) {
	for _, answer := range []string{"", "nonsense\r\n\r\n", "HTTP/1.1 202 Accepted\r\n\r\n", "HTTP/1.1 202 Accepted\r\nContent-Length: x\r\n\r\n"} {
		_, err := readAnswer(bufio.NewReader(strings.NewReader(answer)))
		assert.Error(t, err, "%q", answer)
	}
}

func TestADayIsSplitWithoutLoss(t *testing.T) {
	day := scenario.Bench(3, 200, scenario.Options{Start: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)})
	parts := split(day, 5, 150)
	require.Len(t, parts, 3)
	assert.Equal(t, []int{5, 145, 50}, []int{parts[0].orders, parts[1].orders, parts[2].orders})
	assert.Len(t, day.Deliveries, len(parts[0].deliveries)+len(parts[1].deliveries)+len(parts[2].deliveries))
	assert.Equal(t, day.Count(false)[scenario.Imported], parts[2].confirmed)
	assert.Less(t, parts[0].confirmed, parts[1].confirmed)
}
