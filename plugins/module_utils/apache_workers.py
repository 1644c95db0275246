# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The workers of Apache's proxy: which parameters hold for a URL (TMO-12, SEC-05).

A worker is known by its URL alone, without a socket before the pipe. The longest name that begins a URL
wins, scheme, host and port being the least that must agree.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ansible_collections.webhosting.fastcgi.plugins.module_utils.source import Source

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(.*)", re.DOTALL)
_DEFAULT_PORTS = {"fcgi": ":8000", "http": ":80", "https": ":443", "ajp": ":8009", "scgi": ":4000"}


def de_socketed(url: str) -> tuple[str, str]:
    """The socket before the pipe, if there is one, and the URL behind it."""
    if url[:5].lower() == "unix:" and "|" in url:
        socket, _, rest = url[5:].partition("|")
        return socket, rest
    return "", url


def parts(url: str) -> tuple[str, str] | None:
    """A URL's scheme, host and port as Apache compares them, and the rest."""
    match = _URL.fullmatch(url)
    if not match:
        return None
    scheme, host, rest = match[1].lower(), match[2].lower(), match[3]
    port = _DEFAULT_PORTS.get(scheme, "")
    if port and host.endswith(port):
        host = host[: -len(port)]
    # a socket needs no host, and gets one
    return f"{scheme}://{host or 'localhost'}", rest


@dataclass
class Worker:
    """A worker as it is defined.

    :param parameters: its parameters in lower case, each with the line it is from.
    """

    name: str
    socket: str
    source: Source
    parameters: dict[str, tuple[str, Source]] = field(default_factory=dict)
    undecided: str = ""
    found: bool = False  # whether any URL belongs to it


@dataclass
class Balancer:
    source: Source
    members: list[Worker] = field(default_factory=list)


@dataclass
class Workers:
    """The workers of one server. `base` is the main server's, which a virtual host inherits."""

    base: Workers | None = None
    inherited: bool = True
    by_name: dict[str, Worker] = field(default_factory=dict)
    # the lengths of the names on each host: few, so that a lookup need not go through all names
    lengths: dict[str, set[int]] = field(default_factory=dict)
    balancers: dict[str, Balancer] = field(default_factory=dict)

    def own(self, url: str) -> Worker | None:
        """The worker of this server alone that a URL belongs to."""
        split = parts(url)
        if not split:
            return None
        for length in sorted(self.lengths.get(split[0], ()), reverse=True):
            worker = self.by_name.get((split[0] + split[1])[:length])
            if worker:
                return worker
        return None

    def find(self, url: str) -> Worker | None:
        """The worker whose parameters hold for a URL: the longest name, and of equals the main server's."""
        inherited = self.base.find(url) if self.base and self.inherited else None
        worker = self.own(url)
        if worker and inherited:
            worker = worker if len(worker.name) > len(inherited.name) else inherited
        worker = worker or inherited
        if worker:
            worker.found = True
        return worker

    def define(self, url: str, source: Source) -> tuple[Worker | None, bool]:
        """The worker that a directive speaks of, and whether it is new: a shorter name may be there."""
        socket, address = de_socketed(url)
        split = parts(address)
        if not split:
            return None, False
        worker = self.own(address)
        if worker:
            return worker, False
        worker = Worker(split[0] + split[1], socket, source)
        self.by_name[worker.name] = worker
        self.lengths.setdefault(split[0], set()).add(len(worker.name))
        return worker, True

    def balancer(self, url: str) -> Balancer | None:
        found = self.balancers.get(balancer_name(url))
        if not found and self.base and self.inherited:
            return self.base.balancer(url)
        return found

    def define_balancer(self, url: str, source: Source) -> Balancer:
        return self.balancers.setdefault(balancer_name(url), Balancer(source))


def balancer_name(url: str) -> str:
    return url[len("balancer://") :].split("/", 1)[0].lower()


def is_balancer(url: str) -> bool:
    return url[:11].lower() == "balancer://"
