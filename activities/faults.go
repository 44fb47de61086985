package activities

import (
	"errors"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"

	"towpath/schema/fault"
)

// toTemporal is the table fault -> Temporal error. Only what a retry can help
// leaves an activity as an error; everything else has become an outcome. The
// message is the public one: failures are shown in the UI and kept in history.
func toTemporal(err error) error {
	if err == nil {
		return nil
	}
	var canceled *temporal.CanceledError
	if errors.As(err, &canceled) {
		return err
	}
	f := fault.Of(err)
	opt := temporal.ApplicationErrorOptions{NonRetryable: !fault.Retryable(f)}
	if f.Kind == fault.RateLimited {
		// Who limits us without saying for how long gets the growing gaps of
		// the retry policy, not the shortest one again and again.
		if f.After > 0 {
			opt.NextRetryDelay = clamp(f.After, time.Second, 10*time.Minute)
		}
		opt.Category = temporal.ApplicationErrorCategoryBenign
	}
	message := f.Message
	if f.Resolution != "" {
		message += "; " + f.Resolution
	}
	return temporal.NewApplicationErrorWithOptions(cut(message, 500), f.Code, opt)
}

func clamp(d, lo, hi time.Duration) time.Duration {
	return max(lo, min(d, hi))
}

// cut keeps at most n bytes, and runes whole: Temporal takes valid UTF-8 only,
// and a failure that cannot be sent would be reported never.
func cut(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "")
}
