#!/usr/bin/env bash
# Builds the Temporal development server once and prints its path as the last
# line on stdout; everything else goes to stderr. The binary is kept under
# ${TOWPATH_CACHE:-$HOME/.cache/towpath}, named by the hash of its sources,
# because compiling the Temporal server takes minutes.
#
# An official `temporal` command found on the PATH is used instead, unless
# TOWPATH_TEMPORAL_DEV=build is set.
set -euo pipefail

if [ "${TOWPATH_TEMPORAL_DEV:-}" != build ] && official=$(command -v temporal); then
  echo "$official"
  exit 0
fi

cd "$(dirname "${BASH_SOURCE[0]}")"
cache=${TOWPATH_CACHE:-$HOME/.cache/towpath}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)

sha256() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi; }

# Names and contents; tests are not part of the binary.
hash=$({
  find . -name '*.go' ! -name '*_test.go' | LC_ALL=C sort | while IFS= read -r f; do
    echo "$f"
    cat "$f"
  done
  cat go.mod go.sum
} | sha256 | cut -c1-16)
bin=$cache/temporal-dev-$hash

if [ -x "$bin" ]; then
  echo "$bin"
  exit 0
fi

# One build at a time: a second one would only make both slower. Without flock
# (macOS) two may run; the final mv is atomic, so either result is good.
if command -v flock >/dev/null; then
  exec 9>"$cache/temporal-dev.lock"
  if ! flock -n 9; then
    echo "waiting for another build of the Temporal server" >&2
    flock 9
  fi
  if [ -x "$bin" ]; then
    echo "$bin"
    exit 0
  fi
fi

work=$(mktemp -d "$cache/temporal-dev-build.XXXXXX")
build_pid=
cleanup() {
  if [ -n "$build_pid" ]; then kill "$build_pid" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# No C compiler needed, and the same binary with and without one. -v prints a
# line for each package as its compilation ends, which is our progress.
# Descriptor 9 stays here: a go process that outlives us must not hold the lock.
started=$SECONDS
CGO_ENABLED=0 go build -v -trimpath -ldflags "-s -w" -o "$work/bin" . >"$work/log" 2>&1 9>&- &
build_pid=$!

progress() {
  echo "compiling the Temporal server: $(wc -l <"$work/log" | tr -d ' ') packages, $((SECONDS - started)) s"
}
last=$SECONDS
while kill -0 "$build_pid" 2>/dev/null; do
  sleep 1
  if [ -t 2 ]; then
    printf '\r%s ' "$(progress)" >&2
  elif [ $((SECONDS - last)) -ge 15 ]; then
    last=$SECONDS
    progress >&2
  fi
done
if [ -t 2 ]; then echo >&2; fi

status=0
wait "$build_pid" || status=$?
build_pid=
if [ "$status" -ne 0 ]; then
  echo "compiling the Temporal server failed:" >&2
  # Lines without a space are the packages which did compile.
  grep ' ' "$work/log" | tail -n 40 >&2 || tail -n 5 "$work/log" >&2
  exit "$status"
fi
mv -f "$work/bin" "$bin"
echo "compiled the Temporal server in $((SECONDS - started)) s" >&2
echo "$bin"
