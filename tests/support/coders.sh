# Where the coding agents are that hooks are tried with, as their makers publish them: outside the clone, by their
# versions. Sourced by setup.sh, which installs them; the tests ask for `coders`.
# shellcheck shell=bash

# shellcheck disable=SC2034 # for who sources it
coders_packages=(@anthropic-ai/claude-code@2.1.197 @openai/codex@0.171.0 @google/gemini-cli@0.61.0)
# shellcheck disable=SC2034
coders=$HOME/.cache/argus/coders/$(sha256sum <<<"${coders_packages[*]}" | cut -c1-16)
