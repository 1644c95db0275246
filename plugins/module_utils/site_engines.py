# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The engines: which there are, what each has no use for, and all that follows from a site's engine.

An engine is what Apache does with a PHP file; a process manager is what runs PHP. Where they meet is the
seam: the *socket* that systemd makes for the site, or the *wrapper* through which Apache starts PHP itself.
What stands on one side of a seam can be changed without the other.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Iterable, Mapping
from typing import Any

from . import host_secret, timeouts
from .host_paths import (
    BIND_ROOT,
    CONFIG_ROOT,
    LOG_ROOT,
    PHP_ROOT,
    PING_PATH,
    SOCKET_ROOT,
    STATUS_ROOT,
    SUEXEC_ROOT,
    UNIT_ROOT,
    within,
)
from .site_values import TABLES, shown

SEAMS = {
    "proxy_fcgi": {"fpm": "socket"},
    "fcgid": {"php_cgi": "wrapper"},
}
"""For each engine what may run PHP, the usual one first, and where the two meet."""

ENGINES = tuple(SEAMS)
PROCESS_MANAGERS = ("fpm", "php_cgi")

SOCKET_BACKLOG = 4096
"""At least Apache's MaxRequestWorkers, or a full queue blocks Apache's workers in connect (TMO-10)."""

APACHE_SHARE = 16
"""Requests for one site that a process of Apache has under way at most; in Debian it has 25 threads.

More of them, waiting for a site whose workers are all busy, would leave none for the others (TMO-10, CAP-01).
"""

FCGID_PROCESSES = 1020
"""As many as mod_fcgid's table holds (CAP-11)."""

PCNTL = (
    *("alarm", "async_signals", "exec", "fork", "get_last_error", "getpriority", "rfork", "setpriority"),
    *("signal", "signal_dispatch", "signal_get_handler", "sigprocmask", "sigtimedwait", "sigwaitinfo"),
    *("strerror", "unshare", "wait", "waitpid", "wexitstatus", "wifcontinued", "wifexited", "wifsignaled"),
    *("wifstopped", "wstopsig", "wtermsig"),
)
"""What Debian's php-cgi can do to processes and signals, and its FPM cannot (TMO-31)."""

PM_OF_FCGID = ("max_children", "process_idle_timeout", "max_requests")

FOREIGN = {
    "proxy_fcgi": dict.fromkeys(
        (f"timeout.{clock}" for clock in timeouts.OF_FCGID if clock not in timeouts.OF_FPM),
        f"is a clock of fcgid; those of proxy_fcgi are {', '.join(timeouts.OF_FPM)}",
    ),
    "fcgid": {
        "socket": "is for engines with a socket per site; mod_fcgid makes its sockets itself",
        **dict.fromkeys(
            ("limits.memory_max", "limits.cpu_quota"),
            "is for engines with a unit per site; with fcgid PHP runs in Apache's own unit",
        ),
        **dict.fromkeys(
            (f"pm.{key}" for key in TABLES["pm"] if key not in PM_OF_FCGID),
            f"is for FPM; of pm, fcgid has {', '.join(PM_OF_FCGID)}",
        ),
        **dict.fromkeys(
            (f"timeout.{clock}" for clock in timeouts.OF_FPM if clock not in timeouts.OF_FCGID),
            f"is a clock of FPM; those of fcgid are {', '.join(timeouts.OF_FCGID)}",
        ),
    },
}
"""Fields that an engine has no use for, each with the reason why it is refused there."""


def behind_a_socket(site: Mapping[str, Any], master: str) -> dict[str, Any]:
    """What a site has whose PHP stands behind a socket of its own."""
    name = site["name"]
    chain = timeouts.derive(site["timeout"])
    pm = with_spares(site["pm"])
    unit = f"fastcgi-{name}"
    bound = f"{BIND_ROOT}/{name}.sock"
    directory = f"{SOCKET_ROOT}/{host_secret.place(name)}"
    address = f"{directory}/{name}.sock"
    link = site.get("socket")
    version = site["php_version"]
    fpm_directory = version and f"{CONFIG_ROOT}/fpm/{version}"
    package = f"php{version}-fpm.service"
    return {
        "timeout": chain.as_dict(),
        "pm": pm,
        "settings": {},
        "problems": [
            ("timeout", [f"{clock}: {reason}" for clock, reason in timeouts.problems(chain)]),
            ("pm", pm_problems(pm)),
        ],
        "wrapper_root": None,
        # the seam
        # systemd makes it where root alone can look, and it has another name there where only those can find
        # it whom root has told, which is Apache (SEC-01)
        "socket_bound": bound,
        "socket_address": address,
        "socket_directory": directory,
        "socket_way": f"{BIND_ROOT}/{name}",
        "socket_published": f"{BIND_ROOT}/{name}/{name}.sock",
        # the operator's own address is a link, for virtual hosts of the operator's own; both work
        "socket": link,
        "socket_link": link,
        "socket_link_directory": link and posixpath.dirname(link),
        "socket_link_target": link and posixpath.relpath(address, posixpath.dirname(link)),
        # what Apache may call it by
        "php_addresses": [address, link] if link else [address],
        "status_socket": None if older_than_php_8(site["php_version"]) else f"{STATUS_ROOT}/{name}.sock",
        "backlog": SOCKET_BACKLOG,
        # the PHP side
        "packages": [f"php{version}-fpm"] if version else [],
        "fpm_directory": fpm_directory,
        "fpm_config": fpm_directory and f"{fpm_directory}/{name}.conf",
        "socket_unit": f"{unit}.socket",
        "socket_file": f"{UNIT_ROOT}/{unit}.socket",
        "socket_wanted": f"{UNIT_ROOT}/sockets.target.wants/{unit}.socket",
        "service_unit": f"{unit}.service",
        "service_file": f"{UNIT_ROOT}/{unit}.service",
        # root opens that of a shared master, so it lies where no tenant writes (SEC-17)
        "slow_log": "slow.log" if master == "own" else f"{LOG_ROOT}/{name}.slow.log",
        # a master for all sites of a version, in the service of the package
        "master": master,
        "shared_unit": version and package,
        "shared_drop_in": version and f"{UNIT_ROOT}/{package}.d/fastcgi.conf",
        "shared_wants": version and f"{UNIT_ROOT}/{package}.wants/{unit}.socket",
        "shared_config": version and f"{PHP_ROOT}/{version}/fpm/pool.d/zz-fastcgi.conf",
        # the Apache side; the worker's name is the site's alone and begins no other's (SEC-05)
        "worker": f"fcgi://{name}.fpm",
        # one that has more workers than its share may use all of them
        "apache_share": max(APACHE_SHARE, pm["max_children"]),
        "probe_urls": probe_urls(site),
    }


def process_manager_of(site: Mapping[str, Any]) -> str:
    """What runs the site's PHP: what it asks for, if its engine has that, or the engine's usual one."""
    known, wanted = SEAMS[site["engine"]], site["process_manager"]
    return wanted if wanted in known else next(iter(known))


def older_than_php_8(version: str | None) -> bool:
    """Whether FPM has no socket of its own for the status page yet."""
    return version is not None and int(version.split(".")[0]) < 8


def probe_urls(site: Mapping[str, Any]) -> list[str]:
    """Where Apache can be asked whether it reaches the site's PHP; a virtual host that redirects has none."""
    schemes = ["https"] if site["tls"] else ["http"]
    if site["tls"] and not site["tls"].get("redirect", True):
        schemes.insert(0, "http")
    return [f"{scheme}://{site.get('server_name')}{PING_PATH}" for scheme in schemes]


def spawned(site: Mapping[str, Any]) -> dict[str, Any]:
    """What a site has whose PHP Apache starts, through suEXEC and a wrapper."""
    name, user = site["name"], site.get("user", site["name"])
    group = site.get("group", user)
    wrapper_directory = f"{site['wrapper_root']}/{user}.{group}"
    wrapper = f"{wrapper_directory}/{name}"
    suexec = "pristine" if within(site["wrapper_root"], SUEXEC_ROOT) else "custom"
    version = site["php_version"]
    chosen = {**site["php_value"], **site["php_admin_value"]}
    patience, body = chosen.get("default_socket_timeout"), chosen.get("post_max_size", "8M")
    chain = timeouts.derive_fcgid(site["timeout"], seconds_of(patience))
    settings = {
        "disable_functions": ",".join(f"pcntl_{function}" for function in PCNTL),
        "default_socket_timeout": str(chain.default_socket_timeout),
        "post_max_size": body,
    }
    return {
        "timeout": chain.as_dict(),
        "pm": {key: site["pm"][key] for key in PM_OF_FCGID},
        # the kernel counts processes of the account, where there is no unit of the site to count them in
        "limits": {"tasks_max": site["limits"]["tasks_max"]},
        "settings": {key: value for key, value in settings.items() if key not in chosen},
        "problems": [
            ("timeout", [f"{clock}: {reason}" for clock, reason in timeouts.fcgid_problems(chain)]),
            *((field, unfit_settings(site[field])) for field in ("php_value", "php_admin_value")),
        ],
        "socket": None,
        # there is no ping to ask for, and no unit behind it
        "probe_urls": [],
        "service_unit": None,
        # suEXEC demands that a directory and its wrapper belong to just this account (SUX-01). A change of
        # the account makes another wrapper, so that Apache goes from one to the other with the snippet
        "wrapper_directory": wrapper_directory,
        "wrapper": wrapper,
        "php_addresses": [wrapper],
        "suexec_call": {"name": name, "path": wrapper, "user": user, "group": group},
        "suexec": suexec,
        "packages": [f"apache2-suexec-{suexec}", *([f"php{version}-cgi"] if version else [])],
        "php_ini_directory": f"{CONFIG_ROOT}/php/{name}",
        "php_ini": f"{CONFIG_ROOT}/php/{name}/php.ini",
        # no less than PHP takes, which itself has words for what is too much
        "body_limit": bytes_of(body) or 2**63 - 1,
        # Apache starts PHP, so it must follow when PHP's settings change, which are in no file that it reads
        "php_digest": digest_of(
            *(version, site["php_admin_value"], site["php_value"], chain.as_dict(), site["limits"])
        ),
    }


def two_hosts(site: Mapping[str, Any]) -> bool:
    return bool(site["tls"]) and not site["tls"]["redirect"]


def seconds_of(setting: str | None) -> int | None:
    """A number of seconds in a PHP setting; -1 is one too. None where there is none."""
    return int(setting) if setting is not None and re.fullmatch(r"-?[0-9]{1,9}", setting) else None


def bytes_of(size: str) -> int:
    """A size as PHP writes it; 0 stands for no limit, as it does in post_max_size."""
    found = re.fullmatch(r"([0-9]{1,12})([KMG]?)", size, re.IGNORECASE)
    return int(found[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[found[2].upper()] if found else 0


def unfit_settings(settings: Mapping[str, str]) -> Iterable[str]:
    """Settings that mod_fcgid's own must fit to, and that it could not be fitted to."""
    patience, body = settings.get("default_socket_timeout"), settings.get("post_max_size")
    if patience is not None and seconds_of(patience) is None:
        yield f"default_socket_timeout: {shown(patience)} is not a whole number of seconds"
    if body is not None and not re.fullmatch(r"[0-9]{1,12}[KMGkmg]?", body):
        yield f"post_max_size: {shown(body)} is not a size in bytes such as 16M; 0 is no limit"


def digest_of(*values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def with_spares(pm: Mapping[str, Any]) -> dict[str, Any]:
    """A dynamic pool with all that FPM demands of it; FPM itself has no default for the spares."""
    if pm["mode"] != "dynamic":
        return dict(pm)
    low = pm.get("min_spare_servers", 1)
    high = pm.get("max_spare_servers", max(low, min(3, pm["max_children"])))
    start = pm.get("start_servers", low + max(0, high - low) // 2)
    return {**pm, "min_spare_servers": low, "start_servers": start, "max_spare_servers": high}


def pm_problems(pm: Mapping[str, Any]) -> Iterable[str]:
    """FPM's own rules for a dynamic pool; breaking them keeps the master from starting (CAP-06)."""
    if pm["mode"] != "dynamic":
        return
    low, start, high = pm["min_spare_servers"], pm["start_servers"], pm["max_spare_servers"]
    most = pm["max_children"]
    if not low <= start <= high <= most:
        yield (
            f"mode: dynamic needs min_spare_servers <= start_servers <= max_spare_servers <= max_children, "
            f"found {low}, {start}, {high}, {most}"
        )
