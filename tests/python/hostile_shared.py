"""Connections that share a child: what one of them does must never reach another.

Every server here has one child for all, so that each test would show the damage.
"""
import re
import time

from lib_kv import Raw, Server, main, request, until


def serves(raw):
    try:
        return raw.call("PING") == b"+PONG\r\n"
    except (EOFError, OSError):
        return False


def number_of(raw):
    return raw.call("CLIENT", "ID")[1:-2]


def test_client_kill(tap):
    with Server("--children", "1") as server:
        killer, victim, other = (Raw(server.port) for _ in range(3))
        victim.call("SET", "k", "v")
        got = killer.call("CLIENT", "KILL", "ID", number_of(victim))
        tap.equal("CLIENT KILL of a neighbour in the same child is answered as ever", got, b":1\r\n")
        tap.ok(victim.closed(), "and hangs up on it")
        tap.ok(serves(killer) and serves(other), "and on nobody else")
        killer.send(request("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no") + request("SET", "k", "late"))
        tap.equal("CLIENT KILL of all, oneself included, is answered", killer.reply(), b":2\r\n")
        tap.ok(killer.closed() and killer.buffer == b"" and other.closed(), "then all are hung up on", repr(killer.buffer))
        tap.equal("what was pipelined behind it is not run", Raw(server.port).call("GET", "k"), b"$1\r\nv\r\n")


def newcomer(server):
    """A guest, if there is a place for one."""
    raw = Raw(server.port, password=None)
    try:
        return raw if raw.call("PING").startswith(b"-NOAUTH") else None
    except (EOFError, OSError):
        return None


def place_is_free(server):
    return newcomer(server) is not None


def unsent(server, raw):
    """Bytes that the kernel holds for this client."""
    ends = f":{server.port:04X} 0100007F:{raw.socket.getsockname()[1]:04X} "
    with open("/proc/net/tcp") as table:
        return next(int(line.split()[4].split(":")[0], 16) for line in table if ends in line)


def fill_without_reading(server, raw):
    """Until the kernel takes no more replies for this client, and the rest waits in the child."""
    raw.socket.setblocking(False)
    before = -1
    while (held := unsent(server, raw)) != before or held == 0:
        before = held
        raw.socket.send(b"HELLO 2\r\n" * 1000)  # refused at length
        time.sleep(0.1)


def test_who_never_reads_goes(tap):
    """Who does not take its replies cannot stay by that."""
    with Server("--children", "1", "--max-clients", "2") as server:
        killer, victim = Raw(server.port), Raw(server.port)
        killer.call("SET", "big", b"x" * 50_000_000)
        victim.send(request("GET", "big"))
        until(10, lambda: b"cmd=get" in killer.call("CLIENT", "LIST"))
        tap.ok(not place_is_free(server), "all places are taken")
        got = killer.call("CLIENT", "KILL", "ID", number_of_other(killer))
        tap.equal("a client that does not take its reply is killed", got, b":1\r\n")
        tap.ok(until(10, lambda: place_is_free(server)), "and gone at once")
    with Server("--children", "1", "--max-clients", "1", "--login-grace", "6") as server:
        for what, words in (("", b""), (" after ten wrong passwords", b"AUTH guess\r\n" * 10)):
            guest = until(5, lambda: newcomer(server))
            fill_without_reading(server, guest)
            guest.socket.send(words)
            tap.ok(until(15, lambda: place_is_free(server)), f"a guest that does not read is hung up on{what}")
            guest.close()


def number_of_other(raw):
    """The id of the only other client."""
    ids = [re.match(rb"(?:[^ ]+\r\n)?id=(\d+)", line).group(1) for line in raw.call("CLIENT", "LIST").split(b"\n") if b"id=" in line]
    return next(number for number in ids if number != number_of(raw))


def test_guests(tap):
    with Server("--children", "1") as server:
        other = Raw(server.port)
        guest = Raw(server.port, password=None)
        guest.send(b"a " * 32_000 + b"\r\n")
        want = b"-ERR Protocol error: unauthenticated multibulk length\r\n"
        tap.ok(guest.closed() and guest.buffer == want, "N2: a guest's line of 32,000 words is refused", repr(guest.buffer))
        tap.ok(serves(other), "N2: and costs its neighbours nothing")
        guest = Raw(server.port, password=None)
        guest.send(b"a " * 10 + b"\r\n")
        tap.ok(guest.reply().startswith(b"-NOAUTH"), "N2: one of ten words is only not allowed")
        former = Raw(server.port)
        former.call("RESET")
        answer = former.call("SET", "k", "v" * 400_000)
        tap.ok(answer.startswith(b"-NOAUTH"), "A3: after RESET a large request is refused", repr(answer))
        tap.ok(serves(other), "A3: and costs the neighbours nothing")


if __name__ == "__main__":
    main(test_client_kill, test_who_never_reads_goes, test_guests)
