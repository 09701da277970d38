#!/usr/bin/env bash
# Both servers in one run: Cyrus IMAP from Debian's packages (needs root) and flaskmail from this folder, the same messages, A B A B.
# against_cyrus.sh [options of jmapload.py, such as --only open_inbox,echo --seconds 2]
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
root="$(dirname "$here")"
python="${PYTHON:-$root/.venv/bin/python}"
port="${PORT:-8105}"
messages="${MESSAGES:-5000}"
data="$(mktemp -d)"
bash "$here/cyrus/up.sh"
cd "$root"
cat > "$data/config.toml" <<'CONFIG'
[server.http.rate-limit]
anonymous = false
account = false
[jmap.protocol.request]
max-concurrent = 32
[jmap.protocol.upload]
max-concurrent = 32
CONFIG
export FLASKMAIL_CONFIG="$data/config.toml" FLASKMAIL_DATA="$data"
printf 'password\n' | "$python" -m flaskmail account create alice@example.org --password-stdin
"$python" -m gunicorn -b "127.0.0.1:$port" wsgi:app >"$data/log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null; wait "$server" 2>/dev/null; rm -rf "$data"' EXIT
for _ in $(seq 100); do curl -sf "http://127.0.0.1:$port/healthz/ready" >/dev/null && break; sleep 0.1; done
python3 "$here/jmapload.py" --messages "$messages" \
  --target "cyrus=http://127.0.0.1:8090,alice,password" --proc 'cyrus=cyrus-peer' \
  --target "flaskmail=http://127.0.0.1:$port,alice@example.org,password" --proc "flaskmail=gunicorn -b 127.0.0.1:$port" \
  --concurrency 8 "$@"
