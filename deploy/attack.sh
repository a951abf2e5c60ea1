#!/usr/bin/env bash
# Let sqlmap and wapiti loose on a portal of this machine: deploy/attack.sh [ADDRESS]   (http://127.0.0.1:8000)
# Start it first with  PORTAL_RATE_LIMIT_ENABLED=false PORTAL_ENABLE_HSTS=true ./dev run  – both tools ask faster than
# anybody is let, and miss HSTS where it is not switched on.
# Prints what they find and ends with 1; ends with 0 where they find nothing. Reports are kept in var/attack/.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."

address=${1:-http://127.0.0.1:8000}
[[ $address =~ ^http://(127\.0\.0\.1|localhost)(:[0-9]+)?$ ]] || { echo "Only a portal of this machine is attacked." >&2; exit 2; }
for tool in sqlmap wapiti curl; do
    command -v $tool >/dev/null || { echo "$tool is missing: apt-get install sqlmap wapiti curl" >&2; exit 2; }
done
kept=var/attack
rm -rf "$kept"
mkdir -p "$kept"
jar=$kept/staff.cookies
curl -fsS -o /dev/null -c "$jar" --data-urlencode email=staff@example.com --data-urlencode password=Fly-the-demo-1 \
    "$address/account/sign-in"
cookie=$(awk '!/^# / && NF >= 7 { print $6 "=" $7 }' "$jar" | paste -sd ';')
day=$(date -u -d '+30 days' +%F)
route="origin=JFK&destination=LAX&departureDate=$day"

# method, address with what is asked for, body; a star marks what is tried beside the fields
targets=(
    "GET /places?q=new"
    "GET /flights?$route&adults=1&cabin=economy&sort=best&airlines=ME"
    "GET /api/airports?q=new&limit=5&cursor=x"
    "GET /api/airports/JFK*"
    "GET /api/flights/search?$route&sort=price&limit=2&cursor=x&maxPrice=900"
    "GET /api/flights/calendar?origin=JFK&destination=LAX&month=${day%-*}"
    "GET /api/bookings/K7QX2M*?familyName=Wood"
    "GET /bookings/K7QX2M*"
    "GET /waiting-list?$route&adults=1&cabin=economy"
    "GET /fare-alerts?$route&adults=1&cabin=economy"
    "GET /admin/bookings?q=wood&status=confirmed&cursor=x"
    "GET /admin/flights?number=101&route=JFK-LAX&on=$day&state=scheduled"
    "GET /admin/jobs?state=done&kind=booking.confirmed&cursor=x"
    "GET /admin?from=2026-01-01&to=2026-12-31&route=JFK-LAX&cabin=economy"
    "GET /admin/prices?table=fares&show=all"
    "POST /manage reference=K7QX2M&familyName=Wood"
    "POST /account/sign-in email=traveller@example.com&password=x&next=/account"
    "POST /account/register email=a@example.com&firstName=A&lastName=B&password=x&confirmPassword=y"
    "POST /theme theme=dark&next=/"
    'POST /api/auth/login {"email":"traveller@example.com","password":"x"}'
    'POST /api/auth/refresh {"refreshToken":"x"}'
    'POST /api/bookings {"offerIds":["x"],"contact":{"email":"a@example.com"},"passengers":[{"type":"adult","givenName":"A","familyName":"B","dateOfBirth":"1990-01-01"}]}'
)
for target in "${targets[@]}"; do
    read -r method path body <<<"$target"
    echo "sqlmap  $method $path"
    sqlmap --batch --flush-session --level="${SQLMAP_LEVEL:-1}" --risk=2 --technique=BEUS --dbms=PostgreSQL --threads=4 \
        --ignore-code='*' --skip-waf --disable-coloring -v 1 --output-dir="$kept/sqlmap" --cookie="$cookie" \
        --method="$method" -u "$address$path" ${body:+--data="$body"} >>"$kept/sqlmap.log" 2>&1 || true
done
modules=crlf,csp,exec,file,htaccess,http_headers,methods,permanentxss,redirect,shellshock,sql,xss
for who in guest staff; do
    echo "wapiti  $address as $who"
    wapiti -u "$address/" --scope folder -d 4 --max-links-per-page 60 --max-files-per-dir 30 \
        --max-scan-time "${WAPITI_SECONDS:-300}" --max-attack-time "${WAPITI_SECONDS:-300}" -m "$modules" $([ $who = guest ] || echo "-H Cookie:$cookie") \
        --flush-session --no-bugreport -v 1 -f json -o "$kept/wapiti-$who.json" >"$kept/wapiti-$who.log" 2>&1
done

python3 - "$kept" <<'END'
import json
import pathlib
import re
import sys

kept = pathlib.Path(sys.argv[1])
words = (kept / "sqlmap.log").read_text(errors="replace")
found = re.findall(r"^.*(?:is vulnerable|appears to be .*injectable|Parameter: .*|Payload: .*)$", words, re.M)
tried = len(re.findall(r"do not appear to be injectable", words))
print(f"sqlmap tried {tried} addresses")
for file in sorted(kept.glob("wapiti-*.json")):
    report = json.loads(file.read_text())
    kinds = {**report["vulnerabilities"], **report["anomalies"]}
    found += [f"{kind}: {one['method']} {one['path']} {one['info']}" for kind, many in kinds.items() for one in many]
    urls = re.search(r"found (\d+) URLs", file.with_suffix(".log").read_text(errors="replace"))
    print(f"{file.stem} tried {urls[1] if urls else 'some'} addresses and forms for {len(kinds)} kinds of faults")
print("\n".join(found) or "Nothing found.")
sys.exit(bool(found))
END
