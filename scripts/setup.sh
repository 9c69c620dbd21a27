#!/bin/sh
# Make .venv and install the locked packages: `setup.sh base` to run, `setup.sh dev` to test as well.
# Installs only when the lock has changed; `dev` holds all of `base`.
set -eu
cd "$(dirname "$0")/.."
kind=$1
python=${PYTHON:-python3}

if ! command -v "$python" >/dev/null 2>&1; then
    echo "nunect: there is no $python: install Python 3.11 or newer, or name one by PYTHON=…" >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "nunect: $("$python" -V 2>&1) is too old: install Python 3.11 or newer, or name one by PYTHON=…" >&2
    exit 1
fi

done_mark=.venv/runs
[ "$kind" = dev ] && done_mark=.venv/develops
sum=$(cat "requirements/$kind.txt" pyproject.toml | cksum)
if [ -f "$done_mark" ] && [ "$(cat "$done_mark")" = "$sum" ]; then
    touch "$done_mark"
    exit 0
fi

echo "Installing into .venv (once) …"
if command -v uv >/dev/null 2>&1; then
    [ -x .venv/bin/python ] || uv venv -q --python "$python" .venv
    uv pip install -q --compile-bytecode --python .venv/bin/python --require-hashes -r "requirements/$kind.txt"
else
    if [ ! -x .venv/bin/python ] && ! "$python" -m venv .venv; then
        echo "nunect: $python can't make a virtual environment: install its venv module (on Debian: python3-venv)." >&2
        exit 1
    fi
    .venv/bin/python -m pip install -q --disable-pip-version-check --only-binary :all: --require-hashes -r "requirements/$kind.txt"
fi

# The checkout itself: a line in site-packages and the `nunect` script, without a build.
site=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
pwd >"$site/nunect.pth"
printf '#!%s\nfrom nunect.cli import main\n\nmain()\n' "$(pwd)/.venv/bin/python" >.venv/bin/nunect
chmod +x .venv/bin/nunect
echo "$sum" >"$done_mark"
[ "$kind" = dev ] && cat requirements/base.txt pyproject.toml | cksum >.venv/runs
exit 0
