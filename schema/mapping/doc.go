// Package mapping turns records of one system into those of another, as data
// says: ordered fields with dot paths, named transforms and expressions. It
// does no I/O and knows no system: what models look like is handed in, and what
// records become is handed out.
//
//	Compile   a mapping for one direction: every mistake at once
//	For       the same with both systems' fields: types, sizes, options
//	Apply     one record: values, keys, faults per field
//	Digest    whether values changed since
//
// # Directions
//
// Import runs from the mapping's source model to its target model, Export the
// way back. A field says where it takes part; one for both ways (the default)
// is written as it is imported and turned round for the export.
//
// # Values
//
// Paths and expressions see record.Values. Each record also gives its own id as
// "id" (unless its system has a field of that name) and as "_odoo_id", the name
// in the seed modules. References are written as the id of the source's record:
// whoever writes the row looks up what that record is bound to.
//
// Nothing is cut, rounded or guessed: a text with a number becomes a number
// where the target holds one, but a number with decimals does not become an
// integer, nor a moment a date, unless the mapping says how.
//
// # Expressions
//
// An expression is CEL (https://cel.dev) over `record`. An empty field is null,
// a field of an empty relation, too; has(record.parent_id.name) tells. Dates
// are texts, times are timestamps, and numbers are exact decimals, which never
// pass through a float:
//
//   - - * < <= > >= == !=    with decimals and whole numbers, the field on the left
//     dec("1.5") dec(2)        a decimal
//     round(x, 2)              half away from zero
//     div(x, y, 2)             rounded likewise
//     int(…) is for texts and timestamps; string(x) prints a decimal
//     day(t, "Europe/Paris")   the calendar day of a moment, as text
//     s.upper() s.lower() s.trim() s.left(n)
//     s.replace(a, b) s.split(sep) list.join(sep)
//
// What CEL would accept and answer wrongly is refused when the mapping is
// compiled: floats, dividing with / and %, whole numbers on the left of a field
// (1 == record.qty is false for a decimal 1) or mixed with fields, maps. What is
// left: a text field is never equal to a number field; write dec(record.text).
//
// An expression may be 4,000 characters long and spend a million of CEL's cost
// units, about a tenth of a second, per record.
package mapping
