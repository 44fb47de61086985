package store

// The statements of the hot path, for the test that looks at their plans.
const (
	ClaimDueSQL = claimDueSQL
	BeginSQL    = beginSQL
)

// TranslateForTest is the table PostgreSQL -> fault.
var TranslateForTest = translate
