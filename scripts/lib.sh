# Functions that the scripts share. Source this file, never run it. It sets `root`.
# shellcheck shell=bash

# shellcheck disable=SC2034  # used where this is sourced
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

fail() {
  echo "$*" >&2
  exit 1
}

# step NAME COMMAND…: prints NAME and runs COMMAND. If COMMAND fails, prints NAME again and exits
# with 1.
step() {
  local name=$1
  shift
  echo "==> $name"
  "$@" || fail "==> failed: $name"
}

# package_ready PACKAGE PROGRAM: installs the Debian package unless PROGRAM exists.
package_ready() {
  [[ -x $2 ]] && return
  if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
    fail "$2 is missing, and only root may install it: apt-get install $1"
  fi
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$1"
}

has_node() {
  command -v npm >/dev/null && node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null
}

# npm_ready FOLDER: installs the packages of FOLDER's lock file unless they are up to date.
npm_ready() {
  local lock=$1/package-lock.json installed=$1/node_modules/.package-lock.json
  if [[ ! -f $installed || $lock -nt $installed ]]; then
    npm --prefix "$1" ci --no-audit --no-fund
  fi
}

# ready_at PORT PID: waits until that server is ready; fails if its process ends or if it takes longer than 10 s.
ready_at() {
  local _
  for _ in {1..100}; do
    if curl -fsS -o /dev/null "http://127.0.0.1:$1/ready" 2>/dev/null; then return; fi
    kill -0 "$2" 2>/dev/null || return 1
    sleep 0.1
  done
  return 1
}

# serves PORT PATH WORD: whether that server's answer for browsers has the word.
serves() {
  local answer
  answer=$(curl -fsS -H 'Accept: text/html' "http://127.0.0.1:$1$2") && [[ ${answer,,} == *"$3"* ]]
}

# ready_for_browsers: builds the library and the release server for scripts that measure in
# browsers. Sets PEERSTAR_BIN.
ready_for_browsers() {
  has_node || fail "Node 20 or newer is missing, with npm"
  [[ -x /usr/bin/chromium ]] || fail "/usr/bin/chromium is missing: apt-get install chromium"
  npm_ready "$root/static"
  npm_ready "$root/tests/browser"
  npm --prefix "$root/static" run --silent build
  [[ -n ${PEERSTAR_BIN:-} ]] && return
  local target=${CARGO_TARGET_DIR:-$root/target}
  cargo build --release --manifest-path "$root/Cargo.toml" --target-dir "$target"
  export PEERSTAR_BIN=$target/release/peerstar
}
