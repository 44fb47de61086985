package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Who mistypes an endpoint hears which there are, and not that nothing waits.
func TestDeliveriesOfAnEndpointThatIsNotThere(t *testing.T) {
	d := newDesk(t)
	commands := [][]string{
		{"list"}, {"redeliver"}, {"discard", "--reason", "x"}, {"stats"}, {"replay", "--since", "1h"},
	}
	about := func(endpoint string, args ...string) (string, int) {
		return d.run(append(append([]string{"delivery"}, args...), "--endpoint", endpoint)...)
	}
	for _, args := range commands {
		out, exit := about("nope", args...)
		assert.Equal(t, exitInput, exit, args)
		assert.Contains(t, out, `there is no endpoint "nope"`, args)
		assert.Contains(t, out, "towpath apply", args)
	}
	out, exit := d.apply("endpoints:\n  - {name: partner, url: \"https://partner.example/hook\"}\n  - {name: billing, url: \"https://billing.example/hook\"}\n")
	require.Zero(t, exit, out)
	for _, args := range commands {
		out, exit := about("nope", args...)
		assert.Equal(t, exitInput, exit, args)
		assert.Contains(t, out, "choose one of: billing, partner", args)
		out, exit = about("partner", args...)
		assert.Zero(t, exit, out)
	}
	out, exit = about("partner", "list")
	assert.Zero(t, exit)
	assert.Contains(t, out, "there are none")
}

// What is changed by a record's number is that record's, and not another model's.
func TestARecordIsOneOfAModel(t *testing.T) {
	d := newDesk(t)
	out, exit := d.apply("endpoints:\n  - {name: partner, url: \"https://partner.example/hook\"}\n")
	require.Zero(t, exit, out)
	for _, args := range [][]string{{"redeliver"}, {"discard", "--reason", "x"}} {
		for _, more := range [][]string{nil, {"--endpoint", "partner"}} {
			args := append(append([]string{"delivery"}, args...), append(more, "--record", "42")...)
			out, exit := d.run(args...)
			assert.Equal(t, exitInput, exit, args)
			assert.Contains(t, out, "--model sale.order --record 42", args)
			out, exit = d.run(append(args, "--model", "sale.order")...)
			assert.Zero(t, exit, out)
		}
	}
	out, exit = d.run("delivery", "list", "--record", "42")
	assert.Zero(t, exit, out)
}

func TestATypeThatNothingHas(t *testing.T) {
	d := newDesk(t)
	out, exit := d.apply("endpoints:\n  - {name: partner, url: \"https://partner.example/hook\"}\n")
	require.Zero(t, exit, out)
	for _, args := range [][]string{
		{"delivery", "list"}, {"delivery", "redeliver", "--endpoint", "partner"}, {"delivery", "discard", "--endpoint", "partner", "--reason", "x"},
		{"delivery", "replay", "--endpoint", "partner", "--since", "1h"}, {"event", "list"},
	} {
		out, exit := d.run(append(args, "--type", "sale*")...)
		assert.Equal(t, exitInput, exit, args)
		assert.Contains(t, out, `"sale*" is no type of event`, args)
		out, exit = d.run(append(args, "--type", "*.created")...)
		assert.Zero(t, exit, out)
	}
}
