#!/usr/bin/env bash
# Real input: 500 entries in the layout of pass(1), moved into kv by one loop and back, byte for
# byte; sealed for two, then one recipient leaves and everything is re-sealed. G5.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib_crypto.sh"
ENTRIES=500
export STORE=$SCRATCH/password-store PLAIN=$SCRATCH/plain
make_keyrings
start_server || done_testing
export KV_PORT=$PORT KV_PASS=x

# Entries as people have them: a password line, further lines, odd names; the same ones every time.
generate() {
  local i name folders=(mail 'shop/old shops' 'bank/Stadtsparkasse Süd' 'work/a%b')
  for ((i = 1; i <= ENTRIES; i++)); do
    name="${folders[i % 4]}/entry $i"
    mkdir -p "$PLAIN/${name%/*}"
    { printf 'pw-%s-"$\\%d\n' "$(cksum <<<"$i" | cut -d' ' -f1)" "$i"
      [ $((i % 3)) -eq 0 ] || printf 'login: user%d@example.org\nurl: https://a.org/?a&b=%%20\n' "$i"
      [ $((i % 7)) -ne 0 ] || printf '\n\n\tnotes with \303\274ml\303\244ut, CR\r\n  and blanks  \n'
    } >"$PLAIN/$name"
  done
}
# pass's own layout: a file NAME.gpg for each entry, the readers in .gpg-id.
to_store() {
  local file=${1#"$PLAIN"/}
  mkdir -p "$STORE/${file%/*}"
  gpg --batch --quiet --encrypt -r alice@kv.test -r bob@kv.test --output "$STORE/$file.gpg" "$1"
}
export -f to_store
each_entry() { find "$PLAIN" -type f -print0 | xargs -0 -P 2 -I{} bash -c "$1 \"\$1\"" _ {}; }
generate
each_entry to_store
printf 'alice@kv.test\nbob@kv.test\n' >"$STORE/.gpg-id"
is "the store is there" "$(find "$STORE" -name '*.gpg' | wc -l)" "$ENTRIES"

# --- in: the loop of the tutorial ---
cd "$STORE" || exit 1
"$KV_CLIENT" SET secrets/gpg-id -- .gpg-id >"$SCRATCH/out"
find . -name '*.gpg' | while IFS= read -r file; do
  name=${file#./}
  gpg --quiet --decrypt "$file" | "$KV_CLIENT" --encrypt SET "pass/${name%.gpg}" -- -
done >"$SCRATCH/out" 2>"$SCRATCH/err"
cd "$SCRATCH" || exit 1
is "all went in" "$(grep -c '^OK$' "$SCRATCH/out")" "$ENTRIES"
is "without a word on stderr" "$(cat "$SCRATCH/err")" ""
find "$PLAIN" -type f -printf 'pass/%P\n' | LC_ALL=C sort >"$SCRATCH/names"
"$KV_CLIENT" --scan 'pass/*' | LC_ALL=C sort >"$SCRATCH/scanned"
passes "under their names" cmp "$SCRATCH/scanned" "$SCRATCH/names"

# --- and back ---
# restored FOLDER: every entry, opened, as files
restored() {
  export BACK=$1
  rm -rf "$BACK"
  restore() {
    local name=${1#pass/}
    mkdir -p "$BACK/${name%/*}"
    "$KV_CLIENT" --decrypt --require-sealed GET "$1" >"$BACK/$name"
  }
  export -f restore
  xargs -d '\n' -P 2 -I{} bash -c 'restore "$1"' _ {} <"$SCRATCH/names" 2>"$SCRATCH/err"
}
same_as_before() { is "$1" "$(diff -r "$PLAIN" "$BACK" && echo same)" same; }
restored "$SCRATCH/alice"
same_as_before "alice gets them back byte for byte"
as_bob restored "$SCRATCH/bob"
same_as_before "so does bob"

# --- bob leaves ---
recipients_of() {
  "$KV_CLIENT" GET "$1" | gpg --batch --list-only --list-packets 2>/dev/null |
    grep -c '^:pubkey enc'
}
export -f recipients_of
count_for_one() {
  xargs -d '\n' -P 2 -I{} bash -c 'recipients_of "$1"' _ {} <"$SCRATCH/names" | grep -c '^1$'
}
some_changed() { [ "$(recipients_of "$(head -n 1 "$SCRATCH/names")")" = 1 ]; }
is "sealed for two each" "$(count_for_one)" 0
"$KV_CLIENT" SET secrets/gpg-id alice@kv.test >"$SCRATCH/out"
"$KV_CLIENT" --reencrypt pass/ >"$SCRATCH/out" 2>&1 &
reencrypt=$!
wait_for 60 some_changed
kill -KILL "$reencrypt" 2>/dev/null
wait "$reencrypt" 2>/dev/null
done_by_then=$(count_for_one)
passes "G5: killed half-way: $done_by_then are done" \
  [ "$done_by_then" -gt 0 -a "$done_by_then" -lt "$ENTRIES" ]
restored "$SCRATCH/halfway"
same_as_before "G5: and every value opens"
passes "G5: run again, it goes to the end" "$KV_CLIENT" --reencrypt pass/
is "G5: all are sealed for alice alone" "$(count_for_one)" "$ENTRIES"
restored "$SCRATCH/after"
same_as_before "G5: byte for byte"
first=$(head -n 1 "$SCRATCH/names")
as_bob exits "G5: bob opens nothing any more" 5 "$KV_CLIENT" --decrypt GET "$first"
is "G5: and gets nothing" "$(cat "$SCRATCH/out")" ""
done_testing
