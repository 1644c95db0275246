# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the web server serves a site and reaches its PHP, asked over HTTP as a visitor would ask.

The address that is asked for answers only while a file is there whose name the request tells. Root alone
can make that file, and the name is another one each time, so nobody else can ask (see `PASSES`).
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import secrets
import socket
import ssl
import struct
import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from . import services

PASSES = "/run/config_set"
"""Where a file lies whose name is a request's pass. Who knows the name finds it, and nobody can list it."""

HEADER = "Config-Set-Probe"
PATIENCE = 10
"""Seconds for one answer. The web server itself gives PHP less, and then says 504."""

ATTEMPTS = 3
"""Times that a site is asked which breaks the connection or does not reach its PHP."""

AT_ONCE = 8
WOKEN = 50
"""Units that are started for their answer. One takes the processor for some 80 ms, so of a thousand new sites
all are asked for their virtual host, and these for their PHP too. Units that run are always asked."""

ASLEEP = "asleep"
"""The query that a virtual host answers itself, with 403, so that nothing is started."""

SETTLING = 10
"""Seconds that the workers of before a reload may go on listening; usually it is milliseconds."""

ASKS_FOR_A_CERTIFICATE = ("CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE")


class Doubt(Exception):
    """Nothing is proven, and nothing wrong with the configuration either; the message says why."""


class Fault(Exception):
    """The configuration does not do what it should."""


@dataclass(frozen=True)
class Question:
    """What to ask for a site, and the whole answer that it gives where all is well.

    Anything else that says `answer` comes from the right virtual host, which did not reach PHP.
    """

    site: str
    url: str
    answer: str
    unit: str = ""  # what the question may start; it is asked to leave again
    required: bool = True  # whether a virtual host must serve the site by now
    asleep: bool = False  # whether the virtual host alone is to answer


class Probe:
    """Questions about a change, made up before the daemons follow it and asked afterwards.

    :param daemons: those that are going to be reloaded. An answer counts once none of the workers that they
        have now listens any more.
    :param patience: seconds for all questions together.
    """

    def __init__(self, questions: Sequence[Question], daemons: Sequence[str], patience: float) -> None:
        self.questions = list(questions) if services.managed() else []
        self.patience = patience
        self.former = workers(daemons) if self.questions else set()

    def ask(self) -> list[str]:
        """Ask all of them.

        :returns: doubts, for a person to read.
        :raises services.ServiceError: what is wrong.
        """
        if not self.questions:
            return []
        doubts: list[str] = []
        deadline = time.monotonic() + self.patience
        settle(self.former)
        addresses.cache_clear()
        woken, asleep = idle_units(self.questions)
        questions = [replace(question, asleep=question.unit in asleep) for question in self.questions]
        with a_pass() as secret, ThreadPoolExecutor(AT_ONCE) as pool:
            for start in range(0, len(questions), AT_ONCE):
                if time.monotonic() > deadline:
                    sites = sorted({question.site for question in questions[start:]})
                    return [*doubts, f"not asked within {self.patience} s: {', '.join(sites)}"]
                batch = questions[start : start + AT_ONCE]
                with asleep_again({question.unit for question in batch} & woken):
                    found = list(pool.map(lambda question: judged(question, secret), batch))
                faults = [str(problem) for problem in found if isinstance(problem, Fault)]
                if faults:
                    raise services.ServiceError("\n".join(faults))
                doubts += [str(problem) for problem in found if problem]
        return doubts


# ---------------------------------------------------------------- one question


def judged(question: Question, secret: str) -> Exception | None:
    """What is wrong or in doubt; None where the answer is right, or where nothing can be known yet."""
    try:
        for attempt in range(ATTEMPTS):
            last = attempt == ATTEMPTS - 1
            try:
                query = "?" + ASLEEP if question.asleep else ""
                return verdict(question, *answer(question.url + query, secret))
            except (Fault, ConnectionError):
                if last:
                    raise
            time.sleep(0.5)
    except Fault as fault:
        return Fault(f"site {question.site}, {question.url}: {fault}")
    except socket.timeout:
        doubt = Doubt(f"site {question.site}, {question.url}: no answer within {PATIENCE} s")
        return doubt if question.required else None
    except OSError as error:
        kind = Doubt if asks_for_a_certificate(error) else Fault
        return kind(f"site {question.site}, {question.url}: {error}") if question.required else None
    return None


def verdict(question: Question, status: int, body: str) -> Doubt | None:
    """What an answer proves.

    :raises Fault: that the configuration is wrong.
    """
    from_the_site = body == question.answer
    if from_the_site and status in ((200, 403) if question.asleep else (200,)):
        return None
    about = f"site {question.site}, {question.url}: "
    if status == 504:
        return Doubt(f"{about}its PHP has no worker free to answer")
    if from_the_site:
        raise Fault(f"its virtual host answers, but does not reach PHP (status {status})")
    if not question.required:
        return None
    if status in (200, 404):
        raise Fault(f"another virtual host answers for it, or one without its snippet (status {status})")
    return Doubt(f"{about}a rule of the web server answers in its place (status {status})")


def asks_for_a_certificate(error: OSError) -> bool:
    """Whether the virtual host serves only clients with a certificate, which a probe has not."""
    return isinstance(error, ssl.SSLError) and any(
        word in str(error.reason) for word in ASKS_FOR_A_CERTIFICATE
    )


def answer(url: str, secret: str) -> tuple[int, str]:
    """Status and body, of one request to this host, whatever the name in the URL.

    :raises OSError: there is no answer, or none in time.
    """
    asked = urlsplit(url)
    host, tls = asked.hostname or "", asked.scheme == "https"
    deadline = time.monotonic() + PATIENCE
    with contextlib.ExitStack() as open_until_the_end:
        connection = connected(asked.port or (443 if tls else 80))
        open_until_the_end.callback(connection.close)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE  # which certificate it is, is not the question
            connection = context.wrap_socket(connection, server_hostname=host)
            open_until_the_end.callback(connection.close)
        # in HTTP/1.0 the end of the connection is the end of the answer
        connection.sendall(
            f"GET {asked.path or '/'}{'?' * bool(asked.query)}{asked.query} HTTP/1.0\r\n"
            f"Host: {host}\r\n{HEADER}: {secret}\r\n\r\n".encode()
        )
        received = b""
        while len(received) < 65536:
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            part = connection.recv(65536)
            if not part:
                break
            received += part
    head, _, body = received.partition(b"\r\n\r\n")
    status = re.match(rb"HTTP/1\.[01] ([0-9]{3})", head)
    if not status:
        raise ConnectionResetError("the connection ended before an answer came")
    return int(status[1]), body.decode(errors="replace").strip()


def connected(port: int) -> socket.socket:
    """A connection to whatever listens on a port of this host."""
    failure: OSError = ConnectionRefusedError(f"nothing on this host listens on port {port}")
    for address in addresses(port):
        try:
            return socket.create_connection((address, port), PATIENCE)
        except ConnectionError as error:
            failure = error
    raise failure


# ---------------------------------------------------------------- the host


@contextlib.contextmanager
def a_pass() -> Iterator[str]:
    """The name of a file that is there meanwhile."""
    secret = secrets.token_hex(16)
    os.makedirs(PASSES, exist_ok=True)
    os.chmod(PASSES, 0o711)
    path = os.path.join(PASSES, secret)
    with open(path, "x", encoding="ascii"):
        try:
            yield secret
        finally:
            os.unlink(path)


def idle_units(questions: Sequence[Question]) -> tuple[set[str], set[str]]:
    """The units that do not run: those to be started for their answer, and the rest."""
    units = dict.fromkeys(question.unit for question in questions if question.unit)
    idle = [unit for unit, state in services.states(list(units)).items() if state == "inactive"]
    return set(idle[:WOKEN]), set(idle[WOKEN:])


@contextlib.contextmanager
def asleep_again(units: Collection[str]) -> Iterator[None]:
    """What did not run is asked to leave again, so that few are up at the same time."""
    yield
    if units:
        services.run(["systemctl", "stop", "--no-block", *sorted(units)])


def workers(daemons: Sequence[str]) -> set[int]:
    """The processes that daemons have made for their work."""
    found: set[int] = set()
    for daemon in daemons:
        main = services.run(["systemctl", "show", "--property=MainPID", "--value", daemon])
        with (
            contextlib.suppress(OSError),
            open(f"/proc/{main}/task/{main}/children", encoding="ascii") as file,
        ):
            found.update(int(pid) for pid in file.read().split())
    return found


def settle(former: Collection[int]) -> None:
    """Wait until no process of before a reload takes connections any more."""
    until = time.monotonic() + SETTLING
    while any(listens(pid) for pid in former) and time.monotonic() < until:
        time.sleep(0.02)


def listens(pid: int) -> bool:
    """Whether a process holds a TCP socket that listens."""
    inodes = {f"socket:[{inode}]" for _, _, inode in listening()}
    with contextlib.suppress(OSError):  # it has left
        for descriptor in os.scandir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                if os.readlink(descriptor.path) in inodes:
                    return True
    return False


@functools.cache
def addresses(port: int) -> list[str]:
    """Where something listens on a port, to connect to. The table is long after many questions."""
    bound = [address for address, its_port, _ in listening() if its_port == port]
    everywhere = ["127.0.0.1", "::1"] if {"0.0.0.0", "::"} & set(bound) else []
    return everywhere + [address for address in bound if address not in ("0.0.0.0", "::")]


def listening() -> Iterator[tuple[str, int, str]]:
    """Address, port and inode of every TCP socket of this host that listens."""
    for table, family in (("/proc/net/tcp", socket.AF_INET), ("/proc/net/tcp6", socket.AF_INET6)):
        with contextlib.suppress(FileNotFoundError), open(table, encoding="ascii") as lines:
            next(lines)
            for line in lines:
                _, local, _, state, *more = line.split()
                if state == "0A":
                    address, port = local.split(":")
                    # words of four bytes each, in the order of this machine
                    words = [int(address[at : at + 8], 16) for at in range(0, len(address), 8)]
                    packed = b"".join(struct.pack("=I", word) for word in words)
                    yield socket.inet_ntop(family, packed), int(port, 16), more[5]
