#!/usr/bin/env bash
# The Autobahn WebSocket test suite against the echo of a running gateway: every case must pass.
#
#   scripts/with-gateway.sh scripts/autobahn.sh [CASES...]    all cases, or such as '6.*' '7.*'
#
# The suite needs Python 2.7 with pip; PYTHON2 names it if it is not called python2.7. It is
# installed into a temporary folder that goes away again. All cases take about a quarter of an
# hour. "Unimplemented" are kinds of compression that the gateway does not accept.

set -euo pipefail

: "${BARRAGE_WS_URL:?set by scripts/with-gateway.sh}"
python2=${PYTHON2:-python2.7}
command -v "$python2" >/dev/null || { echo "there is no $python2; see PYTHON2" >&2; exit 1; }
(($# > 0)) || set -- '*'
folder=$(mktemp -d "${TMPDIR:-/tmp}/barrage-autobahn.XXXXXX")
trap 'rm -rf "$folder"' EXIT

"$python2" -m pip install --quiet --target "$folder/python" autobahntestsuite==0.8.2
touch "$folder/python/zope/__init__.py" # a namespace that pip leaves open
cases=$(printf '"%s",' "$@")
cat >"$folder/spec.json" <<JSON
{"outdir": "$folder/reports", "cases": [${cases%,}], "exclude-cases": [], "exclude-agent-cases": {},
 "servers": [{"agent": "barrage", "url": "${BARRAGE_WS_URL%/ws}/echo?max=16777216"}]}
JSON
PYTHONPATH=$folder/python "$python2" "$folder/python/bin/wstest" -m fuzzingclient \
    -s "$folder/spec.json"
"$python2" - "$folder/reports/index.json" <<'PYTHON'
import collections, json, sys
cases = json.load(open(sys.argv[1]))["barrage"]
fine = ("OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED")
count = collections.Counter(case["behavior"] for case in cases.values())
print(", ".join("%d %s" % (n, name) for name, n in sorted(count.items())))
bad = ["%s: %s, closed %s" % (name, case["behavior"], case["behaviorClose"])
       for name, case in cases.items()
       if case["behavior"] not in fine or case["behaviorClose"] not in fine]
print("\n".join(sorted(bad)))
sys.exit(1 if bad or not cases else 0)
PYTHON
