#!/usr/bin/env bash
# A million mutated inputs through the wire's parsers and translators, under sanitizers, bounded in
# memory. KV_FUZZ_SEED repeats a run that failed; the seed is in the output.
. "$(dirname "$0")/lib.sh"
cd "$KV_TOP" || exit 1
ROUNDS=${KV_FUZZ_ROUNDS:-1000000}
build() {
  "${CXX:-g++}" -std=c++20 -O1 -g1 -fsanitize=address,undefined -fno-sanitize-recover=all -I. \
    tests/fuzz/wire_fuzz.cpp libkv/wire/*.cpp libkv/value/*.cpp libkv/base/text.cpp libkv/base/status.cpp \
    -o "$SCRATCH/wire_fuzz"
}
passes "the fuzzer builds with sanitizers" build
"$SCRATCH/wire_fuzz" "$ROUNDS" ${KV_FUZZ_SEED:+"$KV_FUZZ_SEED"} >"$SCRATCH/fuzz.out" 2>&1
is "N1 N2 N3 N4 N10 $ROUNDS mutated inputs do no harm" "$?" 0
sed 's/^/# /' "$SCRATCH/fuzz.out" | tail -n 30
done_testing
