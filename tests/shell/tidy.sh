#!/usr/bin/env bash
# The rules of how kv is written, each one test: it fails with the lines that break it.
# Exceptions are named here, with the reason; nothing is excepted by a comment in the code.
. "$(dirname "$0")/lib.sh"
shopt -s lastpipe  # `... | holds` counts in this shell
cd "$KV_TOP" || exit 1

if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
  mapfile -t FILES < <(git ls-files --cached --others --exclude-standard | while read -r f; do [ -f "$f" ] && echo "$f"; done)
else
  mapfile -t FILES < <(find . -type f -not -path './.build/*' -not -path './.git/*' | sed 's|^\./||')
fi
# of PATTERN: the files whose names match.
of() { printf '%s\n' "${FILES[@]}" | grep -E "$1"; }
mapfile -t CODE < <(of '\.(cpp|hpp|h|c)$')
mapfile -t SCRIPTS < <(of '\.(sh|py)$|^tests/run$|^tests/bench/run$|^\.ci/')
mapfile -t PROGRAM < <(of '\.(cpp|hpp|h|c)$' | grep -v '^tests/')

# holds NAME: reads the offenders; none is a pass.
holds() {
  local offenders
  offenders=$(head -n 40)
  if [ -z "$offenders" ]; then ok "$1"; else not_ok "$1" "${offenders//$'\n'/$'\n#   '}"; fi
}
# except NAMES...: drops lines that begin with one of the files named.
except() { local names; names=$(printf '|%s' "$@"); grep -vE "^(${names#|})(:|$)"; }

is "there is code to look at" "$([ "${#CODE[@]}" -gt 100 ] && echo yes)" yes

# --- layout ---
grep -nP '^.{101,}' "${CODE[@]}" | cut -c1-90 | holds "no line of code is over 100 columns"
grep -nP '^.{141,}' "${SCRIPTS[@]}" | cut -c1-90 |
  except tests/shell/lib.sh tests/shell/options.sh tests/shell/processes.sh tests/shell/crypto_pass.sh \
    tests/shell/crypto_client.sh tests/shell/package_index.sh | holds "no line of a script is over 140 columns"
wc -l "${CODE[@]}" "${SCRIPTS[@]}" | awk '$2 != "total" && $1 > 600 {print $2 ": " $1 " lines"}' |
  holds "no file is over 600 lines"
/usr/bin/python3 tests/shell/function_lengths.py 70 "${CODE[@]}" | holds "no function is over 70 lines"
printf 'int f(int a) {\n%s}\n' "$(printf '  ++a;\n%.0s' {1..70})"$'\n' >"$SCRATCH/long.cpp"
isnt "a function that is over 70 lines is found" "$(/usr/bin/python3 tests/shell/function_lengths.py 70 "$SCRATCH/long.cpp")" ""
grep -nE '[[:blank:]]+$' "${CODE[@]}" "${SCRIPTS[@]}" Makefile | holds "no line ends with blanks"
grep -nP '\t' "${CODE[@]}" | holds "no tabs in code"
for f in "${CODE[@]}" "${SCRIPTS[@]}"; do
  [ -z "$(tail -c 1 "$f")" ] || echo "$f: no newline at the end"
done | holds "each file ends with a newline"
if command -v clang-format >/dev/null; then
  clang-format --dry-run -Werror "${CODE[@]}" 2>&1 | grep -E 'error:' | cut -d: -f1 | sort | uniq -c |
    holds "code is as clang-format leaves it"
fi

# --- what each file says of itself ---
for f in "${CODE[@]}"; do
  head -n 1 "$f" | grep -qE '^(//|/\*)' || echo "$f"
done | holds "each source begins by saying what it is for"
for f in "${SCRIPTS[@]}"; do
  head -n 2 "$f" | tail -n +1 | grep -v '^#!' | head -n 1 | grep -qE '^(#|""")' || echo "$f"
done | holds "each script begins by saying what it is for"
for f in $(of '\.hpp$'); do grep -q '^#pragma once' "$f" || echo "$f"; done | holds "each header is included once"
grep -nE 'TO''DO|FIX''ME' "${CODE[@]}" "${SCRIPTS[@]}" Makefile | holds "nothing is left for later in a comment"
grep -nE '(^|[^[:alnum:]_.}])/(work|home|root)/' "${FILES[@]}" 2>/dev/null | grep -v '^tests/shell/tidy.sh:' |
  cut -c1-120 | holds "no path of one machine"

# --- includes point one way ---
# layer: what it may include beside itself.
declare -A MAY=(
  [libkv/base]=""
  [libkv/value]="libkv/base"
  [libkv/wire]="libkv/base libkv/value"
  [libkv/keyspace]="libkv/base libkv/value"
  [libkv/rdb]="libkv/base libkv/value libkv/keyspace"
  [libkv/commands]="libkv/base libkv/value libkv/wire libkv/keyspace libkv/rdb"
  [persistence]="libkv/base libkv/value libkv/wire libkv/keyspace libkv/rdb"
  [libkv/engine]="libkv/base libkv/value libkv/wire libkv/keyspace libkv/commands persistence"
  [libkv/process]="libkv/base libkv/value libkv/wire libkv/keyspace libkv/commands persistence libkv/engine"
  [crypto]="libkv/base libkv/value libkv/wire"
  [libkv/client]="libkv/base libkv/value libkv/wire crypto"
)
layer_of() { sed -nE 's#^(libkv/[a-z]+|[a-z]+)/.*#\1#p' <<<"$1"; }
wrong_includes() {
  local file include from to
  grep -HoE '^#include "[^"]+"' "${PROGRAM[@]}" | sed -E 's/#include "//; s/"$//' |
    while IFS=: read -r file include; do
      from=$(layer_of "$file") to=$(layer_of "$include")
      [ -n "$from" ] && [ -n "${MAY[$from]+set}" ] && [ -n "$to" ] && [ "$from" != "$to" ] || continue
      [ "$to" = kv ] && [ "$from" = libkv/client ] && continue  # its public headers, kv/client.hpp
      case " ${MAY[$from]} " in *" $to "*) ;; *) echo "$file includes $include" ;; esac
    done
}
wrong_includes | holds "includes point one way"
# The engine and persistence know each other through the log's interface alone.
grep -nE '#include "persistence/' libkv/engine/*.?pp | grep -v 'persistence/write_log.hpp' |
  holds "the engine sees of persistence only its log"

# --- what is written about files ---
named='(tests|libkv|persistence|crypto|man)/[[:alnum:]_/.-]+\.(cpp|hpp|sh|py|md|h)'
git ls-files '*.?pp' '*.h' '*.md' '*.sh' '*.py' Makefile | xargs grep -oE "$named" | sort -u |
  while IFS=: read -r file name; do
    [ -e "$name" ] || [ -e "libkv/$name" ] || [ -e "libkv/client/$name" ] || echo "$file: $name"
  done | holds "files that are named are there"

# --- the ids in the names of tests ---
id='\b[ADEFGNPS][0-9]{1,2}\b'
sed -nE 's/^\| ([A-Z][0-9]+) \|.*/\1/p' tests/README.md | sort >"$SCRATCH/explained"
grep -hoE "$id" $(of '^tests/(unit|shell|python)/.*\.(cpp|sh|py)$' | grep -v tidy.sh) | sort -u >"$SCRATCH/used"
comm -3 "$SCRATCH/explained" "$SCRATCH/used" | holds "each id in a test is explained in tests/README.md, and has a test"

# --- calls that have a door of their own ---
grep -nE '\b(strcpy|strcat|sprintf|vsprintf|gets|tmpnam|mktemp|alloca|strtok)\(' "${CODE[@]}" |
  holds "no call without bounds"
grep -nE '(^|[^[:alnum:]_.>"])(std::)?(system|popen)\(' "${PROGRAM[@]}" | holds "no shell is started"
# base/env.cpp is the door to files of data, base/fd.cpp to sockets and pipes, base/log.cpp to stderr.
calls='write|pwrite|writev|fsync|fdatasync|rename|renameat|ftruncate|truncate'
grep -nE "(^|[^[:alnum:]_>])::($calls)\\(" "${PROGRAM[@]}" |
  except libkv/base/env.cpp libkv/base/fd.cpp libkv/base/log.cpp libkv/process/bulk.cpp |
  holds "files are changed through base/env alone"
grep -nE '\b(fopen|freopen|ofstream|fstream)\b' "${PROGRAM[@]}" |
  except libkv/process/saver.cpp libkv/client/options.cpp man/pages.cpp |  # /proc; a password; manuals
  holds "files are opened through base/env alone"
grep -nE 'std::j?thread\b' "${PROGRAM[@]}" |
  grep -v hardware_concurrency |
  except persistence/aof_writer.hpp persistence/aof_writer.cpp |  # the fsync that nobody waits for
  holds "threads only where they are named here"

# --- what the programs are linked with ---
if [ -x "$KV_SERVER" ] && [ -x "$KV_CLIENT" ]; then
  ldd "$KV_SERVER" | grep -E 'gpgme|libedit' | holds "the server links no GPG and no line editor"
  nm -C "$KV_SERVER" 2>/dev/null | grep -iE 'gpgme_' | holds "the server has no GPG code"
  nm -C "$KV_CLIENT" 2>/dev/null | grep -E 'kv::(Keyspace|Engine|Sibling)\b' | holds "the client holds no keyspace"
  # A compiler once took the fetching of entries for a call without effect, and left it out: one
  # line of slots, and two of an entry.
  lines_fetched() {
    local function
    function=$(nm "$KV_SERVER" | awk -v name="$1" '$3 ~ name {print $3; exit}')
    objdump -d --disassemble="$function" "$KV_SERVER" | grep -cE '\b(prefetch|prfm)'
  }
  is "the look-ahead fetches entries" "$(lines_fetched Keyspace8prefetch)" 3
  is "and fields of large hashes" "$(lines_fetched Keyspace14prefetch_field)" 3
fi
done_testing
