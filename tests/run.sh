#!/usr/bin/env bash
# The whole check of radmit: style, lints, documentation, supply chain, the shipped files, every test.
#
#   tests/run.sh            all steps; the exit code is 0 only if every one passed
#   tests/run.sh tests      only the steps named: style lints docs supply-chain advisories shipped-files budgets tests
#
# The network is needed once, for what is not cached yet. Three build profiles are used: check, dev, and bench for the
# budgets, which are counted in what is shipped.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly CARGO_DENY_VERSION=0.20.2
readonly ALL_STEPS=(style lints docs supply-chain advisories shipped-files budgets tests)
readonly TARGET="${CARGO_TARGET_DIR:-target}"
readonly LOG="$TARGET/run-tests.log"
failed=()
export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-never}"

say() { printf '\n== %s\n' "$*"; }

# --- what must be there -----------------------------------------------------------------------------------------------

readonly DEBIAN_PACKAGES=(freeradius-utils freeradius-common eapoltest openssl valgrind)

missing_tools() {
    command -v radclient >/dev/null || echo radclient
    command -v eapol_test >/dev/null || echo eapol_test
    command -v openssl >/dev/null || echo openssl
    [ -f /usr/share/freeradius/dictionary ] || echo "FreeRADIUS's dictionaries"
    command -v valgrind >/dev/null || echo valgrind
}

install_packages() {
    local run=()
    command -v apt-get >/dev/null || return 1
    if [ "$(id -u)" -ne 0 ]; then
        sudo -n true 2>/dev/null || return 1
        run=(sudo -n)
    fi
    local install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${DEBIAN_PACKAGES[@]}")
    # The lists of packages may be old or not there at all.
    "${run[@]}" "${install[@]}" || { "${run[@]}" apt-get update -q && "${run[@]}" "${install[@]}"; }
}

need_tools() {
    local missing
    missing=$(missing_tools)
    [ -n "$missing" ] || return 0
    echo "missing: ${missing//$'\n'/, }; installing ${DEBIAN_PACKAGES[*]}"
    install_packages >&2 || true
    missing=$(missing_tools)
    if [ -n "$missing" ]; then
        echo "still missing: ${missing//$'\n'/, }"
        echo "On Debian or Ubuntu: sudo apt-get install ${DEBIAN_PACKAGES[*]}"
        echo "Elsewhere: install FreeRADIUS's client tools and dictionaries, wpa_supplicant's eapol_test, and valgrind."
        return 1
    fi
}

need_cargo_deny() {
    cargo deny --version >/dev/null 2>&1 && return 0
    echo "cargo-deny is missing; installing version $CARGO_DENY_VERSION (about three minutes on two cores)"
    cargo install --locked --version "$CARGO_DENY_VERSION" cargo-deny && return 0
    echo "cargo-deny can't be installed; with network: cargo install --locked cargo-deny"
    return 1
}

# --- the steps --------------------------------------------------------------------------------------------------------

step_style() { cargo fmt --all -- --check; }

step_lints() { cargo clippy --locked --all-targets -- -D warnings; }

step_docs() { RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items; }

step_supply-chain() { need_cargo_deny && cargo deny --log-level error check --hide-inclusion-graph bans licenses sources; }

# The one step that may be skipped: the database of advisories lives on the network, which may be closed here.
step_advisories() {
    need_cargo_deny || return 1
    local said
    if said=$(cargo deny fetch db 2>&1); then
        cargo deny --log-level error check advisories
    elif grep -qiE 'resolve host|connect|timed out|timeout|unreachable|network' <<<"$said"; then
        echo "NOT CHECKED: the advisory database (github.com/RustSec/advisory-db) can't be reached from here."
    else
        printf '%s\n' "$said"
        return 1
    fi
}

step_shipped-files() {
    # The program that the tests build: `cargo build` would compile the dependencies again, with fewer features.
    cargo test --locked --no-run || return 1
    local radmit="$TARGET/debug/radmit" configuration="tests/shipped/radmit.toml"
    export RADMIT_SHIPPED_SECRET="only-for-this-check-0123456789"
    "$radmit" check -c "$configuration" || return 1
    local said
    said=$("$radmit" test -c "$configuration") || { printf '%s\n' "$said"; return 1; }
    printf '%s\n' "$said"
    # A program that tests nothing also exits with 0.
    [[ ${said##*$'\n'} =~ ^[1-9][0-9]*\ passed,\ 0\ failed$ ]] || { echo "no cases were run"; return 1; }
}

# Instructions of each stage, held against benches/budgets.toml: the same on a busy machine as on a quiet one.
step_budgets() { need_tools && cargo bench --locked --bench instructions; }

# Everything, tests/interop.rs and tests/eapol.rs included: they drive the built program with the real radclient and
# eapol_test.
step_tests() {
    need_tools || return 1
    mkdir -p "$TARGET"
    local status=0
    if cargo nextest --version >/dev/null 2>&1; then
        # nextest runs no documentation tests.
        cargo test --locked --doc 2>&1 | tee "$LOG" || status=1
        cargo nextest run --locked 2>&1 | tee -a "$LOG" || status=1
    else
        cargo test --locked --no-fail-fast 2>&1 | tee "$LOG" || status=1
    fi
    return "$status"
}

# Adds up the closing lines of both runners: "test result: ok. 3 passed; 0 failed" and "7 tests run: 6 passed, 1 failed".
summary() {
    awk '
        /^test result:|^ *Summary \[/ {
            for (at = 2; at <= NF; at++) {
                if ($at ~ /^passed/) passed += $(at - 1)
                if ($at ~ /^(failed|timed)/) failed += $(at - 1)
            }
        }
        END { printf "%d passed, %d failed\n", passed, failed }
    ' "$LOG"
}

# --- one after the other ----------------------------------------------------------------------------------------------

main() {
    local steps=("$@") step began
    [ $# -gt 0 ] || steps=("${ALL_STEPS[@]}")
    for step in "${steps[@]}"; do
        declare -F "step_$step" >/dev/null || { echo "no step \"$step\"; there are: ${ALL_STEPS[*]}" >&2; exit 2; }
    done
    rm -f "$LOG"
    for step in "${steps[@]}"; do
        say "$step"
        began=$SECONDS
        if "step_$step"; then
            echo "-- $step: passed in $((SECONDS - began)) s"
        else
            failed+=("$step")
            echo "-- $step: FAILED after $((SECONDS - began)) s"
        fi
    done
    say "${#steps[@]} steps in $SECONDS s"
    if [ "${#failed[@]}" -gt 0 ]; then
        echo "failed steps: ${failed[*]}"
    fi
    [ ! -f "$LOG" ] || summary
    [ "${#failed[@]}" -eq 0 ]
}

main "$@"
