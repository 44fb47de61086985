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
LONGEST := $(if $(filter ./...,$(PKG)),./cmd/towpath/local ./connectors/odoo ./workflows ./odoo_addons)

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

# Those that last longest begin first: the installations' tests, which mostly
# wait and see for themselves how many run at once (cmd/towpath/local/room_test.go),
# and the real Odoo's. -p 3: two other packages run beside the first and share the
# one Odoo, since with one a quarter of the processors' time was left over.
# -trimpath: what bin/towpath was made of serves the tests, too, and the next
# clone. GOGC: Temporal's servers, which do most of the work, spend a sixth less of
# the processors on garbage than on half the memory.
test: $(TOWPATH)
	@GOGC=400 TOWPATH_TEST_BIN=$(CURDIR)/$(TOWPATH) $(TOWPATH) dev --only $(PARTS) -- $(GO) test -trimpath -p 3 -parallel 4 -timeout 40m $(LONGEST) $(PKG)

bench: $(TOWPATH)
	@$(TOWPATH) bench

lint:
	@tools/lint/run.sh

clean:
	rm -rf bin
