# Where the packages are that the Python SDK is tested against: outside the clone, by what they are and for which Python.
# Sourced by setup.sh, which installs them, and by test.sh.
# shellcheck shell=bash

sdk_requirements=$(dirname "${BASH_SOURCE[0]}")/../../capture/sdk/python/tests/requirements.txt
# shellcheck disable=SC2034 # for who sources it
sdk_venv=$HOME/.cache/argus/python/$({
    python3 --version
    cat "$sdk_requirements"
} | sha256sum | cut -c1-16)
