#!/usr/bin/env bash
# Builds the fuzz targets and runs them, with the stable toolchain and without cargo-fuzz.
#
#   bash fuzz/run.sh                               each target for six seconds
#   FUZZ_SECONDS=600 bash fuzz/run.sh head         one of them, for ten minutes
#   FUZZ_RUNS=10000000 bash fuzz/run.sh            each for ten million cases
#   FUZZ_SANITIZER=address bash fuzz/run.sh        with the address sanitizer: half as fast, for the
#                                                  dependencies, since heist-net has no unsafe code
#
# A finding is written to fuzz/artifacts/TARGET; run it again with the target's program and that file. What is learnt
# goes to fuzz/corpus, which is not checked in; fuzz/seeds is, and `cargo fuzz` works here too.
set -euo pipefail
cd "$(dirname "$0")"

all=(head chunked response redirect codec coding cookie links robots sitemap lines)
targets=("${@:-${all[@]}}")
triple="$(rustc -vV | sed -n 's/^host: //p')"
out="${CARGO_TARGET_DIR:-$PWD/target}/fuzz"

# The same flags as those of cargo-fuzz: counters for edges, and the operands of comparisons for the mutator.
flags="--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module"
flags+=" -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
flags+=" -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
if [[ -n "${FUZZ_SANITIZER:-}" ]]; then
    export RUSTC_BOOTSTRAP=1
    flags+=" -Zsanitizer=$FUZZ_SANITIZER"
    out+="-$FUZZ_SANITIZER"
fi

# A triple is named so that build scripts get none of these flags. The lock file is not binding: it follows what
# heist-net depends on.
RUSTFLAGS="$flags" cargo build --release --bins --target "$triple" --target-dir "$out"

# Bytes of an input, at most. What is here is as much as the parser has limits, states and buffers to be met with: more
# only costs time, as long as everything in it is read several times over.
longest() {
    case "$1" in
        codec | coding | cookie | lines | links | robots | sitemap) echo 512 ;;
        redirect) echo 1024 ;;
        *) echo 4096 ;;
    esac
}

# What the mutator puts in.
dictionary() {
    case "$1" in
        links | robots | sitemap | lines) echo crawl.dict ;;
        *) echo http.dict ;;
    esac
}

for target in "${targets[@]}"; do
    mkdir -p "corpus/$target" "artifacts/$target"
    log="artifacts/$target/log"
    limit="-max_total_time=${FUZZ_SECONDS:-6}"
    [[ -z "${FUZZ_RUNS:-}" ]] || limit="-runs=$FUZZ_RUNS"
    if ! "$out/$triple/release/$target" "corpus/$target" "seeds/$target" \
        -artifact_prefix="artifacts/$target/" -dict="$(dictionary "$target")" "$limit" -max_len="$(longest "$target")" \
        -timeout=60 -rss_limit_mb=1024 -verbosity=0 -print_final_stats=1 >"$log" 2>&1; then
        tail -n 60 "$log" >&2
        echo "$target: a finding, see above; its input is in fuzz/artifacts/$target" >&2
        exit 1
    fi
    sed -n 's/^stat:://p' "$log" | awk -v target="$target" '
        /number_of_executed_units/ { cases = $2 }
        /average_exec_per_sec/ { rate = $2 }
        /peak_rss_mb/ { memory = $2 }
        END { print target ": " cases " cases, " rate " a second, nothing found, at most " memory " MB" }'
done
