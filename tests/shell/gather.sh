#!/usr/bin/env bash
# A child of several connections runs as a batch process, a child of one as any other.
. "$(dirname "$0")/lib.sh"
start_server --children 1

# policy: the scheduling policy (sched(7): 0 other, 3 batch) of the one child.
policy() { local child; child=$(pgrep -P "$SERVER_PID" -f '^kv child') && sed 's/.*) //' "/proc/$child/stat" | cut -d' ' -f39; }
policy_is() { [ "$(policy)" = "$1" ]; }

exec 5<>"/dev/tcp/127.0.0.1/$PORT"
passes "a child of one connection is an ordinary process" wait_for 5 policy_is 0
exec 6<>"/dev/tcp/127.0.0.1/$PORT"
passes "a child of two is a batch process" wait_for 5 policy_is 3
exec 7<>"/dev/tcp/127.0.0.1/$PORT"
exec 7>&-
passes "it stays one while it has two" wait_for 5 policy_is 3
exec 6>&-
passes "left with one it is an ordinary process again" wait_for 5 policy_is 0
is "it still answers" "$(redis PING)" PONG
done_testing
