# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rules of the timeout chain: what must hold between the clocks of one handler, and what to do.

A rule looks at values and knows neither files nor daemons. Each has the id that the documentation explains,
and yields what does not hold. A value that cannot be told makes the rule undecided, which is no pass.

Durations are seconds. Where a daemon takes 0 for "off", 0 means for ever here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .settings import Setting
from .source import Source

SEVERITIES = ("info", "low", "medium", "high", "critical")
"""From the least to the worst."""

FOR_EVER = math.inf


@dataclass(frozen=True)
class Clock:
    """A value with the name that its file gives it, such as `ProxyTimeout`."""

    label: str
    setting: Setting[Any]

    def __str__(self) -> str:
        where = self.setting.source or f"default of {self.setting.default_of}"
        return f"{self.label} {self.setting.value} ({where})"


@dataclass(frozen=True)
class Chain:
    """All clocks that a request for `.php` meets at one handler.

    :param server: the name of the virtual host.
    :param holds: where in the virtual host the handler holds; empty where everywhere.
    :param engine: Apache's side: proxy_fcgi, mod_fastcgi, mod_fastcgi_handler, fcgid, mod_php.
    :param backend: PHP's side: fpm, php_cgi, wrapper, mod_php, or unknown.
    :param address: the socket, address or wrapper between them.
    :param clocks: by the names that this module uses.
    :param unknown: why a side could not be found; each reason leaves the chain undecided.
    """

    server: str
    holds: str
    engine: str
    backend: str
    address: str
    source: Source | None
    clocks: Mapping[str, Clock]
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """A rule that does not hold.

    :param fix: which value would do.
    :param clocks: the values it is about, by the names that a chain has them under.
    """

    rule: str
    severity: str
    message: str
    fix: str
    clocks: Mapping[str, Clock]


@dataclass(frozen=True)
class Policy:
    """What the operator wants of the rules.

    :param rules: ids of those that count; None for all.
    :param margins: seconds by which a rule must hold, by its id.
    :param accepted: ids of rules that may be broken on purpose.
    """

    rules: Collection[str] | None = None
    margins: Mapping[str, float] = field(default_factory=dict)
    accepted: Collection[str] = ()

    def wants(self, rule: str) -> bool:
        return self.rules is None or rule in self.rules


@dataclass(frozen=True)
class Verdict:
    """What the rules say of one chain.

    :param undecided: per rule that could not be judged, and per side that was not found, the reason.
    :param accepted: findings that the policy allows.
    """

    chain: Chain
    findings: tuple[Finding, ...]
    undecided: tuple[str, ...]
    accepted: tuple[Finding, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether no request can hang: nothing is undecided, and no rule of order or capacity is broken.

        What costs requests when a daemon restarts is found as well, but hangs nothing.
        """
        return not self.undecided and not any(
            at_least(finding.severity, "medium") and not RULES[finding.rule].at_restart
            for finding in self.findings
        )


class Unknown(Exception):
    """A clock cannot be told; the message says which and why."""


class NotThere(Exception):
    """The chain has no such clock, so the rule is not about it."""


def at_least(severity: str, bound: str) -> bool:
    return SEVERITIES.index(severity) >= SEVERITIES.index(bound)


# ---------------------------------------------------------------- how rules see a chain

OFF_AT_ZERO = frozenset(
    (
        *("max_execution_time", "request_slowlog_timeout", "request_terminate_timeout"),
        *("default_socket_timeout", "php_max_requests", "max_requests_per_process"),
    )
)


class View:
    """A chain's values, with the margin of the rule that looks."""

    def __init__(self, chain: Chain, margin: float) -> None:
        self.chain, self.margin = chain, margin

    def clock(self, name: str) -> Clock:
        if name not in self.chain.clocks:
            raise NotThere(name)
        clock = self.chain.clocks[name]
        if clock.setting.undecided:
            raise Unknown(f"{clock.label}: {clock.setting.undecided}")
        return clock

    def value(self, name: str) -> Any:
        return self.clock(name).setting.value

    def seconds(self, name: str) -> float:
        value = self.value(name)
        if value is None:
            return FOR_EVER
        if name in OFF_AT_ZERO and value <= 0:
            return FOR_EVER
        return float(value)

    def clocks(self, *names: str) -> dict[str, Clock]:
        return {name: self.chain.clocks[name] for name in names if name in self.chain.clocks}


Check = Callable[[View], Iterator[tuple[str, str, tuple[str, ...]]]]
"""Yields what is wrong, what would do, and the names of the clocks it is about."""


@dataclass(frozen=True)
class Rule:
    """One rule.

    :param engines: of chains that it is about; empty for all. So with `backends`.
    :param at_restart: whether it is about restarts and reloads alone.
    """

    id: str
    severity: str
    title: str
    check: Check
    engines: tuple[str, ...] = ()
    backends: tuple[str, ...] = ()
    at_restart: bool = False

    def applies(self, chain: Chain) -> bool:
        return (not self.engines or chain.engine in self.engines) and (
            not self.backends or chain.backend in self.backends
        )


RULES: dict[str, Rule] = {}


def rule(identifier: str, severity: str, title: str, **about: Any) -> Callable[[Check], Check]:
    """Add a rule to the table."""

    def add(check: Check) -> Check:
        RULES[identifier] = Rule(identifier, severity, title, check, **about)
        return check

    return add


def judge(chain: Chain, policy: Policy | None = None) -> Verdict:
    """Hold one chain against all rules that are about it."""
    policy = policy or Policy()
    findings: list[Finding] = []
    accepted: list[Finding] = []
    undecided: list[str] = list(chain.unknown)
    for one in RULES.values():
        if not (policy.wants(one.id) and one.applies(chain)):
            continue
        view = View(chain, policy.margins.get(one.id, 0))
        try:
            for message, fix, names in one.check(view):
                finding = Finding(one.id, one.severity, message, fix, view.clocks(*names))
                (accepted if one.id in policy.accepted else findings).append(finding)
        except NotThere:
            continue
        except Unknown as reason:
            undecided.append(f"{one.id}: {reason}")
    findings.sort(key=lambda finding: -SEVERITIES.index(finding.severity))
    return Verdict(chain, tuple(findings), tuple(dict.fromkeys(undecided)), tuple(accepted))


def spelled(seconds: float) -> str:
    """Seconds as people write them."""
    return "no limit" if seconds == FOR_EVER else f"{round(seconds, 2):g} s"


# ---------------------------------------------------------------- PHP-FPM

FPM = ("fpm",)
SOCKET = ("fpm", "php_cgi")
PROXY = ("proxy_fcgi",)
CONNECTING = ("proxy_fcgi", "mod_fastcgi", "mod_fastcgi_handler")


@rule("TMO-01", "high", "every request has an end by the wall clock", backends=("fpm", "php_cgi", "mod_php"))
def ends(view: View) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    if view.chain.backend == "fpm":
        if view.seconds("request_terminate_timeout") == FOR_EVER:
            yield (
                "request_terminate_timeout is off: max_execution_time counts processor time alone, so a "
                "script that waits holds its worker for ever, and as many as there are workers stop the site",
                "set request_terminate_timeout in the pool, above max_execution_time",
                ("request_terminate_timeout", "max_execution_time"),
            )
    elif view.chain.backend == "php_cgi":
        yield (
            "php-cgi has no limit by the wall clock: Apache may give up, but the process works on, and as "
            "many waiting scripts as there are processes stop the site",
            "put PHP-FPM behind the socket, or let mod_fcgid supervise the processes",
            ("proxy_timeout", "max_execution_time"),
        )
    else:
        yield (
            "PHP runs inside Apache, where nothing ends a script that waits: max_execution_time counts "
            "processor time alone",
            "run PHP behind a socket, where request_terminate_timeout ends it",
            ("max_execution_time",),
        )


@rule("TMO-02", "critical", "Apache waits until FPM has ended the request", backends=FPM)
def apache_waits(view: View) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    patience = view.seconds("proxy_timeout")
    limit = view.seconds("request_terminate_timeout")
    if limit == FOR_EVER:
        return  # TMO-01 says it
    beat = view.seconds("heartbeat")
    latest = limit + beat
    if patience >= latest + view.margin:
        return
    needed = math.ceil(latest + view.margin)
    room = math.floor(min(3 * (patience - limit - view.margin), limit / 2))
    other = f", or request_slowlog_timeout of at most {room} (a shorter heartbeat)" if room >= 1 else ""
    label = view.clock("proxy_timeout").label
    yield (
        f"request_terminate_timeout + heartbeat ({spelled(limit)} + {spelled(beat)}) is {spelled(latest)} "
        f"and exceeds {label} ({spelled(patience)}), so Apache gives the client an error while PHP runs on",
        f"{label} of at least {needed}{other}",
        ("request_terminate_timeout", "heartbeat", "proxy_timeout"),
    )


@rule("TMO-04", "high", "the backtrace does not put the kill off", backends=FPM)
def backtrace_first(view: View) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    slow, limit = view.seconds("request_slowlog_timeout"), view.seconds("request_terminate_timeout")
    if slow != FOR_EVER and limit != FOR_EVER and slow > limit / 2:
        yield (
            f"request_slowlog_timeout ({spelled(slow)}) is more than half of request_terminate_timeout "
            f"({spelled(limit)}): where both are due at once FPM writes the backtrace, and kills one "
            f"heartbeat later",
            f"request_slowlog_timeout of at most {math.floor(limit / 2)}"
            if limit >= 2
            else "request_terminate_timeout of at least 2",
            ("request_slowlog_timeout", "request_terminate_timeout"),
        )


@rule("TMO-05", "high", "PHP's own limit comes before FPM's", backends=FPM)
def php_first(view: View) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    limit = view.seconds("request_terminate_timeout")
    own = view.seconds("max_execution_time")
    if limit != FOR_EVER and own + view.margin >= limit:
        yield (
            f"max_execution_time ({spelled(own)}) is not below request_terminate_timeout ({spelled(limit)}): "
            f"FPM kills a busy script before PHP can end it with an error, shutdown functions and a session",
            f"max_execution_time below {limit:g}",
            ("max_execution_time", "request_terminate_timeout"),
        )


@rule("TMO-06", "info", "a tenant cannot raise PHP's limit", backends=("fpm", "php_cgi", "wrapper"))
def locked(view: View) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    if not view.value("max_execution_time_locked"):
        how = (
            "php_admin_value[max_execution_time] in the pool"
            if view.chain.backend == "fpm"
            else "max_execution_time in a [PATH=] section of php.ini"
        )
        yield (
            "max_execution_time is not locked: the application can set another one",
            how,
            ("max_execution_time",),
        )


@rule("TMO-11", "medium", "Apache's patience is set on purpose", engines=PROXY)
def on_purpose(view: View) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    clock = view.clock("proxy_timeout")
    if clock.label == "Timeout":
        yield (
            "neither timeout= of the worker nor ProxyTimeout is set, so Timeout, which is about clients, "
            "decides how long PHP may be silent",
            "timeout= on the worker, or ProxyTimeout",
            ("proxy_timeout",),
        )


@rule("TMO-12", "medium", "the worker that is set up is the one that is used", engines=PROXY)
def worker_is_used(view: View) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    yield (
        f"the handler's address belongs to no worker, while {view.value('lost_worker')} is used by nobody: "
        f"its timeout does not count",
        "the same scheme and host behind the | of the handler and in <Proxy>",
        ("lost_worker", "proxy_timeout"),
    )


@rule("SEC-05", "critical", "the handler's socket is the one that is asked", engines=PROXY)
def socket_is_asked(view: View) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    yield (
        f"the handler names {view.value('asked')}, but the worker leads to {view.chain.address}: the "
        f"site is served by another one's PHP",
        "a worker name of its own for each socket, such as fcgi://some-site.fpm",
        ("asked", "worker"),
    )


@rule("TMO-09", "low", "a free worker takes a request at once", backends=FPM)
def taken_at_once(view: View) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    if view.value("pm") == "ondemand":
        yield (
            "pm is ondemand: FPM may start one worker for several requests that come together; the others "
            "wait in the queue until it is free. Apache's patience counts from the first moment, FPM's limit "
            "only from when a worker takes the request, so Apache gives up and PHP works on",
            "pm = dynamic or static where several requests of a site may come together",
            ("pm", "request_terminate_timeout", "proxy_timeout"),
        )


@rule(
    "TMO-10", "critical", "a full queue does not hold Apache's workers", engines=CONNECTING, backends=SOCKET
)
def queue_is_long(view: View) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    if not view.chain.address.startswith("/"):
        return
    queue, workers = view.value("backlog"), view.value("max_request_workers")
    if queue < workers:
        yield (
            f"the socket queues {queue} connections and Apache has {workers} workers: with a full queue they "
            f"wait in connect() without any limit, and all sites stand still",
            f"a backlog of at least {workers} (and net.core.somaxconn not below it)",
            ("backlog", "max_request_workers"),
        )


@rule("TMO-15", "high", "a kept connection is not killed as a slow request", engines=PROXY, backends=FPM)
def reuse_and_limit(view: View) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    if not view.value("enablereuse"):
        return
    limit = view.seconds("request_terminate_timeout")
    if limit != FOR_EVER and view.seconds("ttl") >= limit:
        yield (
            f"enablereuse is on: FPM takes an idle kept connection for a request and kills its worker after "
            f"request_terminate_timeout ({spelled(limit)}); the next request meets a dead connection",
            f"enablereuse off, or ttl below {limit:g}",
            ("enablereuse", "ttl", "request_terminate_timeout"),
        )


@rule("TMO-16", "critical", "kept connections leave workers free", engines=PROXY, backends=SOCKET)
def reuse_and_workers(view: View) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    if not view.value("enablereuse"):
        return
    kept, children = view.value("kept_connections"), view.value("max_children")
    if children < kept:
        yield (
            f"enablereuse is on: Apache may keep {kept} connections, each of which holds one of {children} "
            f"workers while it is idle, until others get none",
            f"enablereuse off, or {view.clock('max_children').label} of at least {kept}",
            ("enablereuse", "kept_connections", "max_children"),
        )


@rule("REL-03", "high", "a reload lets running requests end", backends=FPM, at_restart=True)
def reload_waits(view: View) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    control = view.seconds("process_control_timeout")
    limit = view.seconds("request_terminate_timeout")
    if limit == FOR_EVER:
        return
    latest = limit + view.seconds("heartbeat")
    if control < latest + view.margin:
        yield (
            f"process_control_timeout ({spelled(control)}) is below request_terminate_timeout + heartbeat "
            f"({spelled(latest)}): a reload or restart cuts off requests that may still run",
            f"process_control_timeout of at least {math.ceil(latest + view.margin)} in [global]",
            ("process_control_timeout", "request_terminate_timeout", "heartbeat"),
        )


@rule("TMO-22", "medium", "systemd waits for the master", backends=FPM, at_restart=True)
def systemd_waits(view: View) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    stop, control = view.seconds("stop_timeout"), view.seconds("process_control_timeout")
    if stop <= control + 3 + view.margin:
        yield (
            f"TimeoutStopSec ({spelled(stop)}) leaves no more than 3 s beyond process_control_timeout "
            f"({spelled(control)}): systemd kills a master that still waits for its requests",
            f"TimeoutStopSec of at least {math.ceil(control + 4 + view.margin)}",
            ("stop_timeout", "process_control_timeout"),
        )


@rule("TMO-23", "high", "a stop is graceful", backends=FPM, at_restart=True)
def stop_is_graceful(view: View) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    mode, signal = view.value("kill_mode"), view.value("kill_signal")
    if mode != "mixed" or signal != "SIGQUIT":
        yield (
            f"the unit stops with KillMode={mode} and KillSignal={signal}: systemd ends the workers at once, "
            f"whatever process_control_timeout says",
            "KillMode=mixed and KillSignal=SIGQUIT in the unit",
            ("kill_mode", "kill_signal"),
        )


@rule("TMO-25", "low", "the log tells of killed requests", backends=FPM)
def log_tells(view: View) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    level = view.value("log_level")
    if level in ("error", "alert"):
        yield (
            f"log_level {level} hides that requests were killed and that all workers were busy",
            "log_level warning or notice",
            ("log_level",),
        )


@rule("TMO-27", "low", "no script runs on behind its answer", backends=FPM)
def finished_too(view: View) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    if not view.value("track_finished"):
        yield (
            "request_terminate_timeout counts neither after fastcgi_finish_request() nor in shutdown code",
            "request_terminate_timeout_track_finished = yes",
            ("track_finished",),
        )


@rule("CAP-01", "medium", "no site can take all of Apache's workers", backends=SOCKET)
def share_of_workers(view: View) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    children, workers = view.value("max_children"), view.value("max_request_workers")
    if children >= workers:
        yield (
            f"the site's {children} workers can hold all {workers} workers of Apache",
            f"{view.clock('max_children').label} of at most {max(1, workers // 2)}",
            ("max_children", "max_request_workers"),
        )


# ---------------------------------------------------------------- mod_fcgid

WRAPPER = ("wrapper",)
FCGID = ("fcgid",)


@rule("TMO-17", "high", "Apache waits as long as PHP may be silent", engines=FCGID)
def fcgid_waits(view: View) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    patience = view.seconds("proxy_timeout")
    for name in ("max_execution_time", "default_socket_timeout"):
        own = view.seconds(name)
        if own + view.margin >= patience:
            label = view.clock(name).label
            fix = (
                f"FcgidIOTimeout above {own:g}, or {label} below {patience:g}"
                if own != FOR_EVER
                else f"{label} below {patience:g}"
            )
            yield (
                f"{label} ({spelled(own)}) is not below FcgidIOTimeout ({spelled(patience)}): Apache answers "
                f"500 and kills the process before PHP can end the script",
                fix,
                (name, "proxy_timeout"),
            )


@rule("TMO-18", "medium", "the limit of the whole request is not below that of silence", engines=FCGID)
def busy_after_silent(view: View) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    busy, patience = view.seconds("busy_timeout"), view.seconds("proxy_timeout")
    if busy < patience + view.margin:
        yield (
            f"FcgidBusyTimeout ({spelled(busy)}) is below FcgidIOTimeout ({spelled(patience)}), which so "
            f"never comes to count",
            f"FcgidBusyTimeout of at least {math.ceil(patience + view.margin)}",
            ("busy_timeout", "proxy_timeout"),
        )


@rule("TMO-19", "high", "mod_fcgid ends a process before it ends itself", engines=FCGID)
def fcgid_ends_first(view: View) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    apache, php = view.seconds("max_requests_per_process"), view.seconds("php_max_requests")
    if apache > php:
        yield (
            f"FcgidMaxRequestsPerProcess ({'unlimited' if apache == FOR_EVER else f'{apache:g}'}) exceeds "
            f"PHP_FCGI_MAX_REQUESTS ({php:g}): php-cgi leaves while Apache sends it a request, which fails "
            f"with 500",
            f"FcgidMaxRequestsPerProcess {php:g}",
            ("max_requests_per_process", "php_max_requests"),
        )


@rule("TMO-20", "high", "mod_fcgid alone makes the processes", engines=FCGID)
def no_children(view: View) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    children = view.value("php_children")
    if children:
        yield (
            f"PHP_FCGI_CHILDREN is {children}: mod_fcgid sends each process one request at a time, so the "
            f"children idle, and may outlive their parent",
            "PHP_FCGI_CHILDREN=0",
            ("php_children",),
        )


@rule("TMO-21", "low", "idle processes leave", engines=FCGID)
def idle_leave(view: View) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    least = view.value("min_processes_per_class")
    if least > 1:
        yield (
            f"FcgidMinProcessesPerClass keeps {least} processes of each site for ever",
            "FcgidMinProcessesPerClass 0 or 1",
            ("min_processes_per_class",),
        )


@rule("BODY", "medium", "Apache takes as much as PHP takes", engines=FCGID)
def bodies(view: View) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    apache, php = view.value("max_request_len"), view.value("post_max_size")
    if php and apache < php:
        yield (
            f"FcgidMaxRequestLen ({apache}) is below post_max_size ({php}): a larger body is a 500",
            f"FcgidMaxRequestLen of at least {php}",
            ("max_request_len", "post_max_size"),
        )


@rule("SUX-03", "critical", "PHP runs under the site's account", engines=FCGID)
def own_account(view: View) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    if not view.value("suexec_user"):
        yield (
            "the virtual host has no SuexecUserGroup: PHP runs as Apache's account and reaches every site",
            "SuexecUserGroup in the virtual host",
            ("suexec_user",),
        )


# ---------------------------------------------------------------- the older modules


@rule("TMO-30", "high", "the wrapper's processes are bounded", engines=("mod_fastcgi",), backends=WRAPPER)
def fastcgi_unbounded(view: View) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    yield (
        "mod_fastcgi's -idle-timeout aborts the request and leaves the process at work: waiting scripts take "
        "all processes of the site",
        "engine proxy_fcgi with PHP-FPM, whose request_terminate_timeout ends the process",
        ("proxy_timeout", "max_execution_time"),
    )


@rule("TMO-07", "high", "Apache has a limit of its own", engines=("mod_fastcgi_handler",))
def handler_unbounded(view: View) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    yield (
        "mod_fastcgi_handler is unbounded: it has no timeout at all, and a client that left is not noticed",
        "engine proxy_fcgi, with timeout= on the worker",
        ("request_terminate_timeout", "max_execution_time"),
    )
