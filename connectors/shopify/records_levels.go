package shopify

import (
	"cmp"
	"context"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// Levels of stock are no list of their own in Shopify: each location has one.
// They are read location by location, and known by item and location, since the
// number in a level's own id is shared by all levels of a location
// (gid://shopify/InventoryLevel/<location's>?inventory_item_id=<item>).

// skuAtLocation is the key by which a stock of another system finds its level.
const skuAtLocation = "skuAtLocation"

// locationsKept is how long the list of locations is believed.
const locationsKept = time.Minute

type location struct {
	id   int64
	name string
}

// allLocations are the active ones, in order of id.
func (c *Connector) allLocations(ctx context.Context) (all []location, err error) {
	c.locations.mu.Lock()
	kept, readAt := c.locations.all, c.locations.readAt
	c.locations.mu.Unlock()
	if !readAt.IsZero() && c.now().Sub(readAt) < locationsKept {
		return kept, nil
	}
	for after := ""; ; {
		var out found
		if _, err := c.api.run(ctx, c.docs.records.locations, "", map[string]any{"after": nullable(after)}, &out); err != nil {
			return nil, err
		}
		if out.Found == nil {
			return nil, badAnswer(errors.New("no locations in the answer"))
		}
		for _, n := range out.Found.Items {
			id, err := number("location", n.number("id"))
			if err != nil {
				return nil, err
			}
			all = append(all, location{id, n.text("name")})
		}
		if page := out.Found.Page; !page.HasNextPage || page.EndCursor == after {
			break
		}
		after = out.Found.Page.EndCursor
	}
	slices.SortFunc(all, func(a, b location) int { return cmp.Compare(a.id, b.id) })
	c.locations.mu.Lock()
	defer c.locations.mu.Unlock()
	c.locations.all, c.locations.readAt = all, c.now()
	return all, nil
}

var locationTerm = regexp.MustCompile(`(?i)\blocation_id:"?([0-9]+)"?(\s+AND\b)?`)

// onlyLocations takes location_id:N off a filter: Shopify's levels know no such
// term, since each list is that of one location.
func onlyLocations(filter string) (rest string, only []int64) {
	for _, found := range locationTerm.FindAllStringSubmatch(filter, -1) {
		if n, err := strconv.ParseInt(found[1], 10, 64); err == nil {
			only = append(only, n)
		}
	}
	return strings.TrimSpace(locationTerm.ReplaceAllString(filter, "")), only
}

// levelCursor is "<location>/<Shopify's cursor within it>".
func parseLevelCursor(text string) (at int64, after string, err error) {
	if text == "" {
		return 0, "", nil
	}
	first, after, _ := strings.Cut(text, "/")
	at, err = number("after", first)
	return at, after, err
}

// readLevels gives a page of one location's levels; the next begins where it
// ends, or at the next location. Shopify's own cursors order levels by what
// never changes.
func (c *Connector) readLevels(ctx context.Context, m *recordModel, q connectors.RecordQuery, after string, limit int) (page connectors.RecordPage, err error) {
	if q.To != "" {
		return page, fault.New(fault.Unsupported, "shopify.no_lanes", "stock is read location by location and cannot be parted").WithField("to")
	}
	err = c.eachLevelPage(ctx, m, q, cmp.Or(after, q.From), limit, func(records []record.Sourced, next string) bool {
		page.Records, page.Next = records, next
		return len(records) == 0 // go on where nothing lies within the window
	})
	return page, err
}

func (c *Connector) eachLevelPage(ctx context.Context, m *recordModel, q connectors.RecordQuery, after string, limit int, visit func([]record.Sourced, string) bool) error {
	at, cursor, err := parseLevelCursor(after)
	if err != nil {
		return err
	}
	locations, err := c.allLocations(ctx)
	if err != nil {
		return err
	}
	filter, only := onlyLocations(q.Filter)
	terms := window(q, false)
	if filter != "" {
		terms = append(terms, "("+filter+")")
	}
	query := strings.Join(terms, " AND ")
	locations = slices.DeleteFunc(slices.Clone(locations), func(l location) bool {
		return l.id < at || len(only) > 0 && !slices.Contains(only, l.id)
	})
	for i, l := range locations {
		if l.id != at {
			cursor = ""
		}
		for more := true; more; {
			records, end, err := c.levelPage(ctx, m, q, l, query, cursor, limit)
			if err != nil {
				return err
			}
			next := ""
			switch {
			case end != "":
				next = strconv.FormatInt(l.id, 10) + "/" + end
			case i+1 < len(locations):
				next = strconv.FormatInt(locations[i+1].id, 10) + "/"
			}
			if !visit(records, next) {
				return nil
			}
			cursor, more = end, end != ""
		}
	}
	return nil
}

func (c *Connector) levelPage(ctx context.Context, m *recordModel, q connectors.RecordQuery, l location, query, cursor string, limit int) (records []record.Sourced, end string, err error) {
	var out struct {
		Location *found `json:"location"`
	}
	if _, err := c.paged(&c.sizes.levels, func(s pageSize) (reply, error) {
		out.Location = nil
		s.orders = min(s.orders, max(limit, 1))
		return c.api.run(ctx, c.docs.records.levels, s.key(), map[string]any{
			"location": gid("Location", strconv.FormatInt(l.id, 10)), "first": s.orders, "after": nullable(cursor),
			"query": nullable(query), "variant": wanted(q.Fields, "variant"),
		}, &out)
	}); err != nil {
		return nil, "", err
	}
	if out.Location == nil || out.Location.Found == nil { // closed since it was listed
		return nil, "", nil
	}
	for _, n := range out.Location.Found.Items {
		r, err := m.level(n, l, q.Fields)
		if err != nil {
			return nil, "", err
		}
		if within(q, r.Changed) {
			records = append(records, r)
		}
	}
	if page := out.Location.Found.Page; page.HasNextPage && page.EndCursor != cursor {
		end = page.EndCursor
	}
	return records, end, nil
}

// level is a level as it was read. Its node holds its item.
func (m *recordModel) level(n node, l location, fields []string) (record.Sourced, error) {
	n["location"] = map[string]any{"id": gid("Location", strconv.FormatInt(l.id, 10)), "name": l.name}
	r, err := m.sourced(n, n.number("item.id")+"@"+strconv.FormatInt(l.id, 10), fields)
	if sku := n.text("item.sku"); sku != "" && wanted(fields, skuAtLocation) {
		r.Values[skuAtLocation] = sku + "@" + l.name
	}
	return r, err
}

// eachLevel visits all levels of a query with the cursor after their page.
func (c *Connector) eachLevel(ctx context.Context, m *recordModel, q connectors.RecordQuery, after string, visit func(record.Sourced, string) bool) error {
	q.Fields = []string{"updatedAt"}
	return c.eachLevelPage(ctx, m, q, after, maxPage, func(records []record.Sourced, next string) bool {
		return !slices.ContainsFunc(records, func(r record.Sourced) bool { return !visit(r, next) })
	})
}

// readLevelIDs gives whole pages only, so that a cursor stands between them.
func (c *Connector) readLevelIDs(ctx context.Context, m *recordModel, q connectors.RecordQuery, after string, limit int) (ids []string, next string, err error) {
	q.Fields = []string{"updatedAt"}
	err = c.eachLevelPage(ctx, m, q, cmp.Or(after, q.From), min(limit, maxPage), func(records []record.Sourced, more string) bool {
		for _, r := range records {
			ids = append(ids, r.ID)
		}
		next = more
		return len(ids)+min(limit, maxPage) <= limit
	})
	return ids, next, err
}

// levelID reads "<item>@<location>".
func levelID(id string) (item, at string, err error) {
	item, at, ok := strings.Cut(id, "@")
	if ok {
		if _, err = number("id", item); err == nil {
			_, err = number("id", at)
		}
	}
	if !ok || err != nil {
		return "", "", fault.New(fault.Invalid, "shopify.bad_id", "a level of stock is known as item@location, both numbers").WithField("id")
	}
	return item, at, nil
}

// levelsByID reads levels, location by location, in order of id.
func (c *Connector) levelsByID(ctx context.Context, m *recordModel, ids, fields []string) ([]record.Sourced, error) {
	items := map[string][]string{} // gids, by location
	for _, id := range ids {
		item, at, err := levelID(id)
		if err != nil {
			return nil, err
		}
		items[at] = append(items[at], gid("InventoryItem", item))
	}
	locations, err := c.allLocations(ctx)
	if err != nil {
		return nil, err
	}
	var all []record.Sourced
	for _, l := range locations {
		err := c.levelsOf(ctx, m, l, items[strconv.FormatInt(l.id, 10)], fields, func(r record.Sourced) { all = append(all, r) })
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// levelsOf reads the levels of items at a location.
func (c *Connector) levelsOf(ctx context.Context, m *recordModel, l location, items, fields []string, visit func(record.Sourced)) error {
	vars := map[string]any{"location": gid("Location", strconv.FormatInt(l.id, 10)), "variant": wanted(fields, "variant")}
	return c.eachNode(ctx, c.docs.records.levelsOfItems, &c.sizes.levels, items, vars, func(n node) error {
		level, ok := n["inventoryLevel"].(map[string]any)
		if !ok { // not stocked there
			return nil
		}
		level["item"] = map[string]any(n)
		r, err := m.level(level, l, fields)
		visit(r)
		return err
	})
}
