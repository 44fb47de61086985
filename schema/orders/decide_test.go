package orders

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/record"
)

func with(change func(*record.Order)) record.Order {
	o := sale()
	change(&o)
	return o
}

func status(s record.PaymentStatus) func(*record.Order) {
	return func(o *record.Order) { o.PaymentStatus = s }
}

func cancelled(o *record.Order) { o.CancelledAt = pointer(later) }

func TestDecideForOrdersThatTheTargetDoesNotHave(t *testing.T) {
	sevenDays := Rules{CancelUnpaidAfterDays: 7}
	deadline := placed.AddDate(0, 0, 7)
	tests := map[string]struct {
		rules Rules
		order record.Order
		now   time.Time
		want  Decision
	}{
		"paid":                     {order: sale(), want: Decision{Action: Import, Reason: "new", Confirm: true}},
		"partially refunded":       {order: with(status(record.PaymentPartiallyRefunded)), want: Decision{Action: Import, Reason: "new", Confirm: true}},
		"free of charge":           {order: with(func(o *record.Order) { o.PaymentStatus = ""; o.Total = dec("0") }), want: Decision{Action: Import, Reason: "new", Confirm: true}},
		"not paid":                 {order: with(status(record.PaymentPending)), want: Decision{Action: Wait, Reason: "not_paid"}},
		"not paid, with deadline":  {rules: sevenDays, order: with(status(record.PaymentPending)), want: Decision{Action: Wait, Reason: "not_paid", WakeAt: deadline}},
		"deadline reached":         {rules: sevenDays, order: with(status(record.PaymentPending)), now: deadline, want: Decision{Action: Skip, Reason: "unpaid_deadline"}},
		"authorised has none":      {rules: sevenDays, order: with(status(record.PaymentAuthorized)), now: deadline, want: Decision{Action: Wait, Reason: "not_paid"}},
		"always, unpaid":           {rules: Rules{Import: Always}, order: with(status(record.PaymentPending)), want: Decision{Action: Import, Reason: "new"}},
		"always, with deadline":    {rules: Rules{Import: Always, CancelUnpaidAfterDays: 7}, order: with(status(record.PaymentPending)), want: Decision{Action: Import, Reason: "new", WakeAt: deadline}},
		"confirm always":           {rules: Rules{Import: Always, Confirm: Always}, order: with(status(record.PaymentPending)), want: Decision{Action: Import, Reason: "new", Confirm: true}},
		"confirm never":            {rules: Rules{Confirm: Never}, order: sale(), want: Decision{Action: Import, Reason: "new"}},
		"never":                    {rules: Rules{Import: Never}, order: sale(), want: Decision{Action: Skip, Reason: "policy_never"}},
		"cancelled":                {order: with(cancelled), want: Decision{Action: Skip, Reason: "cancelled_before_import"}},
		"deleted":                  {order: record.Order{ExternalID: "5001", Deleted: true}, want: Decision{Action: Skip, Reason: "deleted_before_import"}},
		"voided":                   {order: with(status(record.PaymentVoided)), want: Decision{Action: Skip, Reason: "payment_voided"}},
		"expired":                  {rules: Rules{Import: Always}, order: with(status(record.PaymentExpired)), want: Decision{Action: Skip, Reason: "payment_expired"}},
		"refunded":                 {order: with(status(record.PaymentRefunded)), want: Decision{Action: Skip, Reason: "refunded_before_import"}},
		"test":                     {order: with(func(o *record.Order) { o.Test = true }), want: Decision{Action: Skip, Reason: "test_order"}},
		"test wanted":              {rules: Rules{ImportTestOrders: true}, order: with(func(o *record.Order) { o.Test = true }), want: Decision{Action: Import, Reason: "new", Confirm: true}},
		"too old":                  {rules: Rules{ImportFrom: "2026-03-02"}, order: sale(), want: Decision{Action: Skip, Reason: "before_import_from"}},
		"just young enough":        {rules: Rules{ImportFrom: "2026-03-01T11:00:00+01:00"}, order: sale(), want: Decision{Action: Import, Reason: "new", Confirm: true}},
		"no lines":                 {order: with(func(o *record.Order) { o.Lines = nil }), want: Decision{Action: Skip, Reason: "no_lines"}},
		"all lines of quantity 0 ": {order: with(func(o *record.Order) { o.Lines = o.Lines[:1]; o.Lines[0].Quantity = dec("0") }), want: Decision{Action: Skip, Reason: "no_lines"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if tt.now.IsZero() {
				tt.now = later
			}
			assert.Equal(t, tt.want, Decide(tt.rules, tt.order, nil, tt.now))
		})
	}
}

func TestDecideForOrdersThatTheTargetHas(t *testing.T) {
	draft := record.OrderState{ID: "9", Stage: record.StageDraft}
	confirmed := record.OrderState{ID: "9", Stage: record.StageConfirmed}
	gone := record.OrderState{ID: "9", Stage: record.StageCancelled}
	locked := record.OrderState{ID: "9", Stage: record.StageConfirmed, Locked: true}
	shipped := record.OrderState{ID: "9", Stage: record.StageConfirmed, Lines: []record.LineState{{Delivered: dec("1")}}}
	invoiced := record.OrderState{ID: "9", Stage: record.StageConfirmed, Invoiced: true}
	deadline := placed.AddDate(0, 0, 7)

	tests := map[string]struct {
		rules  Rules
		order  record.Order
		bound  record.OrderState
		now    time.Time
		action Action
		reason string
	}{
		"changed draft":            {order: sale(), bound: draft, action: Edit, reason: "changed"},
		"changed confirmed":        {order: sale(), bound: confirmed, action: Edit, reason: "changed"},
		"policy changed to never":  {rules: Rules{Import: Never}, order: sale(), bound: draft, action: Edit, reason: "changed"},
		"cancelled":                {order: with(cancelled), bound: confirmed, action: Cancel, reason: "cancelled_in_shop"},
		"cancelled, parks":         {rules: Rules{OnCancel: ParkIt}, order: with(cancelled), bound: confirmed, action: Park, reason: "cancelled_in_shop"},
		"cancelled, delivered":     {order: with(cancelled), bound: shipped, action: Park, reason: "cancel_after_delivery"},
		"cancelled, invoiced":      {order: with(cancelled), bound: invoiced, action: Park, reason: "cancel_after_invoice"},
		"cancelled, locked":        {order: with(cancelled), bound: locked, action: Park, reason: "locked_in_target"},
		"cancelled on both sides":  {order: with(cancelled), bound: gone, action: Nothing, reason: "already_cancelled"},
		"cancelled in target only": {order: sale(), bound: gone, action: Park, reason: "cancelled_in_target"},
		"deleted":                  {order: record.Order{ExternalID: "5001", Deleted: true}, bound: draft, action: Cancel, reason: "deleted_in_shop"},
		"emptied":                  {order: with(func(o *record.Order) { o.Lines = nil }), bound: confirmed, action: Cancel, reason: "lines_removed"},
		"still unpaid":             {rules: Rules{CancelUnpaidAfterDays: 7}, order: with(status(record.PaymentPending)), bound: draft, action: Edit, reason: "changed"},
		"unpaid for too long":      {rules: Rules{CancelUnpaidAfterDays: 7}, order: with(status(record.PaymentPending)), bound: draft, now: deadline, action: Cancel, reason: "unpaid_deadline"},
		"voided draft":             {order: with(status(record.PaymentVoided)), bound: draft, action: Edit, reason: "changed"},
		"voided after confirm":     {order: with(status(record.PaymentVoided)), bound: confirmed, action: Park, reason: "payment_lost"},
		"refund without return":    {order: with(status(record.PaymentRefunded)), bound: confirmed, action: Edit, reason: "changed"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if tt.now.IsZero() {
				tt.now = later
			}
			d := Decide(tt.rules, tt.order, &tt.bound, tt.now)
			assert.Equal(t, tt.action, d.Action)
			assert.Equal(t, tt.reason, d.Reason)
			assert.Equal(t, tt.action == Park, d.Fault != nil)
			if d.Fault != nil {
				assert.Equal(t, "orders."+tt.reason, d.Fault.Code)
				assert.NotEmpty(t, d.Fault.Resolution)
			}
		})
	}

	d := Decide(Rules{CancelUnpaidAfterDays: 7}, with(status(record.PaymentPending)), &draft, later)
	assert.Equal(t, deadline, d.WakeAt, "an unpaid draft is looked at again at its deadline")
	assert.True(t, Decide(Rules{}, sale(), &draft, later).Confirm)
	assert.False(t, Decide(Rules{}, sale(), &confirmed, later).Confirm, "nothing left to confirm")
}

// stateOf is what a target holds after it wrote a row.
func stateOf(row record.OrderRow, stage record.Stage) record.OrderState {
	s := record.OrderState{ID: "9", Stage: stage, Currency: row.Currency}
	for _, l := range row.Lines {
		s.Lines = append(s.Lines, record.LineState{ProductID: l.ProductID, Quantity: l.Quantity, UnitPrice: l.UnitPrice})
	}
	return s
}

func planned(t *testing.T, o record.Order) record.OrderRow {
	t.Helper()
	taxes, f := MatchTaxes(Rules{}, french(), o)
	require.Nil(t, f)
	row, f := Plan(Rules{}, french(), o, resolve(o, taxes))
	require.Nil(t, f)
	return row
}

func TestDecideEdit(t *testing.T) {
	row := planned(t, sale())
	fewer := planned(t, with(func(o *record.Order) {
		o.Lines[0].Quantity = dec("1")
		o.Lines[0].Taxes[0].Amount = dec("3.98")
	}))
	cheaper := planned(t, with(func(o *record.Order) {
		o.Lines[0].UnitPrice = dec("18.99")
		o.Lines[0].Taxes[0].Amount = dec("11.37")
	}))
	dearer := planned(t, with(func(o *record.Order) {
		o.Lines[0].UnitPrice = dec("20.99")
		o.Lines[0].Taxes[0].Amount = dec("12.57")
	}))
	without := planned(t, with(func(o *record.Order) { o.Lines = o.Lines[1:] }))
	adopted := func(r record.OrderRow) record.OrderRow { r.XID, r.ID = "", "9"; return r }

	tests := map[string]struct {
		rules  Rules
		row    record.OrderRow
		stage  record.Stage
		state  func(*record.OrderState)
		stays  bool // deliveries stay
		action Action
		reason string
	}{
		"draft changes":            {row: fewer, stage: record.StageDraft, action: Edit, reason: "changed"},
		"confirmed, nothing left":  {row: fewer, stage: record.StageConfirmed, action: Edit, reason: "changed"},
		"confirmed, line removed":  {row: without, stage: record.StageConfirmed, action: Edit, reason: "changed"},
		"cancelled there":          {row: fewer, stage: record.StageCancelled, action: Park, reason: "cancelled_in_target"},
		"locked":                   {row: fewer, stage: record.StageConfirmed, state: lock, action: Park, reason: "locked_in_target"},
		"locked, same content":     {row: row, stage: record.StageConfirmed, state: lock, action: Nothing, reason: "same_content"},
		"same content, rounded":    {row: row, stage: record.StageConfirmed, state: both(lock, round), action: Nothing, reason: "same_content"},
		"zeroed lines don't count": {row: row, stage: record.StageConfirmed, state: both(lock, zeroed), action: Nothing, reason: "same_content"},
		"policy parks":             {rules: Rules{Edits: ParkIt}, row: fewer, stage: record.StageDraft, action: Park, reason: "edited_in_shop"},
		"policy, same content":     {rules: Rules{Edits: ParkIt}, row: row, stage: record.StageDraft, action: Edit, reason: "changed"},
		"below delivered":          {row: fewer, stage: record.StageConfirmed, state: deliver("2"), action: Park, reason: "below_delivered"},
		"removed, delivered":       {row: without, stage: record.StageConfirmed, state: deliver("1"), action: Park, reason: "below_delivered"},
		"as many as delivered":     {row: fewer, stage: record.StageConfirmed, state: deliver("1"), action: Edit, reason: "changed"},
		"below invoiced":           {row: fewer, stage: record.StageConfirmed, state: invoice("3"), action: Park, reason: "refund_due"},
		"cheaper, invoiced":        {row: cheaper, stage: record.StageConfirmed, state: invoice("3"), action: Park, reason: "refund_due"},
		"dearer, invoiced":         {row: dearer, stage: record.StageConfirmed, state: invoice("3"), action: Park, reason: "invoice_differs"},
		"dearer, not invoiced":     {row: dearer, stage: record.StageConfirmed, action: Edit, reason: "changed"},
		"old target, lowered":      {row: fewer, stage: record.StageConfirmed, stays: true, action: Park, reason: "delivery_by_hand"},
		"old target, dearer":       {row: dearer, stage: record.StageConfirmed, stays: true, action: Edit, reason: "changed"},
		"adopted, same":            {row: adopted(row), stage: record.StageDraft, action: Nothing, reason: "same_content"},
		"adopted, other prices":    {row: adopted(cheaper), stage: record.StageDraft, action: Nothing, reason: "same_content"},
		"adopted, fewer":           {row: adopted(fewer), stage: record.StageDraft, action: Park, reason: "adopted_differs"},
		"adopted, removed":         {row: adopted(without), stage: record.StageDraft, action: Park, reason: "adopted_differs"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			state := stateOf(row, tt.stage)
			if tt.state != nil {
				tt.state(&state)
			}
			terms := french()
			terms.DeliveriesStay = tt.stays
			d := DecideEdit(tt.rules, terms, Decision{Action: Edit, Reason: ReasonChanged, Confirm: true, WakeAt: later}, tt.row, state)
			assert.Equal(t, tt.action, d.Action)
			assert.Equal(t, tt.reason, d.Reason)
			assert.Equal(t, tt.action != Park, d.Confirm)
			if tt.action != Park {
				assert.Equal(t, later, d.WakeAt)
			}
		})
	}
}

func lock(s *record.OrderState) { s.Locked = true }

func round(s *record.OrderState) {
	s.Lines = append(s.Lines, record.LineState{ProductID: "104", Quantity: dec("1"), UnitPrice: dec("0.01")})
}

func zeroed(s *record.OrderState) {
	s.Lines = append(s.Lines, record.LineState{ProductID: "p99", UnitPrice: dec("5")})
}

func deliver(n string) func(*record.OrderState) {
	return func(s *record.OrderState) { s.Lines[0].Delivered = dec(n) }
}

func invoice(n string) func(*record.OrderState) {
	return func(s *record.OrderState) { s.Invoiced, s.Lines[0].Invoiced = true, dec(n) }
}

func both(a, b func(*record.OrderState)) func(*record.OrderState) {
	return func(s *record.OrderState) { a(s); b(s) }
}
