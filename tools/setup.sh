#!/usr/bin/env bash
# Sets up .venv from requirements.lock and installs the system packages that are missing. Safe to run again: the
# stamp .venv/.ready is written last, so a set-up that was killed starts over where it matters.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin

say() { printf 'set-up: %s\n' "$*" >&2; }
stop() { say "$*"; exit 1; }

# System packages: what shows whether each is there, and the package that brings it.
missing=()
if command -v python3.11 >/dev/null && ! python3.11 -c 'import ensurepip, venv' 2>/dev/null; then missing+=(python3.11-venv); fi
command -v python3.11 >/dev/null || command -v python3 >/dev/null || missing+=(python3.11-venv)
command -v bwrap >/dev/null || missing+=(bubblewrap)
ldconfig -p | grep -q 'libseccomp\.so\.2' || missing+=(libseccomp2)
# The tests drive a real browser, a real PostgreSQL and curl.
command -v chromium >/dev/null || missing+=(chromium)
ls -d /usr/lib/postgresql/*/bin >/dev/null 2>&1 || missing+=(postgresql)
command -v systemd-analyze >/dev/null || missing+=(systemd)
command -v curl >/dev/null || missing+=(curl)
# What generated programs are compiled with (a sandbox sees /usr/bin alone), and the stronger of the two sandboxes.
[ -x /usr/bin/gcc ] || missing+=(gcc libc6-dev)
[ -x /usr/bin/g++ ] || missing+=(g++)
[ -x /usr/bin/go ] || missing+=(golang-go)
[ -x /usr/bin/rustc ] || missing+=(rustc)
[ -x /usr/bin/javac ] || missing+=(default-jdk-headless)
command -v runsc >/dev/null || missing+=(runsc)
if ((${#missing[@]})); then
  if [ "$(id -u)" = 0 ]; then as_root=(); elif sudo -n true 2>/dev/null; then as_root=(sudo -n); else
    stop "please install: apt-get install ${missing[*]}"
  fi
  command -v apt-get >/dev/null || stop "please install with your package manager: ${missing[*]}"
  say "installing ${missing[*]}"
  log=$(mktemp)
  "${as_root[@]}" apt-get update -qq >"$log" 2>&1 || true
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" \
    >>"$log" 2>&1 || { tail -n 5 "$log" >&2; stop "apt-get failed; please install: ${missing[*]}"; }
fi

python=""
for candidate in python3.11 python3; do
  if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then
    python=$candidate
    break
  fi
done
[ -n "$python" ] || stop "Python 3.11 is needed: apt-get install python3.11 python3.11-venv"
if ! .venv/bin/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
  say "making .venv"
  "$python" -m venv --clear .venv || stop "the venv module is missing: apt-get install python3.11-venv"
fi

pip=(.venv/bin/python -m pip --disable-pip-version-check --quiet)
say "installing $(grep -c == requirements.lock) pinned packages"
# The lock is complete, so nothing is resolved here; warnings of the registry client are kept for a failure.
log=$(mktemp)
"${pip[@]}" install --no-compile --no-deps -r requirements.lock >"$log" 2>&1 || { grep -v '^WARNING' "$log" | tail -n 8 >&2; stop "pip failed"; }
"${pip[@]}" install --no-deps --no-build-isolation -e . >"$log" 2>&1 || { tail -n 8 "$log" >&2; stop "pip failed"; }
# Where only the CUDA build of torch is to be had, it needs libraries that the lock leaves out.
if ! .venv/bin/python -c 'import torch' 2>/dev/null; then
  say "completing torch"
  "${pip[@]}" install "$(grep '^torch==' requirements.lock)" >"$log" 2>&1 || { tail -n 8 "$log" >&2; stop "pip failed"; }
fi
say "installing the packages that generated programs find warm"
.venv/bin/homespun sandbox install || stop "homespun sandbox install failed"
# The contract tests drive the gateway with the official Node client, under the Node that pyright brings.
say "installing the Node client of the tests"
.venv/bin/python tools/node_client.py >"$log" 2>&1 || { tail -n 5 "$log" >&2; stop "npm failed"; }
rm -f "$log"
touch .venv/.ready
say "done"
