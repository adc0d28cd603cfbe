#!/usr/bin/env bash
# libkvclient as its user has it: installed into a scratch folder, found with pkg-config, and every
# example of its manual page compiled and run, against kv and (those that do not seal) a real Redis.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib_crypto.sh"
cd "$KV_TOP" || exit 1
if [ -n "${SAN:-}" ]; then ok "installing is for release builds # SKIP"; done_testing; fi
unset MAKEFLAGS MFLAGS MAKELEVEL
passes "make install" make install PREFIX="$SCRATCH/kv"
export PKG_CONFIG_PATH=$SCRATCH/kv/lib/pkgconfig LD_LIBRARY_PATH=$SCRATCH/kv/lib
read -ra flags < <(pkg-config --cflags --libs libkvclient)
read -ra static_flags < <(pkg-config --static --cflags --libs libkvclient)

# example FILE: its text in the manual page.
example() {
  awk -v name="$1" '$0 == ".\\\" example: " name {on = 1; next} on && /^\.EE/ {exit} on && !/^\.EX/' \
    man/libkvclient.3 | sed 's/\\e/\\/g; s/\\-/-/g'
}
compile() {
  example "$1" >"$SCRATCH/$1"
  case $1 in
    *.c) gcc -std=c11 -Wall -Wextra -Werror "$SCRATCH/$1" "${flags[@]}" -o "$SCRATCH/${1%.*}" ;;
    *) g++ -std=c++20 -Wall -Wextra -Werror "$SCRATCH/$1" "${flags[@]}" -pthread -o "$SCRATCH/${1%.*}" ;;
  esac
}
for name in hello.c pipeline.c typed.cpp pool.cpp sealed.cpp; do
  passes "the example $name compiles" compile "$name"
done
like "every example of the page is tried" "$(grep -c '^\.\\" example: ' man/libkvclient.3)" '^5$'

# run NAME: what the example prints, errors included.
run() { "$SCRATCH/$1" 2>&1; }
examples_run() {
  is "$1: hello.c" "$(run hello)" \
    $'hello\n1\na\nb\nERR value is not an integer or out of range'
  is "$1: pipeline.c" "$(run pipeline)" "1000 replies, the last is OK"
  is "$1: typed.cpp" "$(run typed)" $'Ada\nnothing there\nname=Ada'
  like "$1: pool.cpp" "$(run pool)" '^800 over [1-4]$'
}

make_keyrings
start_server || done_testing
export KV_URL="kv://:$PASS@127.0.0.1:$PORT"
examples_run kv
is "sealed.cpp without recipients says what to do" \
  "$(run sealed | grep -c -- '--recipient')" 1
kv SET secrets/gpg-id alice@kv.test >"$SCRATCH/out"
is "sealed.cpp" "$(run sealed)" $'-----BEGIN PGP MESSAGE-----\nfor my eyes'

start_redis_port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
redis-server --port "$start_redis_port" --bind 127.0.0.1 --save '' --dir "$SCRATCH" >"$SCRATCH/redis.out" 2>&1 &
SERVERS+=($!)
wait_for 20 redis-cli -p "$start_redis_port" PING
KV_URL=redis://127.0.0.1:$start_redis_port examples_run redis

example hello.c >"$SCRATCH/hello.c"
passes "a static program, with the flags of pkg-config --static alone" \
  gcc -std=c11 -static "$SCRATCH/hello.c" -o "$SCRATCH/hello-static" "${static_flags[@]}"
example sealed.cpp >"$SCRATCH/sealed.cpp"
passes "a static program that seals compiles" \
  g++ -std=c++20 -static "$SCRATCH/sealed.cpp" -o "$SCRATCH/sealed-static" "${static_flags[@]}"
exits "but it cannot load GPGME, and does not crash" 1 "$SCRATCH/sealed-static"
like "it says what to do" "$(cat "$SCRATCH/err")" 'without -static$'
passes "the library itself may be linked statically" \
  g++ -std=c++20 "$SCRATCH/sealed.cpp" -o "$SCRATCH/sealed-archive" -Wl,-Bstatic "${static_flags[@]}" -Wl,-Bdynamic
is "and then seals" "$("$SCRATCH/sealed-archive" 2>&1)" $'-----BEGIN PGP MESSAGE-----\nfor my eyes'
unlike "nobody links GPGME" "${static_flags[*]}" 'gpgme'
KV_URL=kv://127.0.0.1:1 exits "nobody listens: said, not crashed" 1 "$SCRATCH/hello"
like "with the reason" "$(cat "$SCRATCH/err")" 'cannot connect to 127.0.0.1:1'

# --- what the library shows ---
symbols() { nm -D --defined-only "$SCRATCH/kv/lib/libkvclient.so" | c++filt | awk '{$1 = $2 = ""; print substr($0, 3)}'; }
is "every symbol is kv_* or kv::client::*" \
  "$(symbols | grep -v -E '^(KVCLIENT_1|kv_[a-z_]+@|(typeinfo |typeinfo name |vtable )?(for )?kv::client::)' | head -n 3)" ""
passes "the symbols have a version" bash -c "nm -D '$SCRATCH/kv/lib/libkvclient.so' | grep -q 'kv_call@@KVCLIENT_1'"
is "every C function declared is there" \
  "$(grep -oE '\bkv_[a-z_]+\(' libkv/client/kv/client.h | tr -d '(' | sort -u |
    grep -vxF "$(symbols | grep -oE '^kv_[a-z_]+' | sort -u)" | grep -v '^kv_options_$')" ""
is "the library loads no GPGME by itself" "$(readelf -d "$SCRATCH/kv/lib/libkvclient.so" | grep -c gpgme)" 0
passes "the manual page has no mistakes" bash -c \
  "LC_ALL=C.UTF-8 man --warnings -E UTF-8 -l -Tutf8 -Z man/libkvclient.3 2>&1 >/dev/null | (! grep .)"
done_testing
