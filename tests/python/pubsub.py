"""SUBSCRIBE, PUBLISH and their kin: as redis-server answers them, every message to everybody in order, and no harm by
who does not read."""
import os
import signal
import socket
import threading
import time

import redis

from lib_kv import PASSWORD, Raw, Redis, Server, main, pids, request, sibling_of, together, until

# A line is one scene, between bars one request; what all three connections have got after it is compared.
# "b:" is asked by another client, which listens to nothing at first, and "c:" by one that speaks RESP2 always.
SCENES = """
SUBSCRIBE news | b: PUBLISH news hello | b: PUBLISH other hello | UNSUBSCRIBE news | b: PUBLISH news gone
SUBSCRIBE a b c | UNSUBSCRIBE b | b: PUBLISH a 1 | b: PUBLISH b 2 | b: PUBLISH c 3 | SUBSCRIBE a
UNSUBSCRIBE | PUNSUBSCRIBE | SUNSUBSCRIBE | UNSUBSCRIBE x y | PUNSUBSCRIBE x* y
SUBSCRIBE | PSUBSCRIBE | SSUBSCRIBE | PUBLISH a | PUBLISH | SPUBLISH a | PUBSUB
PSUBSCRIBE n*s | SUBSCRIBE news | b: PUBLISH news both | PUNSUBSCRIBE n*s | b: PUBLISH news one | UNSUBSCRIBE
PSUBSCRIBE h[ae]llo h?llo \\\\* | b: PUBLISH hxllo m | b: PUBLISH h m | b: PUBLISH * m
SSUBSCRIBE s | SUBSCRIBE s | b: SPUBLISH s shard | b: PUBLISH s channel | SUNSUBSCRIBE s | b: SPUBLISH s none
SUBSCRIBE a | PSUBSCRIBE b* | SSUBSCRIBE c | SUBSCRIBE a | UNSUBSCRIBE | PUNSUBSCRIBE | SUNSUBSCRIBE | GET k
c: SUBSCRIBE a | c: GET k | c: PING | c: PING hi | c: CONFIG GET port | c: HELLO 3 | c: NOSUCH | c: GET | c: MULTI
c: SUBSCRIBE a | c: CLIENT LIST | c: PING a b | c: UNSUBSCRIBE | c: GET k | c: PING
c: SSUBSCRIBE a | c: GET k | c: RESET | c: AUTH secret | c: GET k | b: SPUBLISH a m
c: SUBSCRIBE a | c: QUIT | b: PUBLISH a m | b: PUBSUB NUMSUB a
SUBSCRIBE a | RESET | AUTH secret | b: PUBLISH a m | GET k
MULTI | PUBLISH a 1 | SET k v | PUBLISH b 2 | EXEC
SUBSCRIBE a b | b: MULTI | b: PUBLISH a 1 | b: SET k v | b: PUBLISH b 2 | b: EXEC
MULTI | SUBSCRIBE a | GET k | EXEC | b: PUBLISH a 1 | PING
MULTI | SUBSCRIBE a b | EXEC | b: PUBLISH a 1
c: MULTI | c: SUBSCRIBE a | c: GET k | c: UNSUBSCRIBE | c: EXEC | c: GET k
CLIENT REPLY OFF | SUBSCRIBE a b | b: PUBLISH a 1 | UNSUBSCRIBE b a | b: PUBLISH a 1
c: CLIENT REPLY SKIP | c: SUBSCRIBE a | c: PING | b: PUBLISH a 1
SUBSCRIBE a | c: PSUBSCRIBE * | b: PUBSUB CHANNELS | b: PUBSUB CHANNELS a* | b: PUBSUB CHANNELS b* | b: PUBSUB NUMPAT
SUBSCRIBE a | c: SUBSCRIBE a | b: PUBSUB NUMSUB a b a | b: PUBSUB NUMSUB | b: PUBSUB NUMPAT | b: PUBLISH a m
SSUBSCRIBE a | b: PUBSUB SHARDCHANNELS | b: PUBSUB SHARDCHANNELS b* | b: PUBSUB SHARDNUMSUB a b | b: PUBSUB CHANNELS
PUBSUB NOSUCH | PUBSUB CHANNELS a b | PUBSUB NUMPAT 1 | PUBSUB SHARDCHANNELS a b | PUBSUB nUmPaT
SUBSCRIBE a a a | UNSUBSCRIBE a a | PSUBSCRIBE a a | b: PUBLISH a 1
SUBSCRIBE a | b: LPUSH l x | b: PUBLISH a 1 | b: SET k v | b: PUBLISH a 2 | b: DEL k l
SUBSCRIBE a | b: CLIENT KILL TYPE pubsub | b: PUBSUB NUMSUB a
c: SUBSCRIBE a | b: CLIENT KILL TYPE normal SKIPME yes | b: PUBLISH a still
"""


class Ear(Raw):
    """A connection, and all that has come on it."""

    def got(self, quiet):
        """What has come since the last time, until nothing has for so many seconds."""
        self.socket.settimeout(quiet)
        try:
            while True:
                self.more()
        except (socket.timeout, EOFError, OSError) as end:
            closed = b"" if isinstance(end, socket.timeout) else b" closed"
        data, self.buffer = self.buffer, b""
        return data + closed


def without_addresses(data):
    """CLIENT LIST tells more than can be the same."""
    return b"a list of clients" if b"laddr=" in data else data


def played(port, hello, scenes, quiet=0.02):
    said = []
    for scene in scenes:
        ears = {"a": Ear(port), "b": Ear(port), "c": Ear(port)}
        if hello:
            for name in "ab":
                ears[name].call("HELLO", 3)
        ears["b"].call("FLUSHALL")
        for line in scene.split(" | "):
            who, words = (line[0], line[3:]) if line[1:3] == ": " else ("a", line)
            ears[who].send(request(*words.split()))
            time.sleep(quiet / 2)
            said.append((scene, line, [without_addresses(ear.got(quiet)) for ear in ears.values()]))
        for ear in ears.values():
            ear.close()
        until(5, lambda: answer_of(port, "PUBSUB", "NUMPAT") == b":0\r\n" and
              answer_of(port, "PUBSUB", "CHANNELS") == b"*0\r\n")
    return said


def answer_of(port, *words):
    raw = Raw(port)
    answer = raw.call(*words)
    raw.close()
    return answer


def differences(our_port, their_port, hello, scenes, quiet):
    """How many requests were compared, and those after which something else had come."""
    both = {}
    together(2, lambda n, _: both.__setitem__(n, played((our_port, their_port)[n], hello, scenes, quiet)))
    return len(both[0]), [pair for pair in zip(both[0], both[1]) if pair[0] != pair[1]]


def test_as_redis(tap):
    with Server("--persist", "3600") as server, Redis() as original:
        for hello in (False, True):
            requests, different = differences(server.port, original.port, hello, SCENES.strip().split("\n"), 0.02)
            tap.ok(requests > 100, "there are scenes")
            # On a busy machine a server may take longer: where they differ there is time for a second look.
            scenes = list(dict.fromkeys(ours[0] for ours, _ in different))
            tap.equal(f"after each of {requests} requests all have got what redis-server sends, RESP{3 if hello else 2}",
                      differences(server.port, original.port, hello, scenes, 1)[1][:3], [])
        with open(os.path.join(server.folder, "kv.aof")) as log:
            tap.ok("PUBLISH" not in log.read().split("EXEC")[0], "no message is in the log")


def message(channel, text):
    parts = (b"message", channel.encode(), text)
    return b"*3\r\n" + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


def subscriber(port, *channels):
    raw = Raw(port, timeout=60)
    raw.send(request("SUBSCRIBE", *channels))
    for _ in channels:
        raw.reply()
    return raw


def publish(port, channel, texts):
    """All of them at once; whom each was for."""
    raw = Raw(port, timeout=60)
    sender = threading.Thread(target=lambda: raw.send(b"".join(request("PUBLISH", channel, t) for t in texts)))
    sender.start()
    answers = [raw.reply() for _ in texts]
    sender.join()
    raw.close()
    return answers


def test_monitor(tap):
    """Lines as redis-server's, but for time and port; nothing of logins; and whoever does not read them is let go."""
    scene = [("SET", "k", "a \"quoted\"\r\n\x00 value"), ("GET", "k"), ("NOSUCH", "x"), ("CONFIG", "GET", "port"),
             ("AUTH", PASSWORD), ("SELECT", 3), ("MULTI",), ("INCR", "n"), ("EXEC",), ("PING",)]
    told = []
    with Server() as server, Redis() as original:
        for one in (server, original):
            watcher, other = Raw(one.port), Raw(one.port)
            tap.equal("MONITOR is answered", watcher.call("MONITOR"), b"+OK\r\n")
            for words in scene:
                other.call(*words)
            lines = [watcher.line()]
            while b'"PING"' not in lines[-1]:
                lines.append(watcher.line())
            # Redis shows that somebody logs in, and a SELECT with the database that it leads to.
            told.append([line.split(b" ", 2)[1] + line[line.index(b"]"):] for line in lines
                         if b'"AUTH"' not in line and b'"SELECT"' not in line])
        # MULTI's come when they come, not with EXEC.
        tap.equal("the same lines", sorted(told[0]), sorted(told[1]))
        tap.ok(not [line for line in told[0] if PASSWORD.encode() in line], "and no password")
        deaf, busy = Raw(server.port), Raw(server.port)
        deaf.call("MONITOR")
        text = request("SET", "k", b"x" * 4000)
        for _ in range(200):
            busy.send(text * 200)
            for _ in range(200):
                busy.reply()
        watchers = busy.call("CLIENT", "LIST")
        tap.ok(watchers.count(b"flags=O") <= 1 and until(20, lambda: "does not read" in server.text()),
               "a monitor that does not read is hung up on", server.text()[-300:])
        tap.equal("and others go on", busy.call("GET", "n"), b"$-1\r\n")


def test_everybody_in_order(tap):
    """One pipeline of messages, some larger than a frame; 50 who listen while others SET and GET."""
    texts = [b"%d" % i + b"x" * (i * 37 % 300) for i in range(20_000)]
    texts[5000:5000] = [b"L" * 70_000, b"M" * 300_000, b"N" * 65_536]
    for layout in (("--children", "1"), ("--children", "2"), ("--children", "0")):
        with Server("--persist", "3600", *layout) as server:
            listeners = [subscriber(server.port, "c") for _ in range(50)]
            whole = b"".join(message("c", text) for text in texts)

            def listen(number, problems):
                got = listeners[number].exactly(len(whole))
                if got != whole:
                    at = next(i for i in range(len(whole)) if got[i] != whole[i])
                    problems.append((number, at, got[at - 30:at + 60]))

            answers = []
            sender = threading.Thread(target=lambda: answers.extend(publish(server.port, "c", texts)))
            sender.start()
            problems = together(50, listen)
            sender.join()
            name = " ".join(layout)
            tap.equal(f"50 subscribers get {len(texts)} messages each, in order {name}", problems, [])
            tap.ok(set(answers) == {b":50\r\n"}, f"and the publisher is told of 50 {name}", set(answers))
            tap.ok("hung up" not in server.text(), f"nobody is hung up on {name}", server.text()[-300:])
            for raw in listeners:
                raw.close()
            tap.ok(until(5, lambda: answer_of(server.port, "PUBLISH", "c", "m") == b":0\r\n"),
                   f"and who has gone is forgotten {name}")


def test_own_messages(tap):
    """A client of RESP3 may publish to itself: whole replies stay whole."""
    with Server() as server:
        raw = Raw(server.port)
        raw.call("HELLO", 3)
        raw.call("SUBSCRIBE", "me")
        push = b">" + message("me", b"x")[1:]
        raw.send(request("PUBLISH", "me", "x") + request("GET", "k") + request("PUBLISH", "me", "x"))
        tap.equal("what one publishes to oneself comes behind the reply",
                  raw.exactly(2 * (len(push) + 4) + 3), b":1\r\n" + push + b"_\r\n:1\r\n" + push)
        raw.send(request("MULTI") + request("PUBLISH", "me", "x") + request("GET", "k") + request("EXEC"))
        want = b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n_\r\n" + push
        tap.equal("or behind that of EXEC", raw.exactly(len(want)), want)
        big = "y" * 1_000_000
        raw.call("SET", "big", big)
        raw.send(request("GET", "big") + request("PUBLISH", "me", "x") + request("GET", "big"))
        reply = b"$1000000\r\n" + big.encode() + b"\r\n"
        tap.ok(raw.exactly(2 * len(reply) + 4 + len(push)) == reply + b":1\r\n" + push + reply,
               "and between large replies")
        raw.send(request("BLPOP", "list", 0))
        time.sleep(0.1)
        answer_of(server.port, "PUBLISH", "me", "x")
        tap.equal("who waits for a list hears meanwhile", raw.reply(), push)
        answer_of(server.port, "LPUSH", "list", "v")
        tap.equal("and then gets its element", raw.reply(), b"*2\r\n$4\r\nlist\r\n$1\r\nv\r\n")


def test_slow_reader(tap):
    """P12: who does not read is hung up on at 32 MiB; others get everything meanwhile."""
    for layout in (("--children", "1"), ("--children", "0")):
        with Server(*layout) as server:
            slow, quick = subscriber(server.port, "c"), subscriber(server.port, "c")
            text, rounds = b"z" * 100_000, 600
            one = message("c", text)
            got = []
            reader = threading.Thread(target=lambda: got.append(quick.exactly(rounds * len(one)) == one * rounds))
            reader.start()
            other = Raw(server.port)
            publisher = Raw(server.port)
            answers, slowest = [], 0
            for _ in range(rounds):
                answers.append(publisher.call("PUBLISH", "c", text))
                start = time.monotonic()
                other.call("PING")
                slowest = max(slowest, time.monotonic() - start)
            reader.join(60)
            name = " ".join(layout)
            tap.equal(f"P12 who reads gets all {name}", got, [True])
            tap.ok(answers[0] == b":2\r\n" and answers[-1] == b":1\r\n" and answers.count(b":2\r\n") > 300,
                   f"P12 who does not is hung up on {name}", answers.count(b":2\r\n"))
            tap.ok("does not read its messages" in server.text(), f"P12 the log says so {name}", server.text()[-300:])
            tap.ok(slowest < 1, f"P12 nobody else is held up {name}", slowest)
            tap.ok(slow.closed(), f"P12 its connection ends {name}")


def test_too_large(tap):
    """What is larger than may wait for a subscriber ends it, as with Redis; the log does not blame its reading."""
    with Server() as server:
        listener, publisher = subscriber(server.port, "c"), Raw(server.port)
        text = b"z" * (31 << 20)
        tap.equal("P12 31 MiB are sent", publisher.call("PUBLISH", "c", text), b":1\r\n")
        one = message("c", text)
        tap.ok(listener.exactly(len(one)) == one, "P12 and arrive")
        tap.equal("P12 33 MiB are counted", publisher.call("PUBLISH", "c", b"z" * (33 << 20)), b":1\r\n")
        tap.ok(listener.closed(), "P12 but end who listens")
        said = server.text()
        tap.ok("is sent a message larger than" in said and "does not read" not in said, "P12 the log says why", said[-300:])


def test_stopped_child(tap):
    """P12: a child that has stopped holds up who publishes for a moment, not for good."""
    with Server("--children", "0") as server:
        deaf, well = subscriber(server.port, "c"), subscriber(server.port, "c")
        child = pids(server, "kv child")[0]
        os.kill(child, signal.SIGSTOP)
        try:
            texts = [b"t" * 10_000] * 2500
            start = time.monotonic()
            sender = threading.Thread(target=lambda: publish(server.port, "c", texts))
            sender.start()
            one = message("c", texts[0])
            got = [raw.exactly(len(texts) * len(one)) == one * len(texts) for raw in (well,)]
            sender.join()
            took = time.monotonic() - start
        finally:
            os.kill(child, signal.SIGCONT)
        tap.ok(got == [True] and took < 10, "P12 25 MB go past a child that has stopped", took)
        tap.ok(deaf.exactly(len(texts) * len(one)) == one * len(texts), "P12 which hands them out when it goes on")


def test_sibling_dies(tap):
    with Server("--persist", "3600") as server:
        listeners = [subscriber(server.port, "c") for _ in range(4)]
        os.kill(sibling_of(server), signal.SIGKILL)
        tap.ok(all(raw.closed() for raw in listeners), "P3 who listens is disconnected when the sibling dies")
        again = until(10, lambda: connected(server.port))
        tap.equal("P3 and can listen again", publish(server.port, "c", [b"m"]), [b":1\r\n"])
        tap.equal("P3 to the next one", again.reply(), message("c", b"m"))


def connected(port):
    try:
        return subscriber(port, "c")
    except (OSError, EOFError, RuntimeError):
        return None


def test_grace(tap):
    """N8: who has logged in and listens is no guest, however long it is silent."""
    with Server("--login-grace", "1") as server:
        raw = subscriber(server.port, "c")
        time.sleep(2.5)
        tap.equal("N8 a silent subscriber stays", publish(server.port, "c", [b"m"]), [b":1\r\n"])
        guest = Raw(server.port, password=None)
        tap.ok(guest.call("SUBSCRIBE", "c").startswith(b"-NOAUTH") and guest.call("PUBLISH", "c", "m").startswith(b"-NOAUTH"),
               "A3 guests neither listen nor publish")
        raw.close(), guest.close()


def test_half_closed(tap):
    """Who closes its sending side is hung up on, even while messages keep coming."""
    with Server() as server:
        raw = subscriber(server.port, "c")
        other = Raw(server.port)
        raw.socket.shutdown(socket.SHUT_WR)
        tap.ok(until(5, lambda: other.call("PUBLISH", "c", "x" * 100_000) == b":0\r\n"), "a subscriber that has closed its side is gone")
        tap.ok(raw.closed(), "and hung up on")


def test_limits(tap):
    with Server() as server:
        raw = Raw(server.port)
        raw.call("HELLO", 3)
        raw.send(request("SUBSCRIBE", *[f"c{i:05}" for i in range(100_000)]))
        for _ in range(100_000):
            raw.reply()
        answer = raw.call("SUBSCRIBE", *[f"d{i:05}" for i in range(50_000)])
        tap.equal("N2 one connection has a limit", answer, b"-ERR too many subscriptions of one connection\r\n")
        tap.equal("N2 and is refused as a whole", answer_of(server.port, "PUBSUB", "NUMSUB", "c00001", "d00001"),
                  b"*4\r\n$6\r\nc00001\r\n:1\r\n$6\r\nd00001\r\n:0\r\n")
        answer = raw.call("PSUBSCRIBE", *[f"p{i:05}" for i in range(10_001)])
        tap.ok(answer.startswith(b"-ERR too many patterns"), "N2 so have patterns", answer[:80])
        raw.close()
        tap.ok(until(10, lambda: answer_of(server.port, "PUBSUB", "CHANNELS") == b"*0\r\n"), "and all are given back")
        listeners = [subscriber(server.port, "big") for _ in range(28)]
        answer = answer_of(server.port, "PUBLISH", "big", b"x" * 20_000_000)
        tap.ok(answer.startswith(b"-ERR the message would take more than"), "N2 a message to all has a limit", answer)
        tap.equal("N2 nobody gets one that is refused", publish(server.port, "big", [b"small"]), [b":28\r\n"])
        tap.ok(all(raw.reply() == message("big", b"small") for raw in listeners), "N2 and all go on")


def test_redis_py(tap):
    with Server() as server:
        client = redis.Redis(port=server.port, password=PASSWORD, decode_responses=True)
        listener = client.pubsub()
        heard = []
        listener.subscribe(news=print, **{"jobs": lambda m: heard.append(m["data"])})
        listener.psubscribe(**{"w*": lambda m: heard.append((m["pattern"], m["channel"], m["data"]))})
        thread = listener.run_in_thread(sleep_time=0.01)
        tap.ok(until(5, lambda: client.pubsub_numsub("jobs", "news") == [("jobs", 1), ("news", 1)]), "redis-py subscribes")
        tap.equal("redis-py publishes", [client.publish("jobs", "1"), client.publish("weather", "rain")], [1, 1])
        tap.ok(until(5, lambda: len(heard) == 2), "its handlers hear in a thread", heard)
        tap.equal("each what it listens to", sorted(map(str, heard)), ["('w*', 'weather', 'rain')", "1"])
        tap.equal("redis-py asks what there is", (sorted(client.pubsub_channels()), client.pubsub_numpat()), (["jobs", "news"], 1))
        thread.stop()
        thread.join(5)
        tap.ok(until(5, lambda: client.pubsub_channels() == []), "and leaves")
        other = client.pubsub(ignore_subscribe_messages=True)
        other.subscribe("news")
        until(5, lambda: client.publish("news", "first") == 1)
        got = until(5, lambda: other.get_message(timeout=0.1))
        tap.ok(got and got["data"] == "first", "get_message", got)
        client.publish("news", "second")
        tap.equal("listen", next(other.listen())["data"], "second")
        other.ping()
        other.close()


if __name__ == "__main__":
    main(test_as_redis, test_monitor, test_everybody_in_order, test_own_messages, test_slow_reader, test_too_large,
         test_stopped_child, test_sibling_dies, test_grace, test_half_closed, test_limits, test_redis_py)
