# A coding agent as its maker publishes it, with Argus's hooks in its settings, against a model on loopback, in a network of
# its own.  Usage: coder.sh claude|codex|gemini PROGRAM TRUTH ARGUS_CAPTURE HOME
set -eu
which=$1 program=$2 truth=$3 argus=$4 HOME=$5
export HOME
here=$(cd "$(dirname "$0")" && pwd)
ip link set lo up
mkdir -p "$HOME/work" && cd "$HOME/work"
mkfifo "$HOME/port"
python3 -B "$here/model.py" "$truth" </dev/null >"$HOME/port" 2>/dev/null &
model=$!
trap 'kill $model' EXIT
read -r port <"$HOME/port"
url=http://127.0.0.1:$port

case $which in
claude)
    "$argus" hook --settings >"$HOME/settings.json"
    export ANTHROPIC_BASE_URL=$url ANTHROPIC_API_KEY=none DISABLE_AUTOUPDATER=1
    export CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1
    "$program" -p go --settings "$HOME/settings.json" --allowedTools Bash Write Agent Task </dev/null
    ;;
codex)
    mkdir "$HOME/.codex"
    "$argus" hook --settings >"$HOME/.codex/hooks.json"
    cat >"$HOME/.codex/config.toml" <<TOML
model = "scripted"
model_provider = "scripted"
[model_providers.scripted]
name = "scripted"
base_url = "$url/v1"
wire_api = "responses"
[analytics]
enabled = false
[features]
hooks = true
TOML
    "$program" exec --skip-git-repo-check --dangerously-bypass-approvals-and-sandbox \
        --dangerously-bypass-hook-trust go </dev/null
    ;;
gemini)
    mkdir "$HOME/.gemini"
    "$argus" hook --settings gemini | python3 -c 'import json, sys
auth = {"security": {"auth": {"selectedType": "gemini-api-key"}}}
print(json.dumps({**auth, **json.load(sys.stdin)}))' >"$HOME/.gemini/settings.json"
    export GOOGLE_GEMINI_BASE_URL=$url GEMINI_API_KEY=none
    "$program" -m gemini-2.5-flash -p go --yolo --skip-trust --include-directories "$truth" </dev/null
    ;;
esac
