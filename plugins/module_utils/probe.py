# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether PHP really answers behind a site's socket, asked in FastCGI as Apache would ask.

A configuration test does not show that a master can start: accounts, directories and the sandbox take part
as well (FPM-01, REL-01).
"""

from __future__ import annotations

import os
import re
import socket
import struct
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from . import services

PATIENCE = 15
"""Seconds that a master may take to start and answer."""

AT_ONCE = 8
"""Masters that are up at once for this; they are asked to leave again, and come back with a request."""

WAITS, CONNECTED = "02", "03"
"""States in the kernel's table of sockets, of connections: nobody has accepted it yet, or somebody has."""

BEGIN, END, PARAMS, STDIN = 1, 3, 4, 5
RESPONDER = struct.pack(">HB5x", 1, 0)
QUESTION = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "/fastcgi-ping",
    "SCRIPT_FILENAME": "/fastcgi-ping",
    "SERVER_PROTOCOL": "HTTP/1.1",
}


def sites(files: Mapping[str, str], touched: Collection[str]) -> None:
    """Ask the masters of all sites that a change has touched.

    :param files: the set's files, each with the name of its site.
    :param touched: those that were written or removed.
    :raises services.ServiceError: one does not answer; with the last words of its log.
    """
    if not services.managed():
        return
    changed = {files[path] for path in touched if path in files} - {""}
    sockets = [path for path in services.units(files) if path.endswith(".socket") and files[path] in changed]
    lent = services.lent(files)
    to_stop: list[str] = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        asked = free(sockets)
        answers = [pool.submit(fault_of, path, lent.get(path)) for path in asked]
        try:
            for number, (path, answer) in enumerate(zip(asked, answers), 1):
                fault = answer.result()
                to_stop += [service_of(path)] if path not in lent else []
                if to_stop and (fault or len(to_stop) == AT_ONCE or number == len(asked)):
                    services.run(["systemctl", "stop", "--no-block", *to_stop])
                    to_stop = []
                if fault:
                    raise services.ServiceError(fault)
        finally:
            for answer in answers:
                answer.cancel()


def free(sockets: Sequence[str]) -> list[str]:
    """Those whose former master has left. One that still works off a long request is proof of itself."""
    until = time.monotonic() + 2 + len(sockets) / 50
    while True:
        states = services.states([service_of(path) for path in sockets])
        if "deactivating" not in states.values() or time.monotonic() > until:
            return [path for path in sockets if states[service_of(path)] != "deactivating"]
        time.sleep(0.1)


def service_of(socket_file: str) -> str:
    return os.path.basename(socket_file)[: -len("socket")] + "service"


def fault_of(socket_file: str, daemon: str | None) -> str:
    """Why nothing answers behind a socket unit, which may be lent to a daemon; empty where something does."""
    with open(socket_file, encoding="utf-8") as unit:
        addresses = re.findall(r"^ListenStream=(\S+)", unit.read(), re.MULTILINE)
    try:
        answered(addresses)
        return ""
    except OSError as error:
        service = daemon or service_of(socket_file)
        log = subprocess.run(
            ["journalctl", "--no-pager", "--output=cat", "--lines=8", f"--unit={service}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=False,
        ).stdout.decode(errors="replace")
        return f"PHP does not answer behind {socket_file}: {error}. The log of {service} ends:\n{log}"


def answered(addresses: Sequence[str]) -> None:
    """Ask behind the first address. Where all workers are busy, another one with its own process will do.

    php-cgi has no such address. Its workers are known to be busy by the connections that they have taken.
    """
    for number, address in enumerate(addresses):
        try:
            ask(address)
            return
        except socket.timeout:
            if number == len(addresses) - 1 and not (number == 0 and busy(address)):
                raise


def busy(path: str) -> bool:
    """Whether connections to a socket have been accepted, and others, such as ours, wait behind them."""
    with open("/proc/net/unix", encoding="utf-8", errors="replace") as table:
        states = {words[5] for words in map(str.split, table) if words[7:] == [path]}
    return states >= {CONNECTED, WAITS}


def ask(path: str) -> bytes:
    """One request; whatever is answered, PHP is there.

    :returns: the answer's records, unread.
    :raises OSError: nothing answered in time, or the connection broke.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE)
        connection.connect(path)
        params = b"".join(pair(name, value) for name, value in QUESTION.items())
        connection.sendall(
            record(BEGIN, RESPONDER) + record(PARAMS, params) + record(PARAMS, b"") + record(STDIN, b"")
        )
        answer = b""
        while True:
            part = connection.recv(65536)
            if not part:
                break
            answer += part
    if not ended(answer):
        raise ConnectionResetError("the connection ended before the answer did")
    return answer


def record(kind: int, content: bytes) -> bytes:
    return struct.pack(">BBHHBx", 1, kind, 1, len(content), 0) + content


def pair(name: str, value: str) -> bytes:
    """A parameter; both parts are shorter than 128 bytes."""
    return bytes((len(name), len(value))) + name.encode() + value.encode()


def ended(answer: bytes) -> bool:
    """Whether the records are whole and the last one ends the request."""
    last = None
    while len(answer) >= 8:
        _, last, _, length, padding = struct.unpack(">BBHHBx", answer[:8])
        answer = answer[8 + length + padding :]
    return last == END
