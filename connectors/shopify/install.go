package shopify

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"towpath/schema/fault"
)

// subscription is one webhook subscription of our app in the shop.
type subscription struct {
	ID            string   `json:"id"`
	Topic         string   `json:"topic"`
	URI           string   `json:"uri"`
	Format        string   `json:"format"`
	Filter        string   `json:"filter"`
	IncludeFields []string `json:"includeFields"`
}

// EnsureHooks makes the subscriptions that orders need deliver to callbackURL,
// and returns what it had to do, as "created ORDERS_PAID" or "repaired
// ORDERS_PAID". A subscription is ours when its address has callbackURL's path,
// which names the connection; its host may be an earlier one of ours. All
// others are left alone.
func (c *Connector) EnsureHooks(ctx context.Context, callbackURL string) (changed []string, err error) {
	callback, err := url.Parse(callbackURL)
	if err != nil || callback.Host == "" || callback.Path == "" || callback.Path == "/" {
		return nil, fault.New(fault.Invalid, "shopify.callback", "the callback must be a whole address with the connection's path").WithField("callback_url")
	}
	if callback.Scheme != "https" && c.config.APIURL == "" {
		return nil, fault.New(fault.Invalid, "shopify.callback", "Shopify delivers to https addresses only").WithField("callback_url").
			WithResolution("set the public address of Towpath to an https one")
	}
	all, err := c.subscriptions(ctx)
	if err != nil {
		return nil, err
	}
	for _, topic := range wantedTopics {
		did, err := c.ensureHook(ctx, topic, callbackURL, ours(all, topic, callback))
		if err != nil {
			return changed, err
		}
		if did != "" {
			changed = append(changed, did+" "+topic)
		}
	}
	return changed, nil
}

// ours gives our subscriptions to a topic, the one at the right address first.
func ours(all []subscription, topic string, callback *url.URL) []subscription {
	var mine []subscription
	for _, s := range all {
		at, err := url.Parse(s.URI)
		if err == nil && s.Topic == topic && strings.HasPrefix(at.Scheme, "http") && at.Path == callback.Path {
			mine = append(mine, s)
		}
	}
	slices.SortStableFunc(mine, func(a, b subscription) int {
		switch right := callback.String(); {
		case a.URI == right && b.URI != right:
			return -1
		case b.URI == right && a.URI != right:
			return 1
		}
		return 0
	})
	return mine
}

func (c *Connector) ensureHook(ctx context.Context, topic, callbackURL string, mine []subscription) (did string, err error) {
	if len(mine) == 0 {
		return "created", c.save(ctx, c.docs.createHook, topic, map[string]any{"topic": topic, "uri": callbackURL})
	}
	s := mine[0]
	if s.URI == callbackURL && s.Format == "JSON" && s.Filter == "" && len(s.IncludeFields) == 0 {
		return "", nil
	}
	return "repaired", c.save(ctx, c.docs.updateHook, topic, map[string]any{"id": s.ID, "uri": callbackURL})
}

func (c *Connector) save(ctx context.Context, op operation, topic string, vars map[string]any) error {
	var out struct {
		Saved struct {
			UserErrors []struct {
				Message string `json:"message"`
			} `json:"userErrors"`
		} `json:"saved"`
	}
	if _, err := c.api.run(ctx, op, "", vars, &out); err != nil {
		return err
	}
	for _, e := range out.Saved.UserErrors {
		// Somebody else, perhaps another of our processes, was faster.
		if strings.Contains(e.Message, "already been taken") {
			continue
		}
		return fault.New(fault.Invalid, "shopify.hook_refused", "Shopify refuses the webhook subscription").WithFamily(topic).
			WithResolution("check that the app has the scope of the topic and that the callback address is public").WithDetail(topic + ": " + e.Message)
	}
	return nil
}

func (c *Connector) subscriptions(ctx context.Context) (all []subscription, err error) {
	for after := ""; ; {
		var out struct {
			Hooks list[subscription] `json:"webhookSubscriptions"`
		}
		if _, err := c.api.run(ctx, c.docs.hooks, "", map[string]any{"after": nullable(after)}, &out); err != nil {
			return nil, err
		}
		all = append(all, out.Hooks.Items...)
		if page := out.Hooks.Page; page.HasNextPage && page.EndCursor != after {
			after = page.EndCursor
			continue
		}
		return all, nil
	}
}
