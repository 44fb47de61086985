package shopify

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Scopes that orders need, and the one that lifts the 60 days' limit.
var neededScopes = []string{"read_orders", "read_customers"}

const (
	allOrders  = "read_all_orders"
	visibleFor = 60 * 24 * time.Hour
	scopesKeep = 10 * time.Minute
)

// scopeCache keeps what the app was granted, which changes rarely.
type scopeCache struct {
	mu      sync.Mutex
	granted []string
	readAt  time.Time
}

func (c *Connector) grantedScopes(ctx context.Context, fresh bool) ([]string, error) {
	c.scopes.mu.Lock()
	granted, readAt := c.scopes.granted, c.scopes.readAt
	c.scopes.mu.Unlock()
	if !fresh && !readAt.IsZero() && c.now().Sub(readAt) < scopesKeep {
		return granted, nil
	}
	var out struct {
		App struct {
			Scopes []struct {
				Handle string `json:"handle"`
			} `json:"accessScopes"`
		} `json:"currentAppInstallation"`
	}
	if _, err := c.api.run(ctx, c.docs.scopes, "", nil, &out); err != nil {
		return nil, err
	}
	granted = nil
	for _, s := range out.App.Scopes {
		granted = append(granted, s.Handle)
	}
	c.scopes.mu.Lock()
	defer c.scopes.mu.Unlock()
	c.scopes.granted, c.scopes.readAt = granted, c.now()
	return granted, nil
}

// horizon is the oldest order that the app can see; zero if unlimited.
func (c *Connector) horizon(ctx context.Context, sourceNow time.Time) (time.Time, error) {
	granted, err := c.grantedScopes(ctx, false)
	if err != nil || slices.Contains(granted, allOrders) {
		return time.Time{}, err
	}
	if sourceNow.IsZero() {
		sourceNow = c.now().UTC()
	}
	return sourceNow.Add(-visibleFor), nil
}
