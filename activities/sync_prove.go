package activities

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

// ProveSync ends a run: it compares what was done with what the source says it
// has, and only then says success and moves the watermark (promise 5,
// TestPromise5). Asked again, it tells how the run ended.
func (s *Syncs) ProveSync(ctx context.Context, in contract.SyncEnding) (contract.SyncResult, error) {
	ctx, done := untilStop(ctx)
	defer done()
	defer beat(ctx)()
	result, err := s.prove(ctx, in)
	if err == nil {
		result.Conflicts, err = s.waiting(ctx, in.Job)
	}
	e := s.Log.Info()
	if err != nil {
		e = s.Log.Warn().Str("fault", fault.Of(err).Code)
	}
	e.Str("job", in.Job).Str("run", in.Run).Str("status", result.Status).Str("sentence", result.Sentence).Msg("sync run ended")
	return result, toTemporal(err)
}

func (s *Syncs) prove(ctx context.Context, in contract.SyncEnding) (contract.SyncResult, error) {
	run, err := s.Store.Run(ctx, in.Run)
	if fault.Is(err, fault.NotFound) { // it was never opened
		return contract.SyncResult{Status: string(jobs.Failed), Sentence: in.Message}, nil
	}
	if err != nil {
		return contract.SyncResult{}, err
	}
	if run.Status != string(jobs.Running) {
		result := contract.SyncResult{Status: run.Status, Sentence: run.Sentence}
		return result, json.Unmarshal(run.Counts, &result.Counts)
	}
	var e store.Ending
	if in.Aborted || in.Fault != "" {
		e, err = s.giveUp(ctx, run, in)
	} else {
		e, err = s.conclude(ctx, run)
	}
	if err != nil {
		return contract.SyncResult{}, err
	}
	if err := s.Store.EndRun(ctx, run.ID, e); err != nil {
		return contract.SyncResult{}, err
	}
	return contract.SyncResult{Status: e.Status, Sentence: e.Sentence, Counts: e.Counts}, nil
}

// giveUp ends a run that a person or a fault ended. What it settled stays.
func (s *Syncs) giveUp(ctx context.Context, run store.Run, in contract.SyncEnding) (store.Ending, error) {
	counts, err := s.Store.Totals(ctx, run.ID, 0, lastLane)
	if err != nil {
		return store.Ending{}, err
	}
	e := store.Ending{Status: string(jobs.Failed), Code: in.Fault, Counts: jobs.CountsOf(counts).Named(), Sentence: in.Message}
	if in.Aborted {
		e.Status, e.Code = string(jobs.Stopped), ""
		if e.Sentence == "" { // not cancelled in Temporal, which knows no names
			e.Sentence = "stopped by " + cmp.Or(run.AskedBy.String, "nobody known")
			if why := run.AskedWhy.String; why != "" {
				e.Sentence += ": " + why
			}
		}
	}
	if r, err := s.load(ctx, run); err == nil {
		_ = r.sinkDrop(ctx) // else it is swept away with time
	}
	return e, nil
}

// conclude proves a run that was read to its end.
func (s *Syncs) conclude(ctx context.Context, run store.Run) (store.Ending, error) {
	r, err := s.load(ctx, run)
	if err != nil {
		return store.Ending{}, err
	}
	var after int64
	proof := jobs.Proof{Complete: true}
	var sentences []string
	if r.isOrders() {
		if proof, after, err = r.proveOrders(ctx); err != nil {
			return store.Ending{}, err
		}
		sentences = append(sentences, proof.Sentence)
	}
	for _, f := range r.flows {
		p, counted, err := r.proveFlow(ctx, f)
		if err != nil {
			return store.Ending{}, err
		}
		after += counted
		proof.Complete = proof.Complete && p.Complete
		if p.Sentence != "" {
			sentences = append(sentences, p.Sentence)
		}
		if again, err := r.repeated(ctx, f); err != nil {
			return store.Ending{}, err
		} else if again > 0 {
			sentences = append(sentences, fmt.Sprintf("%d records of the source came again under an id that it had given already: the last one holds", again))
		}
	}
	named, err := s.Store.Totals(ctx, run.ID, 0, lastLane)
	if err != nil {
		return store.Ending{}, err
	}
	counts := jobs.CountsOf(named)
	status := jobs.Conclude(counts, proof, false, nil)
	if !proof.Complete { // half an export is none
		if err := r.sinkDrop(ctx); err != nil {
			return store.Ending{}, err
		}
	} else if where, err := r.sinkDone(ctx); err != nil {
		return store.Ending{}, err
	} else if where != "" {
		sentences = append(sentences, "written to "+where)
	}
	if r.dry() {
		sentences = append(sentences, "nothing was written: this is a plan")
	}
	if proof.Complete && run.Purpose == contract.PurposeSync && !r.named() {
		// Lines that cannot be read are met by every reading, whatever its window.
		if err := s.Store.ClearVanished(ctx, r.row, run.ID, run.Since.Valid); err != nil {
			return store.Ending{}, err
		}
	}
	moved := jobs.NextWatermark(jobs.Mode(run.Mode), status, counts, r.row.Watermark.Time, run.SourceNow)
	report, err := r.report(ctx, named)
	if err != nil {
		return store.Ending{}, err
	}
	return store.Ending{
		Status: string(status), Sentence: strings.Join(sentences, "; "), CountedAfter: after, Counts: counts.Named(), Report: report,
		Proved: run.Purpose == contract.PurposeSync && !r.named() && !moved.IsZero() && moved.Equal(run.SourceNow),
	}, nil
}

// proveFlow compares a flow's counts with themselves and with its source.
func (r *syncRun) proveFlow(ctx context.Context, f *syncFlow) (p jobs.Proof, after int64, err error) {
	counts, err := r.flowCounts(ctx, f)
	if err != nil {
		return p, 0, err
	}
	if r.named() {
		return jobs.Prove(counts, counts.Fetched, counts.Fetched, jobs.NoSweep), counts.Fetched, nil
	}
	q := r.query(f)
	if after, err = f.from.source.CountRecords(ctx, q); err != nil {
		return p, 0, err
	}
	before := r.plan.Flows[f.n].Counted
	if p = jobs.Prove(counts, before, after, jobs.NoSweep); !p.NeedsSweep {
		return p, after, nil
	}
	lister, ok := f.from.door.(connectors.RecordIDs)
	if !ok {
		p.Sentence += fmt.Sprintf(", which %q cannot give", f.from.name)
		return p, after, nil
	}
	expected, limit, err := r.sweep(ctx, f, lister, q)
	if err != nil {
		return p, after, err
	}
	if counts, err = r.flowCounts(ctx, f); err != nil {
		return p, after, err
	}
	if p = jobs.Prove(counts, before, after, expected); limit != "" {
		p.Complete = false
		p.Sentence += "; the sweep stopped short of a limit: " + limit + ". The next run reads them again, and asks"
	}
	return p, after, nil
}

// repeated is how many records a source gave under ids that it had given already, as a
// file may; one that can be asked for its records by id gives each once.
func (r *syncRun) repeated(ctx context.Context, f *syncFlow) (again int64, err error) {
	if f.from.target != nil || r.named() {
		return 0, nil
	}
	read, base := idSet{}, f.n*lanesPerFlow
	err = r.Store.PageIDs(ctx, r.run.ID, base, base+extraLanes-1, read.add)
	all := int64(len(read.hashes))
	read.sort()
	return all - read.size(), err
}

// flowCounts are those of the lanes that part the window, and of the sweep.
func (r *syncRun) flowCounts(ctx context.Context, f *syncFlow) (sum jobs.Counts, err error) {
	base := f.n * lanesPerFlow
	for _, lanes := range [][2]int{{base, base + extraLanes - 1}, {base + sweptLane, base + plannedLane}} {
		named, err := r.Store.Totals(ctx, r.run.ID, lanes[0], lanes[1])
		if err != nil {
			return sum, err
		}
		sum = sum.Add(jobs.CountsOf(named))
	}
	return sum, nil
}

// sweep compares the ids of the window with those that were read, and reads
// what was missed. It gives the number of records that should have been read. The
// job's limits hold here, too: nobody can be asked any more, so what is beyond them
// stays unread, and limit says which one it was.
func (r *syncRun) sweep(ctx context.Context, f *syncFlow, lister connectors.RecordIDs, q connectors.RecordQuery) (expected int64, limit string, err error) {
	base := f.n * lanesPerFlow
	read := idSet{}
	for _, lanes := range [][2]int{{base, base + extraLanes - 1}, {base + sweptLane, base + sweptLane}} {
		if err := r.Store.PageIDs(ctx, r.run.ID, lanes[0], lanes[1], read.add); err != nil {
			return 0, "", err
		}
	}
	read.sort()
	w := &laneWork{syncRun: r, began: r.Now()}
	if _, err := w.recount(ctx); err != nil {
		return 0, "", err
	}
	number, _, _, err := r.Store.Resume(ctx, r.run.ID, base+sweptLane)
	if err != nil {
		return 0, "", err
	}
	missed := int64(0)
	for after := ""; ; {
		ids, next, err := lister.ReadIDs(ctx, q, after, connectors.MaxIDs)
		if err != nil {
			return 0, "", err
		}
		var missing []string
		for _, id := range ids {
			if !read.has(id) {
				missing = append(missing, id)
			}
		}
		for len(missing) > 0 && f.from.target != nil {
			n := min(len(missing), maxPageRecords)
			found, err := w.catchUp(ctx, f, lanePlan{Lane: base + sweptLane}, number, missing[:n])
			if stop := (*stopped)(nil); errors.As(err, &stop) {
				return read.size() + missed + int64(len(missing)), stop.reason, nil
			}
			if err != nil {
				return 0, "", err
			}
			number++
			missed += found // the others are gone by now
			missing = missing[n:]
		}
		missed += int64(len(missing))
		if next == "" {
			return read.size() + missed, "", nil
		}
		after = next
	}
}

// catchUp does a page of records that the lanes did not meet.
func (w *laneWork) catchUp(ctx context.Context, f *syncFlow, lane lanePlan, number int, ids []string) (found int64, err error) {
	p := &syncPage{syncRun: w.syncRun, flow: f, lane: lane, number: number}
	records, err := f.from.byID(ctx, ids, w.readFields(f.from))
	if err != nil || len(records) == 0 {
		return 0, err
	}
	p.add(connectors.RecordPage{Records: records})
	if err := p.prepare(ctx); err != nil {
		return 0, err
	}
	return int64(len(records)), w.carry(ctx, p)
}
