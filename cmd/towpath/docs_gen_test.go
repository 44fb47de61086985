package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/connectors/catalog"
	"towpath/schema/config"
	"towpath/schema/orders"
)

// generators give the sections of the docs that repeat what the program says.
func generators(t *testing.T) map[string]func() string {
	return map[string]func() string{
		"settings":  settingsSection,
		"rules":     func() string { return rulesSection(t) },
		"variables": variablesSection,
		"commands":  commandsSection,
		"faults":    func() string { return faultsSection(t) },
	}
}

func table(head []string, rows [][]string) string {
	var b strings.Builder
	line := func(cells []string) {
		for i, c := range cells {
			cells[i] = strings.ReplaceAll(strings.Join(strings.Fields(c), " "), "|", `\|`)
		}
		b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
	}
	line(head)
	line(slices.Repeat([]string{"---"}, len(head)))
	for _, r := range rows {
		line(r)
	}
	return b.String()
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

func settingsSection() string {
	var b strings.Builder
	for _, d := range catalog.All() {
		var rows [][]string
		for _, s := range connectors.SettingsOf(d) {
			what := s.Doc
			if s.Secret {
				what += " *(secret: rests sealed)*"
			}
			value := code(s.Default)
			if s.Required {
				value = "**required**"
			}
			rows = append(rows, []string{code(s.Name), value, what})
		}
		fmt.Fprintf(&b, "#### kind: %s\n\n%s\n", d.Kind, table([]string{"setting", "default", "what it is"}, rows))
	}
	return b.String()
}

func variablesSection() string {
	var rows [][]string
	for _, v := range config.Variables {
		rows = append(rows, []string{code(v.Name), code(v.Default), v.Doc})
	}
	return table([]string{"variable", "default", "what it is"}, rows)
}

// commandsSection lists every command with its flags.
func commandsSection() string {
	var rows [][]string
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			if sub.Hidden || sub.Name() == "help" || sub.Name() == "completion" {
				continue
			}
			if sub.HasSubCommands() {
				walk(sub)
				continue
			}
			var flags []string
			sub.LocalFlags().VisitAll(func(f *pflag.Flag) {
				if f.Name != "help" {
					flags = append(flags, code("--"+f.Name))
				}
			})
			_, args, _ := strings.Cut(sub.Use, " ")
			rows = append(rows, []string{code(strings.TrimSpace(sub.CommandPath() + " " + args)), strings.Join(flags, " "), sub.Short})
		}
	}
	walk(newRoot())
	return table([]string{"command", "flags", "what it does"}, rows)
}

func rulesSection(t *testing.T) string {
	rules := "Rules of a flow (`orders[].rules`):\n\n" + structTable(t, "Rules", reflect.ValueOf(orders.Rules{}.WithDefaults()))
	taxes := "One entry of `taxes`:\n\n" + structTable(t, "TaxRule", reflect.ValueOf(orders.TaxRule{}))
	return rules + "\n" + taxes
}

// structTable describes a configuration struct by the comments of its fields.
func structTable(t *testing.T, name string, value reflect.Value) string {
	t.Helper()
	var rows [][]string
	said := ""
	for _, f := range structFields(t, name) {
		field, ok := value.Type().FieldByName(f.Names[0].Name)
		require.True(t, ok, f.Names[0].Name)
		key, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		doc := strings.ReplaceAll(f.Doc.Text(), "\n", " ")
		if doc != "" {
			said = key
		} else if said != "" {
			doc = "see " + code(said)
		}
		for i := range value.NumField() {
			other := value.Type().Field(i)
			otherKey, _, _ := strings.Cut(other.Tag.Get("yaml"), ",")
			doc = regexp.MustCompile(`\b`+other.Name+`( \(|[ ,.]+[a-z]|$)`).ReplaceAllString(doc, code(otherKey)+"$1")
		}
		row := []string{code(key), code(plain(value.FieldByIndex(field.Index))), doc}
		rows = append(rows, row)
	}
	return table([]string{"rule", "default", "what it says"}, rows)
}

func structFields(t *testing.T, name string) []*ast.Field {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(repository, "schema", "orders", "rules.go"), nil, parser.ParseComments)
	require.NoError(t, err)
	var fields []*ast.Field
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok && spec.Name.Name == name {
			fields = spec.Type.(*ast.StructType).Fields.List
		}
		return true
	})
	require.NotEmpty(t, fields, name)
	return fields
}

// plain writes a default as towpath.yaml would hold it; empty when there is none.
func plain(v reflect.Value) string {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		v = v.Elem()
		if v.Kind() == reflect.Bool {
			return fmt.Sprint(v.Bool())
		}
	}
	if d, ok := v.Interface().(decimal.Decimal); ok && !d.IsZero() {
		return d.String()
	}
	switch {
	case v.Kind() == reflect.Bool:
		return "false"
	case v.Kind() == reflect.Int:
		return fmt.Sprint(v.Int())
	case v.Kind() == reflect.String:
		return v.String()
	case v.Kind() == reflect.Slice && v.Len() > 0:
		return "[" + strings.Join(v.Interface().([]string), ", ") + "]"
	}
	return ""
}
