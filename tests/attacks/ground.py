"""An attacker, a victim, and what an attack may use: files of the attacker's account, requests, and PHP."""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import itertools
import os
import pwd
import re
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, Callable

PATIENCE = 20
WHO = "echo 'ran-as=', posix_getpwuid(posix_geteuid())['name'], ';';"
"""PHP that tells under whose account it runs."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """An HTTP response, and what Apache wrote into its error log meanwhile."""

    status: int
    head: str
    body: str
    log: str

    def __str__(self) -> str:
        body = "" if self.body.startswith("<!DOCTYPE") else self.body[:300]
        said = [re.sub(r"^(\[.*?\] )+", "", line) for line in self.log.splitlines() if line.strip()]
        return " | ".join([f"{self.status} {body}".strip(), *said[-3:]])


@dataclasses.dataclass(frozen=True)
class Site:
    """One site as its neighbours know it."""

    name: str
    user: str
    root: str
    host: str
    port: int
    sockets: Sequence[str] = ()
    """Patterns of paths; the first is the one that anybody would guess."""
    worker: str = ""
    sessions: str = ""
    tmp: str = ""
    places: Sequence[str] = ()
    """Files about the site that are none of its neighbours' business."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one attack. With neither success nor layer it was not tried, for the reason given."""

    succeeded: bool
    layer: str
    evidence: str


def stopped(layer: str, evidence: object) -> Outcome:
    return Outcome(False, layer, str(evidence)[:600])


def succeeded(evidence: object) -> Outcome:
    return Outcome(True, "", str(evidence)[:600])


def not_tried(reason: str) -> Outcome:
    return Outcome(False, "", reason)


# ---------------------------------------------------------------- which layer it was

OVERRIDE = "AllowOverride"
MAPPING = "mapping of names to PHP"
LINKS = "SymLinksIfOwnerMatch"
MODES = "owners and modes of files"
SOCKET_MODE = "mode of the socket"
SANDBOX = "sandbox of the unit"
KERNEL = "kernel, between two users"
OWN_PROCESS = "processes of its own"
CACHE = "guards of the common opcode cache"
LOCKED = "locked settings"
SUEXEC = "suEXEC"
IMMUTABLE = "immutable flag"
HEADERS = "rules for header names"
MODULES = "module that is not there"
GATE = "Require in the server's configuration"
ADDRESS = "secret address of the socket"
CONFIG_SET = "config_set follows no link"
SHARE = "share of Apache's workers"
LIMITS = "limits of the unit, or of the account"

# Of what Apache says, in its log or to the client; the first that fits.
IN_THE_LOG = (
    (r"not allowed (here|in <)|ExecCGI is off", OVERRIDE),
    (r"Invalid command", MODULES),
    (r"AH00037", LINKS),
    (r"\(13\)Permission denied: AH02454", SOCKET_MODE),
    (r"\(2\)No such file or directory: AH02454|DNS lookup failure", ADDRESS),
    (r"suexec policy violation|mismatch with directory", SUEXEC),
    (r"Primary script unknown", SANDBOX),
    (r"AH01630|AH01797|client denied", GATE),
    (r"\(13\)Permission denied|AH00035|AH00132", MODES),
)
# Of what PHP and the kernel say to the tenant.
IN_PHP = (
    (r"No such file or directory|Read-only file system", SANDBOX),
    (r"Permission denied", MODES),
    (r"Operation not permitted|No such process", KERNEL),
)


def layer_of(text: str, known: Sequence[tuple[str, str]]) -> str:
    """The layer that a refusal tells of; "?" where none does, which the scenario does not let pass."""
    return next((layer for pattern, layer in known if re.search(pattern, text)), "?")


def by_apache(answer: Answer) -> Outcome:
    """An attack that Apache stopped, as its log tells."""
    return stopped(layer_of(answer.log, IN_THE_LOG), answer)


def by_php(refusal: object) -> Outcome:
    """An attack that the tenant's own PHP had no success with."""
    return stopped(layer_of(str(refusal), IN_PHP), refusal)


def because(held: bool, layer: str, evidence: object) -> Outcome:
    """An attack of which only that shows which layer stopped it: where it does not hold nothing is known."""
    return stopped(layer if held else "?", evidence)


# ---------------------------------------------------------------- the ground


class Ground:
    """One attacker and one victim on one host."""

    numbers = itertools.count()

    def __init__(self, given: dict[str, Any]) -> None:
        self.name, self.engine, self.weak = given["name"], given["engine"], given.get("weak", False)
        self.log = given["log"]
        self.attacker, self.victim = Site(**given["attacker"]), Site(**given["victim"])
        self.secret = given["secret"]

    # the attacker's account

    @contextlib.contextmanager
    def account(self, user: str) -> Iterator[None]:
        """Be that account for the file system, as after a login; only root can come back."""
        account = pwd.getpwnam(user)
        os.setgroups([])
        os.setegid(account.pw_gid)
        os.seteuid(account.pw_uid)
        before = os.umask(0o022)
        try:
            yield
        finally:
            os.umask(before)
            os.seteuid(0)
            os.setegid(0)

    def upload(self, files: dict[str, str], site: Site | None = None) -> str:
        """A new directory with these files in it, of the attacker's account; its URL's path."""
        site = site or self.attacker
        name = f"try{os.getpid()}-{next(self.numbers)}"
        with self.account(site.user):
            for path, text in {".": "", **files}.items():
                whole = f"{site.root}/{name}/{path}"
                os.makedirs(whole if path == "." else os.path.dirname(whole), exist_ok=True)
                if path != ".":
                    with open(whole, "w", encoding="utf-8") as file:
                        file.write(self.filled(text, name))
                    if text.startswith("#!"):
                        os.chmod(whole, 0o755)
        return name

    def filled(self, text: str, name: str) -> str:
        """A text in which the words in capitals stand for what they name."""
        words = {
            "SOCKET": self.victim.sockets[0],
            "WORKER": self.victim.worker,
            "VICTIM_ROOT": self.victim.root,
            "HERE": f"{self.attacker.root}/{name}",
            "URL": f"/{name}",
        }
        return re.sub("|".join(rf"\b{word}\b" for word in words), lambda found: words[found[0]], text)

    # requests

    def request(
        self, site: Site, target: str, headers: Sequence[str] = (), patience: float = PATIENCE
    ) -> Answer:
        """Ask a site for a path as it stands; the log is what came meanwhile."""
        start = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        lines = [f"GET {target} HTTP/1.0", f"Host: {site.host}", *headers, "", ""]
        received = b""
        with socket.create_connection(("127.0.0.1", site.port), timeout=patience) as connection:
            connection.sendall("\r\n".join(lines).encode())
            while part := connection.recv(65536):
                received += part
        head, _, body = received.partition(b"\r\n\r\n")
        with open(self.log, encoding="utf-8", errors="replace") as log:
            log.seek(start)
            said = log.read()
        found = re.match(rb"HTTP/1\.1 (\d+)", head)
        return Answer(
            int(found[1]) if found else 0, head.decode(errors="replace"), body.decode(errors="replace"), said
        )

    def page(self, files: dict[str, str], path: str, *headers: str) -> Answer:
        """Upload files, and ask for one of them."""
        return self.request(self.attacker, f"/{self.upload(files)}/{path}", headers)

    def php(self, code: str, site: Site | None = None) -> Answer:
        """Run PHP as a tenant: an upload, and a request for it."""
        site = site or self.attacker
        return self.request(site, f"/{self.upload({'run.php': '<?php ' + code}, site)}/run.php")

    def asking_victim(self, path: str, *headers: str) -> Answer:
        return self.request(self.victim, path, headers)

    def addresses(self) -> list[str]:
        """Every socket behind which the victim's PHP waits: more than the attacker need know."""
        self.asking_victim("/whoami.php")
        return sorted(path for pattern in self.victim.sockets for path in glob.glob(pattern, recursive=True))

    # what a success is

    def reached(self, answer: Answer) -> bool:
        """Whether an answer shows the victim's secret, or code that ran as the victim."""
        return self.secret in answer.body or f"ran-as={self.victim.user};" in answer.body

    def foreign(self, answer: Answer) -> bool:
        """Whether code of the attacker ran as somebody else."""
        found = re.search(r"ran-as=([^;]+);", answer.body)
        return bool(found) and found[1] != self.attacker.user


# ---------------------------------------------------------------- the attacks


@dataclasses.dataclass(frozen=True)
class Attack:
    """One thing to try. `engines` are those it makes sense for, `kind` is the module that it is in."""

    name: str
    facts: str
    engines: Sequence[str]
    run: Callable[[Ground], Outcome]
    kind: str = ""


WITH_FPM = ("proxy_fcgi", "mod_fastcgi", "mod_fastcgi_handler")
WITH_SOCKET = (*WITH_FPM, "php_cgi")
"""A socket and a unit for each site; php_cgi is behind proxy_fcgi here."""
ENGINES = (*WITH_SOCKET, "fcgid", "mpm_itk")
ATTACKS: list[Attack] = []


def attack(
    name: str, facts: str = "", engines: Sequence[str] = ENGINES
) -> Callable[[Callable[[Ground], Outcome]], Callable[[Ground], Outcome]]:
    """Make an attack of a function."""

    def listed(run: Callable[[Ground], Outcome]) -> Callable[[Ground], Outcome]:
        ATTACKS.append(Attack(name, facts, engines, run, run.__module__))
        return run

    return listed


def attempt(ground: Ground, one: Attack) -> dict[str, Any]:
    """What became of an attack. A fault of the attack itself is nobody's success, and stops the scenario."""
    started = time.monotonic()
    try:
        outcome = one.run(ground)
    except Exception as fault:
        outcome = stopped("?", f"fault of the attack itself: {fault!r}")
    seconds = round(time.monotonic() - started, 2)
    print(f"{seconds:6} s  {one.name} ({ground.name})", file=sys.stderr, flush=True)
    return {
        "attack": one.name,
        "facts": one.facts,
        "ground": ground.name,
        **dataclasses.asdict(outcome),
    }
