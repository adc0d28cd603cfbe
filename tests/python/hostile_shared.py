"""Connections that share a child: what one of them does must never reach another.

Every server here has one child for all, so that each test would show the damage.
"""
from lib_kv import Raw, Server, main, request


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
    main(test_client_kill, test_guests)
