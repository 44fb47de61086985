#!/usr/bin/env bash
# The house's judges: go vet, golangci-lint (.golangci.yml) and workflowcheck.
# Run it from anywhere; packages may be named, default is the whole module:
#
#	tools/lint/run.sh [./workflows/... ...]
#
# The tools are a Go module of their own, so that none of their libraries gets
# into Towpath. Their binaries are kept under ${TOWPATH_CACHE:-$HOME/.cache/towpath},
# named by the hash of go.mod and go.sum and by the Go version, because
# compiling them takes minutes: once.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=${TOWPATH_CACHE:-$HOME/.cache/towpath}
mkdir -p "$cache"

sha256() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi; }
hash=$({ cat "$here/go.mod" "$here/go.sum"; go env GOVERSION; } | sha256 | cut -c1-16)
bin=$cache/lint-$hash

# build NAME PACKAGE compiles a tool unless it is there. The final mv is atomic,
# so two builds at once only cost time.
build() {
  if [ -x "$bin/$1" ]; then return; fi
  echo "compiling $1" >&2
  mkdir -p "$bin"
  (cd "$here" && go build -trimpath -ldflags "-s -w" -o "$bin/$1.$$" "$2")
  mv -f "$bin/$1.$$" "$bin/$1"
}
build golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint
build workflowcheck go.temporal.io/sdk/contrib/tools/workflowcheck
if [ "${1:-}" = build ]; then exit 0; fi

cd "$root"
if [ $# -eq 0 ]; then set -- ./...; fi
failed=0
step() {
  echo "== $*" >&2
  "$@" || failed=1
}
step go vet "$@"
step "$bin/golangci-lint" run "$@"
# Only workflow code must be deterministic; it is silent when it is.
step "$bin/workflowcheck" ./workflows/...
exit "$failed"
