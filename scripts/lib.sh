# Common parts of the other scripts. Sourced, not run.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Of a session that sets its own, the target directory is kept.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"

if [ -t 1 ]; then bold=$'\e[1m' plain=$'\e[0m'; else bold='' plain=''; fi

say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# need_packages NAME…: installs the Debian packages of these that are missing.
need_packages() {
    local missing=() name
    for name in "$@"; do
        dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || missing+=("$name")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "Installing Debian packages: ${missing[*]}"
    local sudo=''
    [ "$(id -u)" = 0 ] || sudo='sudo'
    # Services of these packages must not start by themselves: the scripts start their own.
    $sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 sh -c '
        apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@" >/dev/null' sh "${missing[@]}"
}

# Rust from rustup, where there is none.
need_rust() {
    [ -f "$HOME/.cargo/env" ] && . "$HOME/.cargo/env"
    if ! command -v cargo >/dev/null; then
        need_packages ca-certificates curl gcc libc6-dev
        say 'Installing Rust with rustup'
        curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y -q --profile minimal -c clippy -c rustfmt
        . "$HOME/.cargo/env"
    fi
    need_packages gcc libc6-dev
}

# need_cargo_programs NAME…: installs those programs of crates.io that are missing.
need_cargo_programs() {
    local name
    for name in "$@"; do
        command -v "$name" >/dev/null || cargo install --quiet --locked "$name"
    done
}

# The Go programs that tests drive as other people's clients. Without Go they stay missing, and the tests
# that need them say so.
need_go_programs() {
    command -v go >/dev/null || return 0
    local module name
    for module in github.com/google/go-containerregistry/cmd/crane@latest oras.land/oras/cmd/oras@latest \
        helm.sh/helm/v3/cmd/helm@v3.22.0 sigs.k8s.io/kustomize/kustomize/v5@v5.7.1 \
        github.com/opencontainers/distribution-spec/conformance@latest \
        github.com/sigstore/cosign/v2/cmd/cosign@v2.6.1 \
        github.com/rhysd/actionlint/cmd/actionlint@v1.7.12; do
        name=${module%@*} name=${name%/v[0-9]} name=${name##*/}
        command -v "$name" >/dev/null || [ -x "$HOME/go/bin/$name" ] || {
            say "Installing $name with Go"
            go install "$module"
        }
    done
    # A program of ours around the module with which K3s reads its registries.yaml.
    [ -x "$HOME/go/bin/wharfie-pull" ] || {
        say 'Building wharfie-pull with Go'
        (cd tests/readers && go build -o "$HOME/go/bin/wharfie-pull" .)
    }
}

# start_registry NAME: starts Debian's docker-registry on a free port, with its files below
# $work/NAME; sets $NAME to its host:port. $work is removed, and the registries end, with the script.
start_registry() {
    local name=$1 port log=$work/$1.log
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    cat >"$work/$name.yml" <<EOF
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $work/$name}, delete: {enabled: true}}
http: {addr: "127.0.0.1:$port"}
EOF
    OTEL_TRACES_EXPORTER=none docker-registry serve "$work/$name.yml" >"$log" 2>&1 &
    registries+=($!)
    disown
    local tries
    for ((tries = 0; tries < 100; tries++)); do
        curl -sf "http://127.0.0.1:$port/v2/" >/dev/null && break
        sleep 0.1
    done
    [ "$tries" -lt 100 ] || die "the registry '$name' does not start: $(tail -3 "$log")"
    printf -v "$name" '127.0.0.1:%s' "$port"
}

# stop_registry NAME: ends that registry and removes its files.
stop_registry() {
    pkill -f "docker-registry serve $work/$1.yml" || true
    rm -rf "${work:?}/$1"
}

registries=()
work=''

clean_up() {
    [ ${#registries[@]} -eq 0 ] || kill "${registries[@]}" 2>/dev/null || true
    [ -z "$work" ] || rm -rf "$work"
}

# make_work_directory [PARENT]: sets $work.
make_work_directory() {
    work=$(mktemp -d "${1:-${TMPDIR:-/tmp}}/bundle-${0##*/}.XXXXXX")
    trap clean_up EXIT
}
