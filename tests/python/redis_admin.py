#!/usr/bin/python3
"""The connection's and the server's commands against a real redis-server, and live.

Each request of REQUESTS goes to both, in RESP2 and again in RESP3, and the bytes of the replies are
compared. What follows can only be seen with real processes: closing connections, silence, ending.
Prints TAP. Ends only the servers it started.
"""
import os
import re
import subprocess

import redis
from lib_kv import PASSWORD, Raw, Redis, Server, main, request

SHORT_FORMS = {"''": "", "LONG": "y" * 300}  # some errors show only a part of a word
# Blanks part the words; _ inside a word is a blank. Not here: what tells about the
# server itself (INFO, HELP texts, LOLWUT), and MEMORY USAGE, which counts real bytes.
REQUESTS = """
PING | PING a | PING a b | ECHO | ECHO a | ECHO a b | AUTH | AUTH a b c | AUTH nope | AUTH foo secret
AUTH default secret | HELLO 4 | HELLO abc | HELLO 2 FOO | HELLO 2 AUTH default | HELLO 2 SETNAME
HELLO 2 AUTH default wrong | HELLO 2 SETNAME a_b | SELECT | SELECT 99 | SELECT abc | SELECT -1 | SELECT 3
SELECT 2147483647 | SELECT 2147483648 | SELECT -2147483649 | SELECT 9223372036854775808
SELECT 0 | CLIENT | CLIENT FOO | CLIENT ID x | CLIENT LIST TYPE foo | CLIENT LIST TYPE pubsub
CLIENT LIST ID abc | CLIENT LIST ID 999999 | CLIENT LIST FOO | CLIENT LIST ID | CLIENT LIST TYPE
CLIENT SETNAME nm | CLIENT GETNAME | CLIENT SETNAME a_b | CLIENT SETNAME '' | CLIENT GETNAME
CLIENT REPLY FOO | CLIENT REPLY ON | CLIENT REPLY | CLIENT NO-EVICT on | CLIENT NO-EVICT off
CLIENT NO-EVICT foo | CLIENT KILL 1.2.3.4:5 | CLIENT KILL ID 999999 | CLIENT KILL ID abc
CLIENT KILL ID 0 | CLIENT KILL ID -1 | CLIENT KILL FOO bar | CLIENT KILL ID | CLIENT KILL TYPE foo
CLIENT KILL TYPE normal SKIPME foo | CLIENT KILL USER foo | CLIENT KILL ADDR 1.2.3.4:5 SKIPME no
CLIENT GETREDIR | CLIENT GETREDIR x | CLIENT TRACKINGINFO | CLIENT TRACKINGINFO x | CLIENT UNPAUSE | CLIENT UNPAUSE x
CLIENT TRACKING | CLIENT TRACKING FOO | CLIENT TRACKING OFF | CLIENT TRACKING off bcast optin | CLIENT TRACKING OFF FOO
CLIENT TRACKING OFF NOLOOP PREFIX a OPTOUT | CLIENT TRACKING OFF PREFIX | CLIENT TRACKING OFF REDIRECT
CLIENT TRACKING OFF REDIRECT 999999 | CLIENT TRACKING OFF REDIRECT abc | LATENCY | LATENCY FOO | LATENCY LATEST
LATENCY LATEST x | LATENCY HISTORY | LATENCY HISTORY command | LATENCY HISTORY a b | LATENCY RESET
LATENCY RESET command fork | LATENCY HELP x | MODULE | MODULE FOO | MODULE LIST | MODULE LIST x | MODULE HELP x
CONFIG GET latency-monitor-threshold | INFO modules
CLIENT KILL ID 1 FOO | CLIENT KILL a b c | CLIENT KILL | CONFIG | CONFIG GET | CONFIG GET databases
CONFIG GET nonesuch | CONFIG GET DATABASES data* | CONFIG SET | CONFIG SET databases
CONFIG SET nonesuch 3 | CONFIG SET databases 4 | CONFIG SET appendfsync no appendfsync always
CONFIG SET appendfsync no databases | CONFIG SET appendfsync always | CONFIG GET appendfsync
CONFIG SET slowlog-log-slower-than abc | CONFIG SET slowlog-log-slower-than -2 | CONFIG GET slowlog-log-slower-than
CONFIG SET slowlog-max-len -1 | CONFIG SET slowlog-max-len 5 slowlog-log-slower-than 0 | CONFIG GET slowlog-max-len
SET slow LONG | PING | SLOWLOG LEN | CONFIG SET slowlog-log-slower-than -1 | SLOWLOG RESET | SLOWLOG LEN
CONFIG GET maxmemory | CONFIG GET maxmemory-policy | CONFIG GET timeout | CONFIG GET tcp-keepalive | CONFIG GET io-threads
CONFIG GET cluster-enabled | CONFIG GET notify-keyspace-events | CONFIG GET hash-max-listpack-entries
CONFIG GET hash-max-listpack-value | CONFIG SET cluster-enabled yes | CONFIG SET io-threads 2
CONFIG RESETSTAT | CONFIG FOO | TIME x | INFO foo | SAVE x | BGSAVE FOO | BGSAVE a b | LASTSAVE x
LOLWUT VERSION abc | WAIT 0 0 | WAIT a b | WAIT 0 a | WAIT 0 -1 | WAIT 1 | ROLE | SLOWLOG | SLOWLOG GET abc
SLOWLOG GET -2 | SLOWLOG RESET | SLOWLOG FOO | SLOWLOG GET 1 2 | ACL WHOAMI | ACL CAT foo | ACL CAT | ACL USERS
ACL FOO | FLUSHALL | INFO keyspace | SET k v | SET n 12 | RPUSH l a b | HSET h f v | INFO keyspace
MEMORY | MEMORY USAGE nokey | MEMORY USAGE k SAMPLES | MEMORY USAGE k SAMPLES -1 | MEMORY USAGE k FOO 3
MEMORY PURGE | MEMORY FOO | OBJECT ENCODING k | OBJECT ENCODING n | OBJECT ENCODING l | OBJECT ENCODING nokey
OBJECT FREQ nokey | OBJECT REFCOUNT k | OBJECT FOO k | OBJECT ENCODING | OBJECT
DEBUG | DEBUG FOO | DEBUG SLEEP | DEBUG SLEEP 0 | DEBUG SLEEP abc | DEBUG OBJECT nokey | DEBUG OBJECT
DEBUG DIGEST | DEBUG DIGEST-VALUE k nokey h | DEBUG DIGEST-VALUE | DEBUG SET-ACTIVE-EXPIRE 0
DEBUG SET-ACTIVE-EXPIRE 1 | DEBUG SET-ACTIVE-EXPIRE | DEBUG RELOAD | GET k | DEBUG DIGEST | SHUTDOWN FOO
SHUTDOWN ABORT | SHUTDOWN SAVE NOSAVE | SHUTDOWN ABORT NOW | COMMAND INFO get foo | COMMAND INFO object|foo get|x
COMMAND INFO hget lindex get | COMMAND INFO config|get client|kill client|id slowlog|help
COMMAND INFO client|getredir client|trackinginfo client|tracking client|unpause latency|help module|help
COMMAND INFO echo select bgrewriteaof|x role | COMMAND FOO | COMMAND COUNT a | COMMAND DOCS foo
COMMAND LIST FILTERBY ACLCAT foo | COMMAND LIST FILTERBY MODULE h | COMMAND LIST FILTERBY | COMMAND LIST FOO
COMMAND LIST FILTERBY FOO BAZ | COMMAND GETKEYS | COMMAND GETKEYS foo | COMMAND GETKEYS foo bar
COMMAND GETKEYS get a | COMMAND GETKEYS get a b | COMMAND GETKEYS ping a | COMMAND GETKEYS mset a b c d
COMMAND GETKEYS mset a b c | COMMAND GETKEYS object encoding k | COMMAND GETKEYS object foo k
COMMAND GETKEYS object help | COMMAND GETKEYS memory usage k | COMMAND GETKEYS lmpop 2 a b LEFT
COMMAND GETKEYS lmpop 5 a b LEFT | COMMAND GETKEYS lmpop x a b LEFT | COMMAND GETKEYSANDFLAGS get a
HELLO 3 LONG | CLIENT LIST TYPE LONG | CLIENT KILL USER LONG | CONFIG SET LONG x | ACL CAT LONG | OBJECT LONG
NOSUCH LONG | NOSUCH a b | RESET | PING | HELLO | HELLO 3 | CLIENT ID | AUTH secret | QUIT
"""
# What INFO commandstats and errorstats count, and where: before a command runs, or in it.
COUNTED = """
GET | GET k | GET k k | SET k v | RPUSH k a | INCR k | MSET a | MSET a 1 b | COMMAND COUNT | COMMAND | CONFIG
CONFIG GET | CONFIG GET databases | CONFIG get databases | CONFIG FOO | CONFIG SET databases 4 | CLIENT SETNAME a_b
CLIENT FOO | CLIENT ID x | CLIENT LIST FOO | CLIENT REPLY SKIP | ACL WHOAMI | ACL CAT foo | OBJECT | OBJECT FREQ
OBJECT ENCODING nokey | DEBUG FOO | DEBUG SLEEP 0 | DEBUG | SLOWLOG LEN | SLOWLOG GET abc | MEMORY USAGE k
HELLO 4 | AUTH wrong | AUTH a b c | NOSUCH | SELECT 99 | SWAPDB 0 99 | RENAME nokey b | LINDEX k 0 | HGET k | PING a b
LPOP k | EXPIRE k abc | SHUTDOWN FOO | INFO | COPY k k | ECHO ready
"""


def words_of(text):
    """The requests as lists of words. A bar inside a word is not a border."""
    for line in text.strip().split("\n"):
        for one in line.split(" | "):
            yield [SHORT_FORMS.get(w, w.replace("_", " ")) for w in one.split()]


def ask(connection, words):
    try:
        return connection.call(*words)
    except (EOFError, ConnectionError):
        return b"closed"


def compare(tap, hello):
    with Server("--persist", "3600") as kv, Redis() as original:
        ours, theirs = Raw(kv.port), Raw(original.port)
        if hello:
            ours.call("HELLO", "3"), theirs.call("HELLO", "3")
        differing = []
        asked = 0
        for words in words_of(REQUESTS):
            got, want = ask(ours, words), ask(theirs, words)
            asked += 1
            if got != want:
                differing.append(f"{' '.join(words)}: kv {got!r:.200}, redis {want!r:.200}")
        # CLIENT ID counts connections, of which the other server has had more.
        differing = [d for d in differing if not d.startswith("CLIENT ID:")]
        tap.equal(f"{asked} requests are answered as by redis-server ({'RESP3' if hello else 'RESP2'})",
                  differing, [])


def test_resp2(tap):
    compare(tap, False)


def test_resp3(tap):
    compare(tap, True)


def counts(connection):
    """INFO commandstats as {name: (calls, rejected, failed)}, and INFO errorstats as it is."""
    found = re.findall(rb"cmdstat_(\S+?):calls=(\d+),usec=\d+,usec_per_call=[0-9.]+,rejected_calls=(\d+),failed_calls=(\d+)\r\n",
                       connection.call("INFO", "commandstats"))
    return ({name.decode(): tuple(map(int, rest)) for name, *rest in found}, connection.call("INFO", "errorstats"))


def test_counts(tap):
    with Server() as kv, Redis() as original:
        for server in kv, original:  # one of them was asked before whether it is there
            Raw(server.port).call("CONFIG", "RESETSTAT")
        ours, theirs = Raw(kv.port, password=None), Raw(original.port, password=None)
        for words in [["GET", "k"], ["CONFIG", "GET", "port"], ["AUTH", "wrong"], ["AUTH", PASSWORD], *words_of(COUNTED)]:
            ours.send(request(*words)), theirs.send(request(*words))
        for connection in ours, theirs:
            while connection.reply() != b"$5\r\nready\r\n":
                pass
        (commands, errors), (commands_there, errors_there) = counts(ours), counts(theirs)
        tap.equal("INFO commandstats counts the same commands", sorted(commands), sorted(commands_there))
        tap.equal("and what ran, was rejected and failed as redis-server does",
                  [(n, c) for n, c in commands.items() if commands_there.get(n) != c],
                  [(n, commands_there.get(n)) for n, c in commands.items() if commands_there.get(n) != c])
        tap.equal("INFO errorstats is that of redis-server", errors, errors_there)
        for connection in ours, theirs:
            connection.call("CONFIG", "RESETSTAT")
        tap.equal("CONFIG RESETSTAT begins anew", counts(ours), counts(theirs))


def test_settings(tap):
    with Server() as kv:
        c = Raw(kv.port)
        for name, value in (("maxmemory", "100mb"), ("maxmemory-policy", "allkeys-lru"), ("timeout", "0"),
                            ("notify-keyspace-events", "KEA"), ("hash-max-listpack-entries", "1")):
            tap.equal(f"CONFIG SET {name} is refused as that of any fixed setting", c.call("CONFIG", "SET", name, value),
                      f"-ERR CONFIG SET failed (possibly related to argument '{name}') - can't set immutable config\r\n".encode())
        r = redis.Redis(port=kv.port, password=PASSWORD, decode_responses=True)
        limits = r.config_get("hash-max-listpack-*")
        entries, size = int(limits["hash-max-listpack-entries"]), int(limits["hash-max-listpack-value"])
        r.hset("h", mapping={str(n): "v" * size for n in range(entries)})
        r.hset("long", "f", "v" * (size + 1))
        told = [r.object("encoding", "h"), r.object("encoding", "long")]
        r.hset("h", "one more", "")
        tap.equal("OBJECT ENCODING agrees with the limits that CONFIG tells", told + [r.object("encoding", "h")],
                  ["listpack", "hashtable", "hashtable"])
        tap.equal("what has no answer here is not there", r.config_get("maxmemory-samples") | r.config_get("lua-time-limit"), {})


def test_closing(tap):
    with Server() as kv:
        one, two = Raw(kv.port), Raw(kv.port)
        number = two.call("CLIENT", "ID")[1:-2].decode()
        tap.equal("CLIENT KILL ID closes another connection", one.call("CLIENT", "KILL", "ID", number), b":1\r\n")
        tap.ok(two.closed(), "the other connection is closed")
        tap.equal("and counted no longer", one.call("CLIENT", "KILL", "ID", number), b":0\r\n")
        tap.equal("CLIENT KILL of oneself is answered", one.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no"),
                  b":1\r\n")
        tap.ok(one.closed(), "then closed")
        three = Raw(kv.port)
        tap.equal("QUIT is answered", three.call("QUIT"), b"+OK\r\n")
        tap.ok(three.closed(), "QUIT closes")


def everything(port, words):
    """What a connection is sent, up to its end, for requests that came at once."""
    c = Raw(port)
    c.send(b"".join(request(*w.split()) for w in words))
    return rest_of(c)


def rest_of(c):
    got = b""
    try:
        while True:
            got += c.reply()
    except (EOFError, ConnectionError):
        return got


def test_garbage_after_quit(tap):
    garbage = b"*1\r\n$x\r\n"
    with Server() as kv, Redis() as original:
        for name, before in ((" after QUIT", request("QUIT")), (" after requests", request("PING") + request("GET", "k")),
                             (" after requests and QUIT", request("PING") + request("QUIT")), ("", b"")):
            ours, theirs = Raw(kv.port), Raw(original.port)
            ours.send(before + garbage), theirs.send(before + garbage)
            tap.equal(f"a protocol error{name} is answered as by redis-server", rest_of(ours), rest_of(theirs))


def test_silence(tap):
    with Server() as kv:
        c = Raw(kv.port)
        words = ("CLIENT REPLY SKIP", "PING one", "PING two", "CLIENT REPLY OFF", "PING three", "CLIENT REPLY ON",
                 "PING four")
        c.send(b"".join(request(*w.split()) for w in words))
        tap.equal("SKIP drops one reply, OFF all until ON", c.reply() + c.reply() + c.reply(),
                  b"$3\r\ntwo\r\n+OK\r\n$4\r\nfour\r\n")


def test_silent_refusals(tap):
    words = ("CLIENT REPLY SKIP", "GET", "ECHO e", "CLIENT REPLY SKIP", "NOSUCH", "NOSUCH", "CLIENT REPLY OFF", "GET",
             "NOSUCH a", "CLIENT REPLY ON", "ECHO f", "CLIENT REPLY OFF", "RESET", "CLIENT REPLY SKIP", "GET k", "QUIT")
    with Server() as kv, Redis() as original:
        ours, theirs = everything(kv.port, words), everything(original.port, words)
        tap.ok(b"$1\r\ne\r\n-ERR unknown" in theirs and theirs.endswith(b"+OK\r\n"), "redis-server answers and closes")
        tap.equal("what is refused is as silent as with redis-server, before a login too", ours, theirs)


def test_guessing(tap):
    with Server() as kv:
        c = Raw(kv.port, password=None)
        tap.equal("nothing but the door before AUTH (A3)", c.call("CONFIG", "GET", "*"),
                  b"-NOAUTH Authentication required.\r\n")
        guesses = 0
        try:
            while guesses < 50 and c.call("AUTH", "nobody", PASSWORD).startswith(b"-WRONGPASS"):
                guesses += 1
        except (EOFError, ConnectionError):
            pass
        tap.ok(guesses < 50, "a connection that guesses is closed in the end (A1)", f"{guesses} guesses")
        tap.equal("others still come in", Raw(kv.port).call("PING"), b"+PONG\r\n")


def test_library(tap):
    with Server("--persist", "3600") as kv:
        r = redis.Redis(port=kv.port, password=PASSWORD, client_name="library")
        r.set("k", "v")
        info = r.info("everything")
        tap.equal("INFO is read by python3-redis",
                  (info["redis_mode"], info["db0"]["keys"], info["connected_clients"], info["aof_enabled"]),
                  ("standalone", 1, 1, 1))
        tap.equal("so is CLIENT LIST", r.client_list()[0]["name"], "library")
        tap.equal("and DEBUG OBJECT", r.debug_object("k")["encoding"], "embstr")
        tap.equal("and COMMAND", len(r.command()), r.command_count())
        tap.ok(r.memory_stats()["total.allocated"] > 0, "and MEMORY STATS")
        tap.equal("and MODULE LIST, CLIENT GETREDIR and TRACKINGINFO",
                  (r.module_list(), r.client_getredir(), r.client_trackinginfo()[1:4]), ([], -1, [[b"off"], "redirect", -1]))
        stats = r.info("commandstats")["cmdstat_set"]
        tap.equal("and INFO commandstats and errorstats",
                  (stats["calls"], stats["rejected_calls"], stats["failed_calls"], r.info("errorstats")), (1, 0, 0, {}))
        tap.equal("and CONFIG GET", r.config_get("databases"), {"databases": "16"})
        tap.equal("a pipeline without a transaction", r.pipeline(transaction=False).incr("n").get("n").execute(), [1, b"1"])
        tap.equal("and one with a transaction", r.pipeline().incr("n").get("n").execute(), [2, b"2"])
        lock = r.lock("lock", timeout=60)
        taken = lock.acquire(blocking=False)
        try:
            told = lock.release()
        except redis.ResponseError as error:
            told = str(error)
        tap.ok(taken and "unknown command 'EVALSHA'" in told, "a Lock is taken, and cannot be given back, as the manual says", told)
        tap.ok(0 < r.ttl("lock") <= 60, "so it lasts until its timeout")


def test_shutdown(tap):
    with Server("--persist", "3600") as kv:
        c = Raw(kv.port)
        c.call("SET", "k", "v")
        c.send(request("SHUTDOWN"))
        tap.ok(c.closed(), "SHUTDOWN closes without an answer")
        try:
            status = kv.process.wait(10)
        except subprocess.TimeoutExpired:
            status = "still there"
        tap.equal("SHUTDOWN ends the server with status 0", status, 0)
        if status == 0:
            kv.start()
            tap.equal("and what was stored is there again", Raw(kv.port).call("GET", "k"), b"$1\r\nv\r\n")


def test_shutdown_save(tap):
    """Without --persist too: who asks for a save gets one, or an error and a server that goes on."""
    with Server() as kv:
        c = Raw(kv.port)
        c.call("SET", "k", "v")
        in_the_way = os.path.join(kv.folder, "kv.db.tmp")
        os.mkdir(in_the_way)
        tap.equal("SHUTDOWN SAVE that cannot save is refused", c.call("SHUTDOWN", "SAVE"),
                  b"-ERR Errors trying to SHUTDOWN. Check logs.\r\n")
        tap.equal("and the server goes on", c.call("GET", "k"), b"$1\r\nv\r\n")
        os.rmdir(in_the_way)
        c.call("BGSAVE")
        c.call("SET", "k2", "later")
        c.send(request("SHUTDOWN", "SAVE"))
        tap.ok(c.closed(), "SHUTDOWN SAVE closes without an answer")
        tap.equal("and ends the server with status 0", kv.process.wait(10), 0)
        kv.start()
        tap.equal("what it saved is there again", Raw(kv.port).call("MGET", "k", "k2"),
                  b"*2\r\n$1\r\nv\r\n$5\r\nlater\r\n")


if __name__ == "__main__":
    main(test_resp2, test_resp3, test_counts, test_settings, test_closing, test_garbage_after_quit, test_silence,
         test_silent_refusals, test_guessing, test_library, test_shutdown, test_shutdown_save)
