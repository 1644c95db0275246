# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The timeout chain of one site: derivation of what is not given, and proof of the order.

All values are whole seconds, the heartbeat alone is a fraction. The clocks, from the inside out:

``max_execution_time`` (E)
    PHP's own limit. Counts CPU time on Linux, so sleeping and waiting are free (TMO-01).
``request_slowlog_timeout`` (S)
    FPM writes a backtrace of a request that runs longer. Also sets the heartbeat.
``request_terminate_timeout`` (R)
    FPM ends the request. Wall clock, looked at once per heartbeat (TMO-02).
``heartbeat`` (H)
    min(R, S) / 3, never below 0.13: how late FPM may notice that R has passed.
``proxy_timeout`` (P)
    Apache gives up after so long without a byte from PHP (TMO-07).
``process_control_timeout`` (C)
    How long a master that stops or reloads waits for the requests that run (REL-03).
``stop_timeout`` (K)
    systemd's TimeoutStopSec; past it the whole unit is killed (TMO-22).

Where Apache starts PHP itself there is no master that could end a request. The clocks are then:

``default_socket_timeout``
    PHP gives up waiting for somebody else. A setting of PHP, which a script can change.
``io_timeout`` (FcgidIOTimeout, or -idle-timeout of mod_fastcgi)
    Apache gives up after so long without a byte from PHP (TMO-17). mod_fcgid kills the process then, and
    mod_fastcgi does not (TMO-30).
``busy_timeout`` (FcgidBusyTimeout)
    Wall clock: a process that has been busy with one request for so long is killed (TMO-18). mod_fcgid alone.

php-cgi behind a socket has nobody who could end a request: no clock on the wall bounds it (TMO-01). It has
``max_execution_time``, ``default_socket_timeout``, ``proxy_timeout`` and ``stop_timeout``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

HEARTBEAT_FLOOR = 0.13
OF_FPM = (
    "max_execution_time",
    "request_slowlog_timeout",
    "request_terminate_timeout",
    "proxy_timeout",
    "process_control_timeout",
    "stop_timeout",
)
OF_FCGID = ("max_execution_time", "io_timeout", "busy_timeout")
OF_MOD_FASTCGI = ("max_execution_time", "io_timeout")
OF_PHP_CGI = ("max_execution_time", "proxy_timeout", "stop_timeout")
OF_MOD_PHP = ("max_execution_time",)
SETTABLE = tuple(dict.fromkeys(OF_FPM + OF_FCGID))


@dataclass(frozen=True)
class Chain:
    """A complete chain; `problems` tells whether it holds."""

    max_execution_time: int
    request_slowlog_timeout: int
    request_terminate_timeout: int
    heartbeat: float
    proxy_timeout: int
    process_control_timeout: int
    stop_timeout: int

    def as_dict(self) -> dict[str, float]:
        return dict(vars(self))


def heartbeat(request_terminate_timeout: int, request_slowlog_timeout: int) -> float:
    """The interval at which a master looks at its running requests (TMO-02)."""
    return max(HEARTBEAT_FLOOR, min(request_terminate_timeout, request_slowlog_timeout) / 3)


def derive(given: Mapping[str, int]) -> Chain:
    """Complete a chain from the values that are given; each follows from the one inside it.

    From max_execution_time 300 this makes 15 / 305 / 5 / 315 / 310 / 315: the slowlog timeout
    bounds the heartbeat, so that Apache need not wait a third of R longer (TMO-03).
    """
    limit = given.get("max_execution_time", 30)
    terminate = given.get("request_terminate_timeout", limit + 5)
    slowlog = given.get("request_slowlog_timeout", max(1, min(15, terminate // 2)))
    beat = heartbeat(terminate, slowlog)
    latest_end = math.ceil(terminate + beat)
    control = given.get("process_control_timeout", latest_end)
    return Chain(
        max_execution_time=limit,
        request_slowlog_timeout=slowlog,
        request_terminate_timeout=terminate,
        heartbeat=round(beat, 2),
        proxy_timeout=given.get("proxy_timeout", latest_end + 5),
        process_control_timeout=control,
        stop_timeout=given.get("stop_timeout", control + 5),
    )


def problems(chain: Chain) -> list[tuple[str, str]]:
    """Every link of the chain that does not hold, as (field, what is wrong and what would do)."""
    found: list[tuple[str, str]] = []
    latest_end = chain.request_terminate_timeout + chain.heartbeat
    if chain.request_terminate_timeout <= chain.max_execution_time:
        found.append(
            (
                "request_terminate_timeout",
                f"{chain.request_terminate_timeout} s is not longer than max_execution_time "
                f"({chain.max_execution_time} s): FPM would kill a script before PHP can end it with an "
                f"error of its own (TMO-05); use at least {chain.max_execution_time + 1}",
            )
        )
    if 2 * chain.request_slowlog_timeout > chain.request_terminate_timeout:
        half = chain.request_terminate_timeout // 2
        found.append(
            (
                "request_slowlog_timeout",
                f"{chain.request_slowlog_timeout} s is more than half of request_terminate_timeout "
                f"({chain.request_terminate_timeout} s): the backtrace would put the kill off (TMO-04); "
                + (f"use at most {half}" if half else "give request_terminate_timeout at least 2"),
            )
        )
    if chain.proxy_timeout < latest_end:
        found.append(
            (
                "proxy_timeout",
                f"{chain.proxy_timeout} s is shorter than request_terminate_timeout plus FPM's heartbeat "
                f"({chain.request_terminate_timeout} + {chain.heartbeat} s): Apache would answer 504 while "
                f"PHP runs on (TMO-02); use at least {math.ceil(latest_end)}, or a smaller "
                f"request_slowlog_timeout",
            )
        )
    if chain.process_control_timeout < latest_end:
        found.append(
            (
                "process_control_timeout",
                f"{chain.process_control_timeout} s is shorter than request_terminate_timeout plus FPM's "
                f"heartbeat ({chain.request_terminate_timeout} + {chain.heartbeat} s): a reload would cut "
                f"off requests that may still run (REL-03); use at least {math.ceil(latest_end)}",
            )
        )
    if chain.stop_timeout <= chain.process_control_timeout + 3:
        found.append(
            (
                "stop_timeout",
                f"{chain.stop_timeout} s leaves systemd no more than 3 s beyond process_control_timeout "
                f"({chain.process_control_timeout} s): it would kill a master that is still draining "
                f"(TMO-22); use at least {chain.process_control_timeout + 4}",
            )
        )
    return found


# ---------------------------------------------------------------- fcgid


@dataclass(frozen=True)
class FcgidChain:
    """A complete chain of a site whose PHP mod_fcgid starts and ends."""

    max_execution_time: int
    default_socket_timeout: int
    io_timeout: int
    busy_timeout: int

    def as_dict(self) -> dict[str, float]:
        return dict(vars(self))


def derive_fcgid(given: Mapping[str, int], socket_timeout: int | None = None) -> FcgidChain:
    """Complete a chain of fcgid from the values that are given; each follows from the one inside it.

    :param socket_timeout: PHP's setting, where there is one; otherwise its own 60 s, or less if it must be.
    """
    limit = given.get("max_execution_time", 30)
    silence = given.get("io_timeout", limit + 5)
    return FcgidChain(
        max_execution_time=limit,
        default_socket_timeout=below(silence) if socket_timeout is None else socket_timeout,
        io_timeout=silence,
        busy_timeout=given.get("busy_timeout", silence + 5),
    )


def below(patience: int) -> int:
    """PHP's own patience with others: its default of 60 s, or less where Apache has no more."""
    return max(1, min(60, patience - 1))


def fcgid_problems(chain: FcgidChain) -> list[tuple[str, str]]:
    """Every link of the chain that does not hold, as (field, what is wrong and what would do)."""
    found: list[tuple[str, str]] = []
    if chain.io_timeout <= chain.max_execution_time:
        found.append(
            (
                "io_timeout",
                f"{chain.io_timeout} s is not longer than max_execution_time ({chain.max_execution_time} s): "
                f"Apache would give a silent script up before PHP can end it with an error of its own "
                f"(TMO-17); use at least {chain.max_execution_time + 1}",
            )
        )
    if not 0 < chain.default_socket_timeout < chain.io_timeout:
        found.append(
            (
                "io_timeout",
                f"{chain.io_timeout} s is not longer than PHP's default_socket_timeout "
                f"({chain.default_socket_timeout} s): Apache would give up a script that waits for others "
                f"before PHP stops waiting (TMO-17); use at least {chain.default_socket_timeout + 1}, or a "
                f"default_socket_timeout between 1 and {chain.io_timeout - 1}",
            )
        )
    if chain.busy_timeout < chain.io_timeout:
        found.append(
            (
                "busy_timeout",
                f"{chain.busy_timeout} s is shorter than io_timeout ({chain.io_timeout} s), which would "
                f"never pass (TMO-18); use at least {chain.io_timeout}",
            )
        )
    return found


# ---------------------------------------------------------------- php-cgi behind a socket


@dataclass(frozen=True)
class PhpCgiChain:
    """A complete chain of a site with php-cgi behind its socket. Nothing there ends a request that waits."""

    max_execution_time: int
    default_socket_timeout: int
    proxy_timeout: int
    stop_timeout: int

    def as_dict(self) -> dict[str, float]:
        return dict(vars(self))


def derive_php_cgi(given: Mapping[str, int], socket_timeout: int | None = None) -> PhpCgiChain:
    """Complete a chain of php-cgi from the values that are given; each follows from the one inside it.

    :param socket_timeout: PHP's setting, where there is one; otherwise its own 60 s, or less if it must be.
    """
    limit = given.get("max_execution_time", 30)
    silence = given.get("proxy_timeout", limit + 5)
    return PhpCgiChain(
        max_execution_time=limit,
        default_socket_timeout=below(silence) if socket_timeout is None else socket_timeout,
        proxy_timeout=silence,
        stop_timeout=given.get("stop_timeout", silence),
    )


def php_cgi_problems(chain: PhpCgiChain) -> list[tuple[str, str]]:
    """Every link of the chain that does not hold, as (field, what is wrong and what would do)."""
    found: list[tuple[str, str]] = []
    if chain.proxy_timeout <= chain.max_execution_time:
        found.append(
            (
                "proxy_timeout",
                f"{chain.proxy_timeout} s is not longer than max_execution_time ({chain.max_execution_time} "
                f"s): Apache would answer 504 while PHP runs on, and nothing ends it but PHP itself "
                f"(TMO-30); use at least {chain.max_execution_time + 1}",
            )
        )
    if not 0 < chain.default_socket_timeout < chain.proxy_timeout:
        found.append(
            (
                "proxy_timeout",
                f"{chain.proxy_timeout} s is not longer than PHP's default_socket_timeout "
                f"({chain.default_socket_timeout} s): Apache would answer 504 while PHP still waits for "
                f"others (TMO-30); use at least {chain.default_socket_timeout + 1}, or a "
                f"default_socket_timeout between 1 and {chain.proxy_timeout - 1}",
            )
        )
    if chain.stop_timeout < chain.proxy_timeout:
        found.append(
            (
                "stop_timeout",
                f"{chain.stop_timeout} s is shorter than proxy_timeout ({chain.proxy_timeout} s): a restart "
                f"would cut off requests that Apache still waits for; use at least {chain.proxy_timeout}",
            )
        )
    return found
