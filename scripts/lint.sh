#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Checks the sources: formats of Swift and C, Python by ruff, what scripts/lint.py counts, and the
# words that scripts/retired-words.py lists. Tools come from the Swift toolchain, and from a Python
# venv that `lint.sh --tools` makes; without it, its checks are skipped, and a line says so.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cd "$here/.."
swift=${SWIFT:-swift}
venv=$here/.venv
# Versions format differently: everyone uses these.
tools="clang-format==23.1.3 ruff==0.17.5"

if [ "${1:-}" = --tools ]; then
  [ "$(cat "$venv/tools" 2>/dev/null)" = "$tools" ] && exit 0
  # shellcheck disable=SC2086
  if python3 -m venv "$venv" && "$venv/bin/pip" install -q $tools; then
    echo "$tools" >"$venv/tools"
  else
    echo "lint: cannot install $tools: C and Python will not be checked" >&2
  fi
  exit 0
fi

failed=0
list() { git ls-files --cached --others --exclude-standard -- "$@" | while read -r file; do
  [ -f "$file" ] && [ ! -L "$file" ] && echo "$file"
done; }

list '*.swift' | grep -v '\.pb\.swift$' |
  xargs "$swift" format lint --strict --parallel || failed=1
if [ -x "$venv/bin/clang-format" ]; then
  list '*.c' '*.h' '*.cpp' | xargs "$venv/bin/clang-format" --dry-run --Werror || failed=1
else
  echo "lint: no clang-format, C is not checked: scripts/lint.sh --tools installs it" >&2
fi
if [ -x "$venv/bin/ruff" ]; then
  list '*.py' | xargs "$venv/bin/ruff" check --quiet || failed=1
else
  echo "lint: no ruff, Python is not checked: scripts/lint.sh --tools installs it" >&2
fi
python3 -B scripts/lint.py || failed=1
python3 -B scripts/retired-words.py || failed=1
exit $failed
