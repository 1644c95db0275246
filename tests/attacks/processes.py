"""Reach processes of the victim: signals, ptrace, /proc (I11, SEC-45)."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator

from .ground import ADDRESS, PATIENCE, WITH_SOCKET, Ground, Outcome, attack, because, by_php, succeeded

PTRACE = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
if libc.ptrace(16, int(sys.argv[1]), 0, 0) == 0:
    os.waitpid(int(sys.argv[1]), 0x40000000)
    libc.ptrace(17, int(sys.argv[1]), 0, 0)
    print("attached")
else:
    print(os.strerror(ctypes.get_errno()))
"""


@contextlib.contextmanager
def worker_of_victim(ground: Ground) -> Iterator[int]:
    """A process of the victim's PHP, at work; an attacker without a view of them would try all numbers."""
    address = ("127.0.0.1", ground.victim.port)
    with socket.create_connection(address, timeout=PATIENCE) as connection:
        connection.sendall(f"GET /pid.php HTTP/1.0\r\nHost: {ground.victim.host}\r\n\r\n".encode())
        received = b""
        while not received.endswith(b"."):
            received += connection.recv(4096) or b"no number."
        yield int(received.split()[-1].rstrip(b"."))


@attack("process: a signal", "I11")
def signalled(ground: Ground) -> Outcome:
    """Signal 0 asks the kernel whether one might, and hurts nobody."""
    with worker_of_victim(ground) as pid:
        answer = ground.php(f"echo posix_kill({pid}, 0) ? 'sent' : posix_strerror(posix_get_last_error());")
    return succeeded(answer.body) if answer.body == "sent" else by_php(answer.body)


@attack("process: ptrace", "I11, SEC-46")
def traced(ground: Ground) -> Outcome:
    with worker_of_victim(ground) as pid:
        name = ground.upload(
            {"trace.py": PTRACE, "run.php": f"<?php passthru('python3 ' . __DIR__ . '/trace.py {pid} 2>&1');"}
        )
        answer = ground.request(ground.attacker, f"/{name}/run.php")
    return succeeded(answer.body) if "attached" in answer.body else by_php(answer.body)


@attack("process: memory and environment in /proc", "I11, SEC-46")
def memory(ground: Ground) -> Outcome:
    with worker_of_victim(ground) as pid:
        answer = ground.php(f"""
        foreach (['environ', 'maps', 'mem'] as $name) {{
            $path = "/proc/{pid}/$name";
            echo $path, ': ', @fopen($path, 'r') && @file_get_contents($path, false, null, 0, 1)
                ? 'was read' : error_get_last()['message'], '; ';
        }}
        """)
    return succeeded(answer.body) if "was read" in answer.body else by_php(answer.body)


@attack("process: command lines of the others", "SEC-45")
def command_lines(ground: Ground) -> Outcome:
    """People write passwords there."""
    with worker_of_victim(ground) as pid:
        answer = ground.php(f"echo @file_get_contents('/proc/{pid}/cmdline') ?: error_get_last()['message'];")
    return by_php(answer.body) if "cmdline" in answer.body else succeeded(answer.body)


@attack("process: addresses of sockets in /proc", "SEC-01", engines=WITH_SOCKET)
def addresses(ground: Ground) -> Outcome:
    """What the kernel calls a socket helps only where Apache connects to it by that name."""
    every = ground.addresses()
    with ground.account("www-data"):
        known = [path for path in every if os.path.exists(path)]
    answer = ground.php("""
    foreach (['net', 'self/net', 'thread-self/net', '1/net'] as $place) {
        $path = "/proc/$place/unix";
        echo @file_get_contents($path) ?: error_get_last()['message'], '; ';
    }
    """)
    found = [path for path in known if f" {path}\n" in answer.body]
    if found:
        return succeeded(found)
    return because(bool(known), ADDRESS, f"the kernel tells none of {len(known)} addresses")
