#!/usr/bin/env bash
# The manual pages and completions: current with the tables, complete, and clean for man(1).
. "$(dirname "$0")/lib.sh"
cd "$KV_TOP" || exit 1
pages=$KV_BUILD/pages
tables=$KV_BUILD/tables

# shown PAGE: the page as a reader sees it, words not broken.
shown() { MANWIDTH=400 man -l "$1" 2>/dev/null | cat; }

for page in server client; do
  "$pages" "$page" "man/$page.1" >"$SCRATCH/$page.1"
  passes "man/$page.1 is current (make man)" cmp "$SCRATCH/$page.1" "man/$page.1"
  is "man has no complaint about $page.1" "$(man --warnings=w -l "man/$page.1" 2>&1 >/dev/null)" ""
  shown "man/$page.1" >"$SCRATCH/$page.txt"
  for heading in NAME SYNOPSIS DESCRIPTION OPTIONS COMMANDS 'EXIT STATUS' SECURITY EXAMPLES 'SEE ALSO'; do
    passes "$page.1 has the section $heading" grep -qx "$heading" "$SCRATCH/$page.txt"
  done
done
for shell in bash zsh; do
  "$pages" $shell >"$SCRATCH/completion.$shell"
  passes "man/completion.$shell is current (make man)" cmp "$SCRATCH/completion.$shell" "man/completion.$shell"
done

# A page that is not current must differ from what is written for it: take one command out.
grep -v '^.fBRPOPLPUSH' man/server.1 >"$SCRATCH/stale.1"
"$pages" server "$SCRATCH/stale.1" >"$SCRATCH/fresh.1"
passes "a part taken out by hand is written again" cmp "$SCRATCH/fresh.1" man/server.1
sed '/" end$/d' man/server.1 >"$SCRATCH/open.1"
exits "a generated part that is never closed is an error" 1 "$pages" server "$SCRATCH/open.1"

# --- every row of the tables is there ---
"$tables" markdown | sed -n 's/^| `\([A-Z]*\).*/\1/p' >"$SCRATCH/commands"
like "the table has commands" "$(wc -l <"$SCRATCH/commands")" '^[1-9][0-9]+$'
missing=
while read -r command; do
  grep -qE "^ +$command( |\$)" "$SCRATCH/server.txt" || missing+=" $command"
  grep -qE "(^| )$command(,|\$)" "$SCRATCH/client.txt" || missing+=" client:$command"
done <"$SCRATCH/commands"
is "every command is in server.1 and named in client.1" "$missing" ""

statistics() { sed -nE 's/^    \{"([a-z_]+)",.*/\1/p' libkv/commands/stats.cpp; }
like "there are %stats% keys" "$(statistics | wc -l)" '^[1-9][0-9]+$'
sed -n '/%stats%/,/^$/p' "$SCRATCH/server.txt" | grep -o '[a-z_]*' | sort >"$SCRATCH/words"
is "each of them is in server.1" "$(statistics | sort | comm -23 - "$SCRATCH/words")" ""

options_missing() {
  "$1" --help | sed -n 's/^  \(-[-a-z0-9]*\).*/\1/p' | while read -r option; do
    grep -qE "^ +$option( |\$)" "$2" || printf ' %s' "$option"
  done
}
is "every option of the server is in server.1" "$(options_missing "$KV_SERVER" "$SCRATCH/server.txt")" ""
is "every option of the client is in client.1" "$(options_missing "$KV_CLIENT" "$SCRATCH/client.txt")" ""
like "server --help lists options" "$("$KV_SERVER" --help)" "--persist SECONDS"
like "client --help lists options" "$("$KV_CLIENT" --help)" "--timeout SECONDS"

# --- bash completes ---
# completed WORDS...: what bash would offer for the last word.
completed() {
  bash -c '. man/completion.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE=$*; "_${1//-/_}"
    printf "%s\n" "${COMPREPLY[@]}" | sort | tr "\n" " "' _ "$@" 2>/dev/null  # compopt complains outside a real completion
}
passes "the bash completion is valid bash" bash -n man/completion.bash
is "a command in small letters" "$(completed kv-client rpoplp)" "RPOPLPUSH "
is "a command after options and their arguments" "$(completed kv-client --port 1 --json lle)" "LLEN "
is "a subcommand" "$(completed kv-client config s)" "SET "
is "no subcommand where none belongs" "$(completed kv-client CONFIG SET s)" " "
is "an option" "$(completed kv-client --fail)" "--fail-nil "
is "nothing for a password" "$(completed kv-client --pass S)" " "
is "a server's option" "$(completed kv-server --keep)" "--keep-logs "
is "the policies of --fsync" "$(completed kv-server --fsync '')" "always everysec no "
touch "$SCRATCH/pass word"
is "a file" "$(completed kv-server --pass-file "$SCRATCH/pass")" "$SCRATCH/pass word "

# --- bash as it is typed into: only there are words split at ':' and '=' before they are completed ---
# typed TEXT: what stands on the line of an interactive bash after TEXT and Tab.
cat >"$SCRATCH/typed.py" <<'PY'
import os, pty, re, select, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.environ.update(PS1="ready> ", TERM="dumb")
    os.execvp("bash", ["bash", "--noprofile", "--norc", "-i"])
shown = b""
def until(pattern, seconds=20):
    global shown
    end = time.time() + seconds
    while time.time() < end and not re.search(pattern, shown):
        if select.select([fd], [], [], 0.1)[0]: shown += os.read(fd, 65536)
    return re.search(pattern, shown)
until(rb"ready> ")
# ^T shows the line as bash has it, however it has been drawn.
os.write(fd, b". man/completion.bash; bind -x '\"\\C-t\": printf \"<<%s>>\" \"$READLINE_LINE\"'; echo so''urced\n")
until(rb"sourced\r\nready> ")
os.write(fd, sys.argv[1].encode() + b"\t\x14")
line = until(rb"<<([^%>]*)>>")
os.write(fd, b"\x15exit\n")
print(line[1].decode() if line else repr(shown))
PY
typed() { /usr/bin/python3 "$SCRATCH/typed.py" "$1"; }
is "typed: a command" "$(typed 'kv-client incrbyf')" "kv-client INCRBYFLOAT "
for option in '--port=7311' '--url kv://:x@localhost:7311' '--host ::1' '--port=7311 --host=::1 --json'; do
  is "typed: a command after $option" "$(typed "kv-client $option incrbyf")" "kv-client $option INCRBYFLOAT "
done
is "typed: a subcommand after them" "$(typed 'kv-client --url=kv://h:7311 config rese')" "kv-client --url=kv://h:7311 config RESETSTAT "
is "typed: nothing within a value" "$(typed 'kv-client --url kv://incrbyf')" "kv-client --url kv://incrbyf"
is "typed: an option's value" "$(typed 'kv-server --fsync=al')" "kv-server --fsync=always "
is "typed: another option" "$(typed 'kv-server --bind=::1 --keep')" "kv-server --bind=::1 --keep-logs "
touch "$SCRATCH/pass:word"
is "typed: a file" "$(typed "kv-client --pass-file=$SCRATCH/pass:w")" "kv-client --pass-file=$SCRATCH/pass:word "
done_testing
