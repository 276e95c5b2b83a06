#!/usr/bin/env bash
# Installs what is missing, and only that. It looks each time, which costs milliseconds: a stamp would hide a package
# that was removed since. Usage: setup.sh build [test]
set -euo pipefail

say() { printf '== %s\n' "$*"; }

# What must be there, as `probe package`; a probe is a command, `lib:` and a pkg-config name, `py:` and a module,
# or `debian-py:` and one of Debian's own Python, which may not be the first on the path.
build_needs=(
    'clang clang' 'make make' 'cc gcc' 'pkg-config pkg-config' 'python3 python3' 'ip iproute2'
    'lib:libelf libelf-dev' 'lib:zlib zlib1g-dev'
)
test_needs=('clang-format clang-format')
# What only some tests need; without it they are skipped, and named.
test_wishes=(
    'bwrap bubblewrap' 'chromium chromium' 'qemu-system-x86_64 qemu-system-x86' 'busybox busybox-static' 'cpio cpio'
    'node nodejs' 'npm npm' 'py:ensurepip python3-venv' 'git git' 'tmux tmux' 'ccache ccache' 'ssh-agent openssh-client'
    'debian-py:xdist python3-pytest-xdist'
)

present() {
    case $1 in
    lib:*) pkg-config --exists "${1#lib:}" 2>/dev/null ;;
    py:*) python3 -c "import ${1#py:}" 2>/dev/null ;;
    debian-py:*) /usr/bin/python3 -c "import ${1#debian-py:}" 2>/dev/null ;;
    *) command -v "$1" >/dev/null ;;
    esac
}

missing() {
    local need
    for need in "$@"; do
        present "${need%% *}" || echo "${need##* }"
    done
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

can_install() {
    command -v apt-get >/dev/null && { [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null; }
}

updated=
install_packages() {
    if [ -z "$updated" ]; then
        say 'reading the package lists'
        as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq || return 1
        updated=yes
    fi
    say "installing $*"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

needs=() wishes=()
for part in "$@"; do
    case $part in
    build) needs+=("${build_needs[@]}") ;;
    test) needs+=("${test_needs[@]}") wishes+=("${test_wishes[@]}") ;;
    esac
done

if [ "$(uname -s)" = Linux ]; then
    mapfile -t packages < <(missing "${needs[@]}")
    if [ ${#packages[@]} -gt 0 ]; then
        if can_install; then
            install_packages "${packages[@]}"
        else
            say "missing: ${packages[*]}"
            say 'They cannot be installed here: that takes apt-get, and root or sudo without a password.'
            say "On Debian or Ubuntu: sudo apt-get install ${packages[*]}"
            say 'Analysing needs none of them but python3; recording and the tests do.'
        fi
    fi
    mapfile -t packages < <(missing ${wishes[@]+"${wishes[@]}"})
    for package in "${packages[@]}"; do
        { can_install && install_packages "$package"; } ||
            say "$package is not available here; the tests that need it will be skipped"
    done
fi

# The agent frameworks that the Python SDK is tested against; once, as they take a minute.
install_frameworks() {
    # shellcheck source=sdk.sh
    source "$(dirname "$0")/sdk.sh"
    [ -x "$sdk_venv/bin/python3" ] && return
    say 'installing the packages that the Python SDK is tested against, outside this folder'
    local making=$sdk_venv.$$
    if python3 -m venv "$making" &&
        "$making/bin/python3" -m pip install --quiet --disable-pip-version-check -r "$sdk_requirements"; then
        mv "$making" "$sdk_venv"
    else
        rm -rf "$making"
        say 'they are not available here; the tests that need them will be skipped'
    fi
}

# The coding agents that hooks are tried with; once, as they are large.
install_coders() {
    # shellcheck source=coders.sh
    source "$(dirname "$0")/coders.sh"
    [ -d "$coders" ] && return
    say 'installing the coding agents that hooks are tried with, outside this folder'
    local making=$coders.$$
    mkdir -p "$making"
    if command -v npm >/dev/null && npm install --silent --ignore-scripts --no-audit --no-fund --prefix "$making" "${coders_packages[@]}"; then
        mv "$making" "$coders"
    else
        rm -rf "$making"
        say 'they are not available here; the tests that need them will be skipped'
    fi
}
case " $* " in *' test '*) install_frameworks && install_coders ;; esac

# Rust. The oldest that builds the workspace stands in Cargo.toml.
wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$(dirname "$0")/../../Cargo.toml")
recent_cargo() {
    local have
    have=$(cargo --version 2>/dev/null | cut -d' ' -f2) || return 1
    [ -n "$have" ] && [ "$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -n1)" = "$wanted" ]
}
if ! recent_cargo; then
    # Debian 13 and Ubuntu 24.04 package rustup; Debian 12 does not, and its own cargo is too old.
    if ! command -v rustup >/dev/null && can_install && apt-cache show rustup >/dev/null 2>&1; then
        install_packages rustup || true
    fi
    if command -v rustup >/dev/null; then
        say 'installing the stable Rust toolchain through rustup'
        rustup toolchain install stable --profile minimal --component rustfmt --no-self-update
        rustup default stable
    fi
fi
if ! recent_cargo && ! command -v rustup >/dev/null; then
    command -v curl >/dev/null || install_packages curl ca-certificates || true
    say 'installing rustup, as https://rustup.rs says, into your home folder'
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs |
        sh -s -- -y --quiet --no-modify-path --profile minimal --component rustfmt || true
    export PATH=$HOME/.cargo/bin:$PATH
fi
if ! recent_cargo; then
    cat >&2 <<MESSAGE
Argus needs cargo $wanted or newer; found: $(cargo --version 2>/dev/null || echo none).
The cargo that Debian 12 packages is older. Get rustup as https://rustup.rs says, then:
    rustup default stable
and run make again. (Where the system packages rustup, make installs it by itself.)
MESSAGE
    exit 1
fi
