# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The chain of each handler: Apache's side and PHP's side, put together.

Which handler there is and what it hands requests to, `apache_handlers` tells; what answers there,
`php_servers`. Here the two meet, and each clock gets the name that the rules use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from . import apache_handlers, php_servers
from .apache_handlers import Analysis, Handler, Host, Value
from .host_paths import PHP_CGI_ROOT, within
from .php_servers import PhpServers
from .settings import Setting
from .timeout_rules import Chain, Clock

ENGINES = ("proxy_fcgi", "mod_fastcgi", "mod_fastcgi_handler", "fcgid", "mod_php", "undecided")

FCGID_CLOCKS = {
    "proxy_timeout": ("FcgidIOTimeout", "fcgidiotimeout"),
    "busy_timeout": ("FcgidBusyTimeout", "fcgidbusytimeout"),
    "busy_scan_interval": ("FcgidBusyScanInterval", "fcgidbusyscaninterval"),
    "max_requests_per_process": ("FcgidMaxRequestsPerProcess", "fcgidmaxrequestsperprocess"),
    "min_processes_per_class": ("FcgidMinProcessesPerClass", "fcgidminprocessesperclass"),
    "max_request_len": ("FcgidMaxRequestLen", "fcgidmaxrequestlen"),
}
FPM_CLOCKS = {
    "request_slowlog_timeout": "request_slowlog_timeout",
    "request_terminate_timeout": "request_terminate_timeout",
    "heartbeat": "heartbeat",
    "process_control_timeout": "process_control_timeout",
    "track_finished": "request_terminate_timeout_track_finished",
    "max_children": "pm.max_children",
    "backlog": "listen.backlog",
}
UNIT_CLOCKS = {"stop_timeout": "TimeoutStopSec", "kill_mode": "KillMode", "kill_signal": "KillSignal"}
PHP_CLOCKS = ("max_execution_time", "default_socket_timeout", "post_max_size")
DEFAULTS_IN_PHP = {"max_execution_time": 30, "default_socket_timeout": 60, "post_max_size": 8 * 1024 * 1024}


def chains(apache: Analysis, php: PhpServers) -> Iterator[Chain]:
    """One chain for each thing that a handler of `.php` hands requests to, in the order of the files."""
    for host in apache.hosts:
        for handler in host.handlers:
            if handler.engine not in ENGINES:
                continue
            fronts: list[apache_handlers.Backend | None] = [*handler.backends] or [None]
            for front in fronts:
                if not (front and answered_at_once(front, php)):
                    yield chain(apache, host, handler, front, php)


def answered_at_once(front: apache_handlers.Backend, php: PhpServers) -> bool:
    """Whether requests go to no script of a site: to FPM's own pages, or to what stands for its ping."""
    if front.path in ("", "/") or front.address.undecided:
        return False
    back = php.behind(str(front.address.value or ""))
    if back is None:
        return False
    return front.path in back.pages() or (back.kind == "php_cgi" and within(front.path, PHP_CGI_ROOT))


def chain(
    apache: Analysis,
    host: Host,
    handler: Handler,
    front: apache_handlers.Backend | None,
    php: PhpServers,
) -> Chain:
    server = str(host.server_name.value or "the main server")
    unknown = [text for text in (host.undecided, handler.undecided) if text]
    clocks: dict[str, Clock] = dict(apache_clocks(apache, host, handler, front))
    address, back = "", None
    if front is None:
        kind = "mod_php" if handler.engine == "mod_php" else "unknown"
    else:
        kind, address = "unknown", str(front.address.value or "")
        if front.address.undecided:
            unknown.append(front.address.undecided)
        elif handler.engine == "fcgid" or handler.form in ("static", "dynamic"):
            back = php.wrapper(program_of(address))
        else:
            back = php.behind(address)
            if back is None:
                unknown.append(
                    f"nothing that is known listens at {address}, so the clocks of PHP are not known"
                )
    if back is not None:
        kind = back.kind
        unknown += [f"{problem}" for problem in back.problems]
        clocks.update(php_clocks(back, str(host.document_root.value or ""), server))
    return Chain(
        server=server,
        holds=", ".join(handler.conditions),
        engine=handler.engine,
        backend=kind,
        address=address,
        source=handler.source,
        clocks=clocks,
        unknown=tuple(dict.fromkeys(unknown)),
    )


def program_of(command: str) -> str:
    """A command line's program."""
    return (command.split() or [""])[0]


def setting(value: Value, default_of: str) -> Setting[Any]:
    return Setting(value.value, value.source, "" if value.source else default_of, value.undecided)


def apache_clocks(
    apache: Analysis, host: Host, handler: Handler, front: apache_handlers.Backend | None
) -> Iterator[tuple[str, Clock]]:
    """What Apache knows of a handler: its patience, its processes, its connections."""
    workers = apache.mpm_limits.get("maxrequestworkers")
    if workers:
        yield "max_request_workers", Clock("MaxRequestWorkers", setting(workers, f"the MPM {apache.mpm}"))
    limits: Mapping[str, Value] = front.limits if front else {}
    if handler.engine == "proxy_fcgi" and front:
        yield from proxy_clocks(apache, limits)
        yield from worker_clocks(host, handler, front)
    elif handler.engine == "mod_fastcgi":
        label = "-idle-timeout"
        yield "proxy_timeout", Clock(label, setting(limits[label], "mod_fastcgi"))
    elif handler.engine == "fcgid":
        for name, (label, key) in FCGID_CLOCKS.items():
            yield name, Clock(label, setting(limits[key], "mod_fcgid"))
        yield "suexec_user", Clock("SuexecUserGroup", setting(host.suexec, "Apache, whose own account it is"))


def proxy_clocks(apache: Analysis, limits: Mapping[str, Value]) -> Iterator[tuple[str, Clock]]:
    patience = limits["timeout"]
    yield "proxy_timeout", Clock(patience.name or "Timeout", setting(patience, "Apache"))
    yield "enablereuse", Clock("enablereuse", setting(limits["enablereuse"], "mod_proxy_fcgi"))
    yield "ttl", Clock("ttl", setting(limits.get("ttl", Value(None)), "mod_proxy"))
    threads = apache.mpm_limits.get("threadsperchild", Value(None))
    workers = apache.mpm_limits.get("maxrequestworkers", Value(None))
    each = limits.get("max") or threads
    if each.undecided or None in (each.value, threads.value, workers.value):
        reason = each.undecided or "the MPM is not known"
        kept: Setting[Any] = Setting(None, each.source, undecided=reason)
    else:
        children = -(-int(workers.value) // max(1, int(threads.value)))
        kept = Setting(
            children * min(int(each.value), int(threads.value)), each.source, f"the MPM {apache.mpm}"
        )
    yield "kept_connections", Clock("kept connections", kept)


def worker_clocks(
    host: Host, handler: Handler, front: apache_handlers.Backend
) -> Iterator[tuple[str, Clock]]:
    """Where the worker is not the one that was meant."""
    if front.asked and front.worker:
        yield "asked", Clock("the handler's address", Setting(front.asked, handler.source))
        yield "worker", Clock("the worker", setting(front.worker, "mod_proxy"))
    if front.worker is None:
        for worker in host.lost:
            if "timeout" in worker.parameters:
                yield "lost_worker", Clock("the worker", Setting(worker.name, worker.source))
                return


def php_clocks(back: php_servers.Backend, document_root: str, server: str) -> Iterator[tuple[str, Clock]]:
    """What PHP's side knows: its own limits, those of its master and of its unit."""
    for name in PHP_CLOCKS:
        found = back.php(name, document_root, server)
        number = found.number()
        if number.value is None and not number.undecided:
            number = Setting(DEFAULTS_IN_PHP[name], default_of="PHP")
        yield name, Clock(name, number)
        if name == "max_execution_time":
            yield (
                "max_execution_time_locked",
                Clock(name, Setting(found.locked, number.source, number.default_of)),
            )
    if back.kind == "fpm":
        for name, label in FPM_CLOCKS.items():
            attribute = "request_terminate_timeout_track_finished" if name == "track_finished" else name
            yield name, Clock(label, getattr(back, attribute))
        yield "log_level", Clock("log_level", back.log_level)
        if back.pool:
            yield "pm", Clock("pm", back.pool.get("pm"))
        for name, label in UNIT_CLOCKS.items():
            yield name, Clock(label, getattr(back, name))
    elif back.kind == "php_cgi":
        yield "max_children", Clock("PHP_FCGI_CHILDREN", back.max_children)
        yield "backlog", Clock("Backlog", back.backlog)
        yield "stop_timeout", Clock(UNIT_CLOCKS["stop_timeout"], back.stop_timeout)
    elif back.kind == "wrapper":
        yield "php_children", Clock("PHP_FCGI_CHILDREN", back.children)
        yield "php_max_requests", Clock("PHP_FCGI_MAX_REQUESTS", back.max_requests)
