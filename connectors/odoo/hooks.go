package odoo

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"towpath/connectors/odoo/rpc"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// The models of Odoo's automation rules.
const (
	ruleModel   = "base.automation"
	actionModel = "ir.actions.server"
)

// hookTriggers are when a rule nudges. Deletions have a trigger of their own.
var hookTriggers = []string{"on_create_or_write", "on_unlink"}

// Hook is an automation rule in Odoo that nudges Towpath, and its state in a word:
// installed, missing, off, elsewhere (it nudges another address) or foreign (of a
// model that is not watched any more).
type Hook struct{ Model, Trigger, State string }

// hook is one with its records in Odoo.
type hook struct {
	Hook
	rule, action int64
}

func (c *Connector) hookXID(part, model, trigger string) string {
	return record.XID(c.system, "hook", part, model, trigger)
}

// InstallHooks makes one automation rule per watched model and trigger, whose
// webhook action sends to the secret address below public. It may be called
// again, and mends what was changed; rules of models that are not watched any
// more are removed. The user must be an administrator of settings.
//
// Faults: odoo.no_webhook_actions (Unsupported) before Odoo 17.
func (c *Connector) InstallHooks(ctx context.Context, public string) ([]Hook, error) {
	if c.cfg.Events != eventsAutomation {
		return nil, fault.New(fault.Invalid, "odoo.hooks_unwanted", "the connection's events do not come by automation").
			WithField("events").WithResolution("set the connection's events to automation and its events_models, apply that, then install the rules")
	}
	found, err := c.hooks(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.dropHooks(ctx, slices.DeleteFunc(slices.Clone(found), c.watches)); err != nil {
		return nil, err
	}
	var rules, actions [][]any
	for _, model := range c.cfg.eventModels() {
		number, err := c.modelNumber(ctx, model)
		if err != nil {
			return nil, err
		}
		for _, trigger := range hookTriggers {
			name := fmt.Sprintf("Towpath %s: %s %s", c.system, model, trigger)
			rule := c.hookXID("rule", model, trigger)
			rules = append(rules, []any{rule, name, number, trigger, "1"})
			actions = append(actions, []any{c.hookXID("action", model, trigger), name, number, "webhook", c.EventsAddress(public), "base_automation", rule})
		}
	}
	if err := c.loadHooks(ctx, ruleModel, []string{"id", "name", "model_id/.id", "trigger", "active"}, rules); err != nil {
		return nil, err
	}
	if err := c.loadHooks(ctx, actionModel, []string{"id", "name", "model_id/.id", "state", "webhook_url", "usage", "base_automation_id/id"}, actions); err != nil {
		return nil, err
	}
	return c.HooksStatus(ctx, public)
}

func (c *Connector) loadHooks(ctx context.Context, model string, fields []string, rows [][]any) error {
	result, err := c.rpc.Load(ctx, model, fields, rows, nil)
	if err != nil {
		return hooksFault(err)
	}
	perRow, err := result.Judge(len(rows))
	return firstError(append([]error{err}, perRow...)...)
}

// HooksStatus compares the rules in Odoo with those that are wanted.
func (c *Connector) HooksStatus(ctx context.Context, public string) ([]Hook, error) {
	found, err := c.hooks(ctx)
	if err != nil {
		return nil, err
	}
	var all []Hook
	for _, model := range c.cfg.eventModels() {
		for _, trigger := range hookTriggers {
			all = append(all, Hook{model, trigger, "missing"})
		}
	}
	for _, h := range found {
		at := slices.IndexFunc(all, func(w Hook) bool { return w.Model == h.Model && w.Trigger == h.Trigger })
		if at < 0 {
			all = append(all, Hook{h.Model, h.Trigger, "foreign"})
			continue
		}
		if all[at].State, err = c.hookState(ctx, h, public); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (c *Connector) hookState(ctx context.Context, h hook, public string) (string, error) {
	var rules []struct{ Active bool }
	var actions []struct {
		URL   rpc.Text     `json:"webhook_url"`
		State rpc.Text     `json:"state"`
		Rule  rpc.Many2One `json:"base_automation_id"`
	}
	if err := c.rpc.Read(ctx, ruleModel, []int64{h.rule}, []string{"active"}, &rules); err != nil {
		return "", hooksFault(err)
	}
	if err := c.rpc.Read(ctx, actionModel, slices.DeleteFunc([]int64{h.action}, func(id int64) bool { return id == 0 }), []string{"webhook_url", "state", "base_automation_id"}, &actions); err != nil {
		return "", hooksFault(err)
	}
	switch {
	case len(rules) == 0 || len(actions) == 0 || actions[0].Rule.ID != h.rule:
		return "missing", nil
	case !rules[0].Active:
		return "off", nil
	case string(actions[0].URL) != c.EventsAddress(public) || actions[0].State != "webhook":
		return "elsewhere", nil
	}
	return "installed", nil
}

// RemoveHooks removes all rules of this connection, and those only.
func (c *Connector) RemoveHooks(ctx context.Context) (removed int, err error) {
	found, err := c.hooks(ctx)
	if err != nil {
		return 0, err
	}
	return len(found), c.dropHooks(ctx, found)
}

func (c *Connector) dropHooks(ctx context.Context, hooks []hook) error {
	var rules, actions []int64
	for _, h := range hooks {
		if h.action != 0 {
			actions = append(actions, h.action)
		}
		if h.rule != 0 {
			rules = append(rules, h.rule)
		}
	}
	for _, drop := range []struct {
		model string
		ids   []int64
	}{{actionModel, actions}, {ruleModel, rules}} {
		if len(drop.ids) == 0 {
			continue
		}
		if err := c.rpc.Unlink(ctx, drop.model, drop.ids); err != nil && !fault.Is(err, fault.NotFound) {
			return hooksFault(err)
		}
	}
	return nil
}

func (c *Connector) watches(h hook) bool { return slices.Contains(c.cfg.eventModels(), h.Model) }

// hooks finds the rules that this connection made, by their external ids.
func (c *Connector) hooks(ctx context.Context) (found []hook, err error) {
	server, err := c.rpc.Server(ctx)
	if err != nil {
		return nil, err
	}
	if server.Major < 17 {
		return nil, fault.New(fault.Unsupported, "odoo.no_webhook_actions", "Odoo %d has no webhook actions: they came with 17", server.Major).
			WithResolution("set the connection's events to polling, which needs nothing in Odoo, or to outbox with the module")
	}
	module, prefix, _ := strings.Cut(record.XID(c.system, "hook", ""), ".")
	var named []struct {
		Name  string `json:"name"`
		Model string `json:"model"`
		ID    int64  `json:"res_id"`
	}
	domain := []any{is("module", "=", module), is("model", "in", []any{ruleModel, actionModel})}
	if err := c.rpc.SearchRead(ctx, "ir.model.data", domain, []string{"name", "model", "res_id"}, rpc.Query{Order: "id"}, &named); err != nil {
		return nil, hooksFault(err)
	}
	for _, n := range named {
		rest, ours := strings.CutPrefix(n.Name, prefix)
		part, rest, whole := strings.Cut(rest, ".")
		model, trigger, parted := strings.Cut(rest, ".")
		if !ours || !whole || !parted {
			continue
		}
		h := Hook{Model: strings.NewReplacer("%2E", ".", "%5F", "_").Replace(model), Trigger: strings.NewReplacer("%5F", "_").Replace(trigger)}
		at := slices.IndexFunc(found, func(f hook) bool { return f.Model == h.Model && f.Trigger == h.Trigger })
		if at < 0 {
			at, found = len(found), append(found, hook{Hook: h})
		}
		if part == "rule" {
			found[at].rule = n.ID
		} else {
			found[at].action = n.ID
		}
	}
	return found, nil
}

func (c *Connector) modelNumber(ctx context.Context, model string) (int64, error) {
	found, err := c.rpc.Search(ctx, "ir.model", []any{is("model", "=", model)}, rpc.Query{Limit: 1})
	if err != nil {
		return 0, hooksFault(err)
	}
	if len(found) == 0 {
		return 0, fault.New(fault.NotFound, "odoo.model_missing", "this Odoo has no model %s", model).WithField("events_models").
			WithResolution("correct the connection's events_models, or install the Odoo module that brings it")
	}
	return found[0], nil
}

func hooksFault(err error) error {
	switch f := fault.Of(err); {
	case f == nil:
		return nil
	case f.Code == "odoo.access_error" || f.Code == "odoo.forbidden":
		return fault.New(fault.Unauthorized, "odoo.hooks_forbidden", "this user may not see or change automation rules").
			WithResolution("let an administrator of settings do it once: --as LOGIN --password-stdin; the connection's own user needs no such right").WithDetail(f.Detail).WithCause(err)
	case f.Code == "odoo.model_missing" && f.Field == "":
		return fault.New(fault.Unsupported, "odoo.no_automation", "this Odoo has no automation rules").
			WithResolution("install Odoo's app Automation Rules (base_automation), or set the connection's events to polling").WithDetail(f.Detail).WithCause(err)
	}
	return err
}
