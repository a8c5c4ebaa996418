#!/bin/sh
# Sends simulated wizard runs, signed, to a running service and checks the funnel, timelines and tickets.
# Usage: scripts/verify-funnel-webhook.sh [URL]    (default http://127.0.0.1:8080)
# Needs OPS_WEBHOOK_SECRET and OPS_TOKEN, from the environment or from var/dev.env, which `make run` writes.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
python="$root/.venv/bin/python"
if [ ! -x "$python" ]; then
    echo "verify-funnel-webhook: there is no environment yet; run 'make setup' first" >&2
    exit 2
fi
PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" exec "$python" -m scripts.verify_funnel "$@"
