# A script whose steps are spans: it touches, in the folder of each, what that one causes.
# Usage: mark.sh TRUTH ARGUS_CAPTURE
truth=$1
argus=$2
mark() { "$argus" mark "$@"; }

echo >"$truth/none/before"
eval "$(mark start deploy --args '{"to":"test"}' --declares '{"write":["/tmp/**"]}')"
echo >"$truth/deploy/own"
sh -c "echo >'$truth/deploy/child'; true"
eval "$("$argus" mark start migrate --kind step)"
echo >"$truth/migrate/own"
sh -c "echo >'$truth/migrate/child'; true"
eval "$("$argus" mark end --result done)"
echo >"$truth/deploy/own-again"
mkfifo "$truth/gate"
setsid sh -c "read -r line <'$truth/gate'; echo >'$truth/deploy/late'" &
eval "$("$argus" mark end --status error)"
echo >"$truth/none/after"
sh -c "echo >'$truth/none/child'; true"
# Its end, and nothing that the job might be told.
: >"$truth/gate"
wait
test -z "${TRACEPARENT-}${ARGUS_PARENT-}" || echo "left: $TRACEPARENT $ARGUS_PARENT"

# A tool that speaks for the script: of a call that it made up, and with the script's variables taken away.
eval "$("$argus" mark start honest)"
sh -c "unset TRACEPARENT ARGUS_PARENT; '$argus' mark start forged --for $$ >/dev/null; echo >'$truth/honest/child'"
echo >"$truth/honest/own"
eval "$("$argus" mark end)"
