package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"golang.org/x/term"

	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/store"
	"towpath/worker"
	"towpath/workflows/contract"
)

// How often a watched run is looked at, and told of where no bar can be drawn.
var (
	watchEvery = 500 * time.Millisecond
	tellEvery  = 10 * time.Second
)

// watchRun looks on until a run ends, or waits for a person, and tells how. It
// asks PostgreSQL, which knows while Temporal is slow; Temporal only when there
// is nothing to be seen there.
func (p *process) watchRun(cmd *cobra.Command, id string) error {
	ctx := cmd.Context()
	w := &watcher{process: p, id: id, screen: newScreen(cmd.ErrOrStderr()), seen: &meter{}}
	defer w.close()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		var waits *waitingRun
		ended, err := w.look(ctx)
		w.screen.clear(ended != nil || err != nil || ctx.Err() != nil)
		switch {
		case ctx.Err() != nil:
			fmt.Fprintf(cmd.ErrOrStderr(), "no longer watched; the run goes on. See it again: towpath sync watch %s\n", id)
			return exitCode(exitInterrupted)
		case errors.As(err, &waits):
			return waits.tell(cmd.OutOrStdout())
		case err != nil:
			return err
		case ended != nil:
			return tellEnd(cmd.OutOrStdout(), *ended)
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// ending is how a run ended.
type ending struct {
	id, job  string
	status   jobs.Status
	sentence string
	counts   map[string]int64
}

// tellEnd prints the closing sentence; its error is the exit code.
func tellEnd(out io.Writer, e ending) error {
	fmt.Fprintf(out, "%s: %s\n", e.status, orNothing(e.sentence, "nothing more was said"))
	if words := countWords(jobs.CountsOf(e.counts)); words != "" {
		fmt.Fprintf(out, "  %s\n", words)
	}
	if e.status == jobs.Success {
		return nil
	}
	fmt.Fprintf(out, "  more: towpath sync show %s\n", e.id)
	if e.status == jobs.Failed {
		return exitCode(exitFailed)
	}
	return errProof
}

// watcher looks at one run.
type watcher struct {
	*process
	id       string
	screen   *screen
	seen     *meter
	temporal client.Client
	idle     int  // looks at which nothing was new
	told     bool // that nobody works
}

// idleLooks is how often nothing new is taken for patience.
const idleLooks = 4

func (w *watcher) close() {
	if w.temporal != nil {
		w.temporal.Close()
	}
}

// look gives the run's end, if it has come. What cannot be read now is tried
// again at the next look.
func (w *watcher) look(ctx context.Context) (*ending, error) {
	run, err := w.store.Run(ctx, w.id)
	if fault.Is(err, fault.NotFound) {
		return w.unopened(ctx)
	}
	if err == nil && run.EndedAt.Valid {
		return endOf(run), nil
	}
	if err != nil {
		if fault.Retryable(err) {
			w.screen.show("PostgreSQL does not answer; trying again", 0, 0)
			return nil, nil //nolint:nilerr // the run goes on, and so does the looking
		}
		return nil, err
	}
	counts, err := w.store.Totals(ctx, w.id, 0, math.MaxInt32)
	if err != nil {
		return nil, nil //nolint:nilerr // at the next look
	}
	c := jobs.CountsOf(counts)
	if w.seen.add(time.Now(), c.Processed()) || run.Asked.Valid {
		w.idle = 0
	} else if err := w.standsStill(ctx, run.Job); err != nil {
		return nil, err
	}
	w.screen.show(w.seen.words(c, run.CountedBefore, run.Asked.String), c.Processed(), run.CountedBefore)
	return nil, nil
}

func endOf(run store.Run) *ending {
	e := &ending{id: run.ID, job: run.Job, status: jobs.Status(run.Status), sentence: run.Sentence}
	_ = json.Unmarshal(run.Counts, &e.counts)
	return e
}

// unopened asks Temporal for a run that is not in the book yet: it may never
// come to be, and then its workflow tells why.
func (w *watcher) unopened(ctx context.Context) (*ending, error) {
	w.screen.show("waiting for a worker to open the run", 0, 0)
	if w.idle++; w.idle%idleLooks != 0 {
		return nil, nil
	}
	if err := w.dial(); err != nil {
		return nil, err
	}
	short, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	d, err := w.temporal.DescribeWorkflow(short, w.id, "")
	if err != nil {
		return nil, nil //nolint:nilerr // slow or down: the book will tell
	}
	if d.Status == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		w.tellIdle(short)
		return nil, nil
	}
	if _, err := w.store.Run(ctx, w.id); err == nil {
		return nil, nil // it was opened and has ended meanwhile
	}
	var result contract.SyncResult
	if err := w.temporal.GetWorkflow(short, w.id, "").Get(short, &result); err != nil {
		return nil, workflowFault(w.id, err)
	}
	if result.Status == contract.StatusSkipped { // it has no row that could be shown
		return nil, fault.New(fault.Conflict, "run.underway", "the run was not opened: another run of its job goes on").
			WithResolution("wait until that has ended: towpath sync list")
	}
	return &ending{id: w.id, status: jobs.Status(result.Status), sentence: result.Sentence, counts: result.Counts}, nil
}

func (w *watcher) dial() (err error) {
	if w.temporal == nil {
		w.temporal, _, err = worker.Dial(w.log)
	}
	return err
}

// standsStill asks the workflow of a run that does not move whether a limit
// has stopped it: then it waits for a person, who may be the one that looks.
func (w *watcher) standsStill(ctx context.Context, job string) error {
	if w.idle++; w.idle%idleLooks != 0 || w.dial() != nil {
		return nil
	}
	short, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var p contract.SyncProgress
	v, err := w.temporal.QueryWorkflow(short, w.id, "", contract.QueryProgress)
	if err != nil || v.Get(&p) != nil || p.Asked != "limit" {
		return nil //nolint:nilerr // slow or down: the next look will tell
	}
	return &waitingRun{job: job, reason: p.Reason}
}

// waitingRun ends the looking at a run that a limit has stopped.
type waitingRun struct{ job, reason string }

func (w *waitingRun) Error() string { return "stopped by a limit: " + w.reason }

func (w *waitingRun) tell(out io.Writer) error {
	fmt.Fprintf(out, "the run waits, stopped by a limit: %s\n", w.reason)
	fmt.Fprintf(out, "  go on after raising the limit in towpath.yaml: towpath sync resume %s\n  go on whatever the limits say: towpath sync resume %s --beyond-limits\n  end it: towpath sync abort %s --reason WHY\n", w.job, w.job, w.job)
	return errProof
}

func (w *watcher) tellIdle(ctx context.Context) {
	n, err := worker.Pollers(ctx, w.temporal, contract.QueueMain)
	if err == nil && n == 0 && !w.told {
		w.told = true
		w.screen.note("no worker listens; the run begins when one does. Start one: towpath worker")
	}
}

// workflowFault is why a run was never opened, as its workflow says.
func workflowFault(id string, err error) error {
	f := fault.New(fault.Conflict, "sync.not_opened", "the run was not opened: its workflow ended before").
		WithResolution("see why in the Temporal UI, workflow %s", id).WithCause(err)
	var told *temporal.ApplicationError
	if errors.As(err, &told) {
		f.Message = "the run was not opened: " + told.Message()
	}
	return f
}

// meter reckons how fast a run is.
type meter struct{ samples []sample }

type sample struct {
	at   time.Time
	done int64
}

// meterSpan is over which time a rate is taken: long enough for pages of many
// seconds, short enough to show a pause.
const meterSpan = 30 * time.Second

// add notes how far a run is, and tells whether that is news.
func (m *meter) add(at time.Time, done int64) (news bool) {
	news = len(m.samples) == 0 || m.samples[len(m.samples)-1].done != done
	m.samples = append(m.samples, sample{at, done})
	for len(m.samples) > 2 && at.Sub(m.samples[1].at) >= meterSpan {
		m.samples = m.samples[1:]
	}
	return news
}

// rate is in records per second; 0 when nothing can be said.
func (m *meter) rate() float64 {
	if len(m.samples) < 2 {
		return 0
	}
	first, last := m.samples[0], m.samples[len(m.samples)-1]
	took := last.at.Sub(first.at).Seconds()
	if took <= 0 {
		return 0
	}
	return float64(last.done-first.done) / took
}

// words says how far a run is: "1,200 of 10,000, 310/s, 28s left, 3 parked".
func (m *meter) words(c jobs.Counts, total int64, asked string) string {
	done := c.Processed()
	parts := []string{thousands(done)}
	if total > 0 {
		parts[0] += " of " + thousands(total)
	}
	if rate := m.rate(); rate > 0 {
		parts = append(parts, fmt.Sprintf("%.0f/s", max(rate, 1)))
		if total > done {
			parts = append(parts, round(time.Duration(float64(total-done)/rate*float64(time.Second)))+" left")
		}
	}
	if c.Parked > 0 {
		parts = append(parts, thousands(c.Parked)+" parked")
	}
	if c.Failed > 0 {
		parts = append(parts, thousands(c.Failed)+" failed")
	}
	if asked != "" {
		parts = append(parts, asked+" asked for")
	}
	return strings.Join(parts, ", ")
}

func thousands(n int64) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// countWords says what became of a run's records, without what is zero.
func countWords(c jobs.Counts) string {
	var parts []string
	for _, p := range []struct {
		what string
		n    int64
	}{
		{"fetched", c.Fetched}, {"created", c.Created}, {"updated", c.Updated}, {"archived", c.Archived}, {"unchanged", c.Unchanged},
		{"skipped", c.SkippedAll()}, {"parked", c.Parked}, {"failed", c.Failed}, {"gone from the source", c.Gone},
	} {
		if p.n != 0 {
			parts = append(parts, thousands(p.n)+" "+p.what)
		}
	}
	return strings.Join(parts, ", ")
}

// screen shows progress: a bar that moves where there is a terminal, else a
// line now and then, for logs.
type screen struct {
	w    io.Writer
	bar  bar
	last time.Time
	line string
}

// bar is what newBar gives, as far as it is used here.
type bar interface {
	ChangeMax64(newMax int64)
	Set64(num int64) error
	Describe(description string)
	Clear() error
}

// newWatchBar leaves rate and time left to the words: its own would count what
// was done before somebody began to look.
func newWatchBar(w io.Writer) bar {
	return progressbar.NewOptions64(-1,
		progressbar.OptionSetWriter(w), progressbar.OptionSetWidth(30), progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false), progressbar.OptionShowDescriptionAtLineEnd(),
		progressbar.OptionClearOnFinish(), progressbar.OptionSetRenderBlankState(true))
}

func newScreen(w io.Writer) *screen {
	s := &screen{w: w}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		s.bar = newWatchBar(w)
	}
	return s
}

func (s *screen) show(words string, done, total int64) {
	if s.bar != nil {
		if total > 0 {
			s.bar.ChangeMax64(max(total, done))
			_ = s.bar.Set64(done)
		}
		s.bar.Describe(words)
		return
	}
	if words == s.line || time.Since(s.last) < tellEvery {
		return
	}
	s.line, s.last = words, time.Now()
	fmt.Fprintln(s.w, words)
}

func (s *screen) note(words string) {
	s.clear(true)
	fmt.Fprintln(s.w, words)
}

func (s *screen) clear(over bool) {
	if over && s.bar != nil {
		_ = s.bar.Clear()
	}
}
