# make demo            the main job on this machine, proved   (ODOO=real: a real Odoo 19)
# make test            every test, with real PostgreSQL, Temporal and Odoo 19
# make dev             everything up, staying up
# make bench           the performance targets, measured
# make lint            golangci-lint and workflowcheck

GO      ?= go
TOWPATH := bin/towpath
SOURCES := $(shell find . -name '*.go' -not -path './tools/*' -not -name '*_test.go') $(shell find api schema connectors -name '*.yaml' -o -name '*.sql' -o -name '*.json' | grep -v testdata) go.mod go.sum
PARTS   := postgres,temporal,odoo
PKG     ?= ./...

.PHONY: demo test dev bench lint build clean

build: $(TOWPATH)

$(TOWPATH): $(SOURCES)
	@echo "building towpath (the first time takes a minute or two)" >&2
	@mkdir -p bin
	@$(GO) build -trimpath -o $@ ./cmd/towpath

demo: $(TOWPATH)
	@$(TOWPATH) demo $(if $(filter real,$(ODOO)),--real)

dev: $(TOWPATH)
	@$(TOWPATH) dev $(if $(filter real,$(ODOO)),--real)

# -p 2: the installations' tests, which mostly wait and see for themselves how many
# run at once (cmd/towpath/local/room_test.go), run beside all other packages, which
# share one Odoo and so go, while those last, one after another.
test: $(TOWPATH)
	@TOWPATH_TEST_BIN=$(CURDIR)/$(TOWPATH) $(TOWPATH) dev --only $(PARTS) -- $(GO) test -p 2 -parallel 4 -timeout 40m $(PKG)

bench: $(TOWPATH)
	@$(TOWPATH) bench

lint:
	@tools/lint/run.sh

clean:
	rm -rf bin
