package simulator

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/shopspring/decimal"
)

// Product is what the shop sells, with its variants.
type Product struct {
	ID                                     int64
	Title, HTML, Vendor, Type, Handle, XID string
	Status                                 string // ACTIVE, DRAFT, ARCHIVED, UNLISTED
	Tags                                   []string
	CreatedAt, UpdatedAt                   time.Time

	choices []*choice
}

// Good is one variant of a product, and its inventory item.
type Good struct {
	ID, ProductID, ItemID                    int64
	SKU, Barcode, XID, Policy, Country, Code string
	Price                                    decimal.Decimal
	CompareAt, Cost                          *decimal.Decimal
	Weight                                   decimal.Decimal
	WeightUnit                               string
	Taxable, Tracked, Ships                  bool
	Options                                  [][2]string // name, value
	Position                                 int
	CreatedAt, UpdatedAt                     time.Time
}

// Account is a customer as the shop keeps it.
type Account struct {
	Customer
	Note, State, XID string
	Tags             []string
	UpdatedAt        time.Time
}

// Location is where stock is kept.
type Location struct {
	ID   int64
	Name string
}

// Level is the stock of an item at a location.
type Level struct {
	ItemID, LocationID int64
	Available          int64
	Committed          int64 // sold and not shipped: on hand, but not available
	UpdatedAt          time.Time
}

type levelKey struct{ item, location int64 }

// goods is what the shop has besides orders.
type goods struct {
	mu        sync.Mutex
	now       func() time.Time
	last      int64
	products  map[int64]*Product
	variants  map[int64]*Good
	items     map[int64]*Good
	accounts  map[int64]*Account
	locations map[int64]*Location
	levels    map[levelKey]*Level
	defined   map[string]bool  // owner types that have our metafield
	keys      map[string]keyed // idempotency keys
	writes    map[string]int   // mutations carried out, by name
	largest   map[string]int   // rows of the largest
}

type keyed struct {
	input  string
	answer *object
}

func newGoods(now func() time.Time) *goods {
	return &goods{
		now: now, last: 8_000_000_000_000, products: map[int64]*Product{}, variants: map[int64]*Good{}, items: map[int64]*Good{},
		accounts: map[int64]*Account{}, locations: map[int64]*Location{}, levels: map[levelKey]*Level{},
		defined: map[string]bool{}, keys: map[string]keyed{}, writes: map[string]int{}, largest: map[string]int{},
	}
}

func (g *goods) id() int64 {
	g.last++
	return g.last
}

func (g *goods) second() time.Time { return g.now().UTC().Truncate(time.Second) }

func (g *goods) wrote(name string, rows int) {
	g.writes[name]++
	g.largest[name] = max(g.largest[name], rows)
}

// AddGoods takes products of one variant each into the shop, active and
// tracked.
func (s *Shop) AddGoods(variants ...Variant) {
	g := s.goods
	g.mu.Lock()
	defer g.mu.Unlock()
	at := g.second()
	for _, v := range variants {
		g.products[v.ProductID] = &Product{
			ID: v.ProductID, Title: v.Title, Vendor: v.Vendor, Status: "ACTIVE", Handle: "product-" + itoa(v.ProductID), CreatedAt: at, UpdatedAt: at,
		}
		g.addVariant(&Good{
			ID: v.ID, ProductID: v.ProductID, SKU: v.SKU, Barcode: v.Barcode, Price: v.Price, Policy: "DENY", Taxable: true, Tracked: true, Ships: true,
			WeightUnit: "KILOGRAMS", Options: [][2]string{{"Title", "Default Title"}}, Position: 1, CreatedAt: at, UpdatedAt: at,
		})
	}
}

func (g *goods) addVariant(v *Good) {
	if v.ItemID == 0 {
		v.ItemID = g.id()
	}
	g.variants[v.ID], g.items[v.ItemID] = v, v
}

// AddCustomer takes a customer into the shop.
func (s *Shop) AddCustomer(c Customer) {
	g := s.goods
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.ID == 0 {
		c.ID = g.id()
	}
	if c.CreatedAt.IsZero() {
		c.CreatedAt = g.second()
	}
	g.accounts[c.ID] = &Account{Customer: c, State: "ENABLED", UpdatedAt: g.second()}
}

// AddLocation opens a location and gives its id.
func (s *Shop) AddLocation(name string) int64 {
	g := s.goods
	g.mu.Lock()
	defer g.mu.Unlock()
	l := &Location{ID: g.id(), Name: name}
	g.locations[l.ID] = l
	return l.ID
}

// SetLevel stocks a variant's item at a location, and gives the item's id.
func (s *Shop) SetLevel(variant, location, available int64) (item int64) {
	g := s.goods
	g.mu.Lock()
	defer g.mu.Unlock()
	item = g.variants[variant].ItemID
	g.level(item, location).Available = available
	return item
}

// level gives the level, made if it is not there, as changed now.
func (g *goods) level(item, location int64) *Level {
	l := g.levels[levelKey{item, location}]
	if l == nil {
		l = &Level{ItemID: item, LocationID: location}
		g.levels[levelKey{item, location}] = l
	}
	l.UpdatedAt = g.second()
	return l
}

// Sell takes units off a level as a sale does: they stay on hand until shipped.
func (s *Shop) Sell(item, location, quantity int64) {
	g := s.goods
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.level(item, location)
	l.Available -= quantity
	l.Committed += quantity
}

// ChangeGood, ChangeProduct and ChangeAccount change something in the shop, as
// its staff does; a nil change deletes.

// ChangeGood changes or deletes a variant.
func (s *Shop) ChangeGood(id int64, change func(*Good)) {
	g := s.goods
	g.mu.Lock()
	defer g.mu.Unlock()
	if change == nil {
		delete(g.items, g.variants[id].ItemID)
		delete(g.variants, id)
		return
	}
	change(g.variants[id])
	g.variants[id].UpdatedAt = g.second()
}

// ChangeProduct changes or deletes a product, with its variants.
func (s *Shop) ChangeProduct(id int64, change func(*Product)) {
	g := s.goods
	g.mu.Lock()
	defer g.mu.Unlock()
	if change == nil {
		delete(g.products, id)
		maps.DeleteFunc(g.variants, func(_ int64, v *Good) bool { return v.ProductID == id })
		return
	}
	change(g.products[id])
	g.products[id].UpdatedAt = g.second()
}

// ChangeAccount changes or deletes a customer.
func (s *Shop) ChangeAccount(id int64, change func(*Account)) {
	g := s.goods
	g.mu.Lock()
	defer g.mu.Unlock()
	if change == nil {
		delete(g.accounts, id)
		return
	}
	change(g.accounts[id])
	g.accounts[id].UpdatedAt = g.second()
}

// Good gives a variant as it is now.
func (s *Shop) Good(id int64) (Good, bool) {
	s.goods.mu.Lock()
	defer s.goods.mu.Unlock()
	if v := s.goods.variants[id]; v != nil {
		return *v, true
	}
	return Good{}, false
}

// Products gives all products as they are now, in order of id.
func (s *Shop) Products() (all []Product) {
	s.goods.mu.Lock()
	defer s.goods.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(s.goods.products)) {
		all = append(all, *s.goods.products[id])
	}
	return all
}

// Accounts gives all customers as they are now, in order of id.
func (s *Shop) Accounts() (all []Account) {
	s.goods.mu.Lock()
	defer s.goods.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(s.goods.accounts)) {
		all = append(all, *s.goods.accounts[id])
	}
	return all
}

// Level gives the stock of an item at a location.
func (s *Shop) Level(item, location int64) (Level, bool) {
	s.goods.mu.Lock()
	defer s.goods.mu.Unlock()
	if l := s.goods.levels[levelKey{item, location}]; l != nil {
		return *l, true
	}
	return Level{}, false
}

// Writes says how often a mutation was carried out, and how many rows the
// largest of them had.
func (s *Shop) Writes(mutation string) (calls, largest int) {
	s.goods.mu.Lock()
	defer s.goods.mu.Unlock()
	return s.goods.writes[mutation], s.goods.largest[mutation]
}
