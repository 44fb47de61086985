package mapping_test

import (
	"fmt"

	"github.com/shopspring/decimal"

	"towpath/schema/mapping"
	"towpath/schema/record"
)

func Example() {
	products := mapping.Mapping{
		Name: "products", Source: "product.product", Target: "products.csv",
		Fields: []mapping.Field{
			{Source: "default_code", Target: "sku", Key: true, Required: true},
			{Source: "name", Target: "title", Transform: mapping.Uppercase},
			{Source: "categ_id.name", Target: "category", Default: "Other"},
			{Expr: `round(record.list_price * dec("1.2"), 2)`, Target: "price"},
		},
	}
	compiled, err := mapping.Compile(products, mapping.Import)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("reads", compiled.SourceFields())

	res := compiled.Apply(record.Sourced{ID: "7", Values: record.Values{
		"default_code": "MUG", "name": "Mug", "list_price": decimal.RequireFromString("9.99"),
	}})
	fmt.Println(res.SourceID, res.Values["title"], res.Values["category"], res.Values["price"], res.Keys)

	res = compiled.Apply(record.Sourced{ID: "8", Values: record.Values{"name": "Cup", "list_price": decimal.NewFromInt(4)}})
	for _, f := range res.Faults {
		fmt.Println(f, "-", f.Resolution)
	}
	// Output:
	// reads [categ_id.name default_code list_price name]
	// 7 MUG Other 11.99 map[sku:MUG]
	// mapping.empty_required: a required field is empty (field default_code) - fill it in at the source, or give the field a default in the mapping
}
