# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The engines: which there are, what each has no use for, and all that follows from a site's engine.

An engine is what Apache does with a PHP file; a process manager is what runs PHP. Where they meet is the
seam: the *socket* that systemd makes for the site, or the *wrapper* through which Apache starts PHP itself.
What stands on one side of a seam can be changed without the other. With the seam *apache* there are no two
sides: Apache becomes the site's user, and runs PHP itself.
"""

from __future__ import annotations

import functools
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
    MOD_PHP_ROOT,
    PHP_CGI_ROOT,
    PHP_PATH,
    PHP_ROOT,
    PING_PATH,
    PREPEND,
    SOCKET_ROOT,
    STATUS_ROOT,
    SUEXEC_ROOT,
    UNIT_ROOT,
    VIRTUAL_ROOT,
    WAY_ROOT,
    within,
)
from .site_values import TABLES, shown

SEAMS = {
    "proxy_fcgi": {"fpm": "socket", "php_cgi": "socket"},
    "fcgid": {"php_cgi": "wrapper"},
    "mod_fastcgi": {"fpm": "socket", "php_cgi": "wrapper"},
    "mod_fastcgi_handler": {"fpm": "socket", "php_cgi": "socket"},
    "mpm_itk": {"mod_php": "apache"},
}
"""For each engine what may run PHP, the usual one first, and where the two meet."""

ENGINES = tuple(SEAMS)
PROCESS_MANAGERS = ("fpm", "php_cgi", "mod_php")

PM: dict[str, Any] = {
    "mode": "ondemand",
    "max_children": 10,
    "process_idle_timeout": 180,
    "max_requests": 500,
}
"""A worker of FPM may stay so long that PHP of a site with nothing to do has been stopped as a whole before.
That loses no request, and FPM loses one that comes when the last worker is leaving (fpm_process_ctl.c)."""

OTHER_DEFAULTS: dict[str, dict[str, Any]] = {
    "fcgid": {"pm": {**PM, "process_idle_timeout": 10}},
    "mpm_itk": {"pm": {}},
}
"""Where an engine has other defaults than the rest. mod_fcgid ends idle processes itself, and nothing could
be stopped as a whole before. MPM ITK turns away whom others let wait, and counts pictures and idle
connections too, so without the operator's word there is no limit."""

SOCKET_BACKLOG = 4096
"""At least Apache's MaxRequestWorkers, or a full queue blocks Apache's workers in connect (TMO-10)."""

CACHE_GUARDS = frozenset(("opcache.validate_permission", "opcache.validate_root", "opcache.restrict_api"))
"""What keeps sites that share an opcode cache out of each other's cached scripts."""

APACHE_SHARE = 16
"""Requests for one site that a process of Apache has under way at most; in Debian it has 25 threads.

More of them, waiting for a site whose workers are all busy, would leave none for the others (TMO-10, CAP-01).
"""

SERVER_SHARE = 96
"""The same of the whole Apache, where nothing can be counted in each process: Debian's has six of them."""

FCGID_PROCESSES = 1020
"""As many as mod_fcgid's table holds (CAP-11)."""

PCNTL = (
    *("alarm", "async_signals", "exec", "fork", "get_last_error", "getpriority", "rfork", "setpriority"),
    *("signal", "signal_dispatch", "signal_get_handler", "sigprocmask", "sigtimedwait", "sigwaitinfo"),
    *("strerror", "unshare", "wait", "waitpid", "wexitstatus", "wifcontinued", "wifexited", "wifsignaled"),
    *("wifstopped", "wstopsig", "wtermsig"),
)
"""What Debian's php-cgi can do to processes and signals, and its FPM cannot (TMO-31)."""

MAPPINGS = ("alias", "virtual_directory")
"""How mod_fastcgi gets from a request to a script behind a socket."""

PM_OF_FCGID = ("max_children", "process_idle_timeout", "max_requests")
PM_OF_PHP_CGI = ("max_children", "max_requests")
PM_OF_MOD_PHP = ("max_children",)
PM_OF_MOD_FASTCGI = ("max_children", "max_requests")

CLOCKS = {
    "fpm": timeouts.OF_FPM,
    "php_cgi": timeouts.OF_PHP_CGI,
    "fcgid": timeouts.OF_FCGID,
    "mod_fastcgi": timeouts.OF_MOD_FASTCGI,
    "mpm_itk": timeouts.OF_MOD_PHP,
}
"""Of `timeout`, what a site has: by what runs PHP behind its socket, or by the engine that does so itself."""

UNBOUNDED = ("TMO-07", "TMO-30")
"""Rules of the timeouts that an engine breaks by itself, whatever its clocks say."""


def others(whose: str, table: str, own: Iterable[str]) -> dict[str, str]:
    """The keys of a table that are not among a site's own, each with the reason why it is refused."""
    own = tuple(own)
    reason = f"is not for {whose}, which of {table} has {', '.join(own)}"
    return {f"{table}.{key}": reason for key in TABLES[table] if key not in own}


OF_A_UNIT = dict.fromkeys(
    ("limits.memory_max", "limits.cpu_quota"),
    "is for engines with a unit per site; from a wrapper PHP runs in Apache's own unit",
)

FOREIGN = {
    "fpm": others("FPM", "timeout", CLOCKS["fpm"]),
    "php_cgi": {
        **others("php_cgi behind a socket", "pm", PM_OF_PHP_CGI),
        **others("php_cgi behind a socket", "timeout", CLOCKS["php_cgi"]),
    },
    "fcgid": {
        "socket": "is for engines with a socket per site; mod_fcgid makes its sockets itself",
        **OF_A_UNIT,
        **others("fcgid", "pm", PM_OF_FCGID),
        **others("fcgid", "timeout", CLOCKS["fcgid"]),
    },
    "mod_fastcgi": {
        "socket": "is for engines with a socket per site; mod_fastcgi makes that of a wrapper itself",
        **OF_A_UNIT,
        **others("php_cgi that mod_fastcgi starts", "pm", PM_OF_PHP_CGI),
        **others("php_cgi that mod_fastcgi starts", "timeout", CLOCKS["mod_fastcgi"]),
    },
    "mpm_itk": {
        "socket": "is for engines with a socket per site; with mpm_itk PHP is a part of Apache",
        **dict.fromkeys(
            OF_A_UNIT, "is for engines with a unit per site; with mpm_itk PHP runs in Apache's own unit"
        ),
        **others("mpm_itk", "pm", PM_OF_MOD_PHP),
        **others("mpm_itk", "timeout", CLOCKS["mpm_itk"]),
    },
}
"""Fields that a site has no use for, under the same names, each with the reason why it is refused there."""


def foreign(engine: str, manager: str) -> dict[str, str]:
    """What a site with this engine and process manager has no use for."""
    refused = dict(FOREIGN[manager if SEAMS[engine][manager] == "socket" else engine])
    if engine == "mod_fastcgi_handler":
        refused["timeout.proxy_timeout"] = "is not to be had: mod_fastcgi_handler waits for PHP without end"
        refused["pass_authorization"] = (
            "is not to be had: mod_fastcgi_handler has no way to hand the header on"
        )
    if (engine, manager) != ("mod_fastcgi", "fpm"):
        refused["fastcgi_mapping"] = "is for mod_fastcgi with FPM (process_manager: fpm)"
    return refused


@functools.cache
def foreign_keys(engine: str, manager: str) -> list[tuple[str, str, str, str]]:
    """The same, each with its table and its key there, which is empty for a whole field."""
    refused = foreign(engine, manager)
    return [(field, *field.partition(".")[::2], reason) for field, reason in refused.items()]


def behind_a_path(site: Mapping[str, Any], seam: str) -> dict[str, Any]:
    """What a site has that mod_fastcgi, or its handler, knows by a path of Apache's files."""
    if not site["engine"].startswith("mod_fastcgi"):
        return {"virtual_link": None}
    path = f"{VIRTUAL_ROOT}/{site['name']}"
    virtual = seam == "socket" and site["fastcgi_mapping"] == "virtual_directory"
    return {
        "php_path": PHP_PATH,
        "fastcgi_path": path if seam == "socket" else wrapper_of(site),
        # with the link, the path leads to the script itself; without, mod_fastcgi has the rest as PATH_INFO
        "virtual_link": path if virtual else None,
    }


def prepended(site: Mapping[str, Any], first: str) -> dict[str, Any]:
    """Settings of PHP where a file of root's runs before each script: what the site wants there is apart."""
    value, admin_value = dict(site["php_value"]), dict(site["php_admin_value"])
    locked = admin_value.pop("auto_prepend_file", None)
    own = value.pop("auto_prepend_file", None) if locked is None else locked
    return {
        "php_value": value,
        "php_admin_value": {**admin_value, "auto_prepend_file": first},
        "own_prepend": own,
        "own_prepend_locked": locked is not None,
    }


def virtual_settings(site: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of PHP for a virtual directory: those of the site, and what its scripts need there."""
    settings = prepended(site, PREPEND)
    # PHP would take PATH_INFO for a script's path, since Apache has sent the request on
    settings["php_admin_value"].update({"cgi.fix_pathinfo": "0", "cgi.discard_path": "1"})
    return settings


def settings_inside_apache(site: Mapping[str, Any]) -> dict[str, Any]:
    """The same inside of Apache, where the site's limit comes first: nobody else counts its processes."""
    first = limit_script_of(site)
    settings = prepended(site, first)
    for field in ("php_value", "php_admin_value"):
        allowed = settings[field].get("open_basedir")
        if allowed:
            # PHP asks there for what it runs first, too
            settings[field]["open_basedir"] = f"{allowed}:{first}"
    return settings


def limit_script_of(site: Mapping[str, Any]) -> str:
    """Who may read it does not go by the account, so that a site with another one has it before and after."""
    return f"{MOD_PHP_ROOT}/limit-{site['name']}.php"


def unfit_for_a_virtual_directory(settings: Mapping[str, str]) -> Iterable[str]:
    """Settings that would keep PHP from what runs before each script."""
    allowed = settings.get("open_basedir")
    if allowed and not any(within(PREPEND, path) for path in allowed.split(":")):
        yield (
            f"open_basedir: {shown(allowed)} does not hold {PREPEND}, which PHP runs before each script of a "
            f"virtual directory; add it, or use fastcgi_mapping: alias"
        )
    for key in ("cgi.fix_pathinfo", "cgi.discard_path"):
        if key in settings:
            yield f"{key}: a virtual directory needs a value of its own for it; leave it out"


def behind_a_socket(site: Mapping[str, Any], master: str) -> dict[str, Any]:
    """What a site has whose PHP stands behind a socket of its own."""
    behind = of_php_cgi(site) if process_manager_of(site) == "php_cgi" else of_fpm(site, master)
    if site["engine"] == "mod_fastcgi_handler":
        del behind["timeout"]["proxy_timeout"]
    name = site["name"]
    unit = f"fastcgi-{name}"
    bound = f"{BIND_ROOT}/{name}.sock"
    directory = f"{SOCKET_ROOT}/{host_secret.place(name)}"
    address = f"{directory}/{name}.sock"
    link = site.get("socket")
    version = site["php_version"]
    package = f"php{version}-fpm.service"
    return {
        "wrapper_root": None,
        # the seam
        # systemd makes it where root alone can look, and it has another name there where only those can find
        # it whom root has told, which is Apache (SEC-01)
        "socket_bound": bound,
        "socket_address": address,
        "socket_directory": directory,
        "socket_way": f"{WAY_ROOT}/{name}",
        "socket_published": f"{WAY_ROOT}/{name}/{name}.sock",
        # the operator's own address is a link, for virtual hosts of the operator's own; both work
        "socket": link,
        "socket_link": link,
        "socket_link_directory": link and posixpath.dirname(link),
        "socket_link_target": link and posixpath.relpath(address, posixpath.dirname(link)),
        # what Apache may call it by
        "php_addresses": [address, link] if link else [address],
        "backlog": SOCKET_BACKLOG,
        # the PHP side
        "socket_unit": f"{unit}.socket",
        "socket_file": f"{UNIT_ROOT}/{unit}.socket",
        "socket_wanted": f"{UNIT_ROOT}/sockets.target.wants/{unit}.socket",
        "service_unit": f"{unit}.service",
        "service_file": f"{UNIT_ROOT}/{unit}.service",
        # a master for all sites of a version, in the service of the package
        "master": master,
        "shared_unit": version and package,
        "shared_drop_in": version and f"{UNIT_ROOT}/{package}.d/fastcgi.conf",
        "shared_wants": version and f"{UNIT_ROOT}/{package}.wants/{unit}.socket",
        "shared_config": version and f"{PHP_ROOT}/{version}/fpm/pool.d/zz-fastcgi.conf",
        # the Apache side; the worker's name is the site's alone and begins no other's (SEC-05)
        "worker": f"fcgi://{name}.fpm",
        "apache_share": apache_share(site, behind["pm"]),
        "probe_urls": probe_urls(site),
        **behind,
    }


def of_fpm(site: Mapping[str, Any], master: str) -> dict[str, Any]:
    """What a site has whose socket FPM serves."""
    name, version = site["name"], site["php_version"]
    chain = timeouts.derive(site["timeout"])
    pm = with_spares(site["pm"])
    directory = version and f"{CONFIG_ROOT}/fpm/{version}"
    return {
        "timeout": chain.as_dict(),
        "pm": pm,
        "settings": {},
        "problems": [
            ("timeout", [f"{clock}: {reason}" for clock, reason in timeouts.problems(chain)]),
            ("pm", pm_problems(pm)),
        ],
        "packages": [f"php{version}-fpm"] if version else [],
        "fpm_directory": directory,
        "fpm_config": directory and f"{directory}/{name}.conf",
        **status_of(name, has_one=not older_than_php_8(version)),
        # root opens that of a shared master, so it lies where no tenant writes (SEC-17)
        "slow_log": "slow.log" if master == "own" else f"{LOG_ROOT}/{name}.slow.log",
        "php_ini_directory": None,
        "php_ini": None,
        "ping_script": None,
        "ping_target": PING_PATH,
    }


def of_php_cgi(site: Mapping[str, Any]) -> dict[str, Any]:
    """What a site has whose socket php-cgi serves, which knows neither pools nor a status nor a ping."""
    name, version = site["name"], site["php_version"]
    chain = timeouts.derive_php_cgi(site["timeout"], seconds_of(of_php(site, "default_socket_timeout")))
    directory = f"{PHP_CGI_ROOT}/{name}"
    ping = f"{directory}/ping.php"
    return {
        "timeout": chain.as_dict(),
        "pm": {key: site["pm"][key] for key in PM_OF_PHP_CGI},
        "settings": settings_of_php_cgi(site, chain.default_socket_timeout),
        "problems": [
            ("timeout", [f"{clock}: {reason}" for clock, reason in timeouts.php_cgi_problems(chain)]),
            *((field, unfit_patience(site[field])) for field in ("php_value", "php_admin_value")),
        ],
        "packages": [f"php{version}-cgi"] if version else [],
        "fpm_directory": None,
        "fpm_config": None,
        **status_of(name, has_one=False),
        "slow_log": None,
        "php_ini_directory": directory,
        "php_ini": f"{directory}/php.ini",
        "ping_script": ping,
        "ping_target": ping,
    }


def status_of(name: str, has_one: bool) -> dict[str, str | None]:
    """The socket of FPM's status, or where it may have been left of one that the site had."""
    path = f"{STATUS_ROOT}/{name}.sock"
    return {"status_socket": path if has_one else None, "status_left": None if has_one else path}


def of_php(site: Mapping[str, Any], setting: str) -> str | None:
    """A setting of PHP, if the operator has given one."""
    given: str | None = {**site["php_value"], **site["php_admin_value"]}.get(setting)
    return given


def settings_of_php_cgi(site: Mapping[str, Any], socket_timeout: int) -> dict[str, str]:
    """What php-cgi must have and FPM need not be told, as far as the operator says nothing of it."""
    settings = {
        "disable_functions": ",".join(f"pcntl_{function}" for function in PCNTL),
        "default_socket_timeout": str(socket_timeout),
    }
    return {key: value for key, value in settings.items() if of_php(site, key) is None}


def process_manager_of(site: Mapping[str, Any]) -> str:
    """What runs the site's PHP: what it asks for, if its engine has that, or the engine's usual one."""
    known, wanted = SEAMS[site["engine"]], site["process_manager"]
    return wanted if wanted in known else next(iter(known))


def older_than_php_8(version: str | None) -> bool:
    """Whether FPM has no socket of its own for the status page yet."""
    return version is not None and int(version.split(".")[0]) < 8


def probe_urls(site: Mapping[str, Any]) -> list[str]:
    """Where Apache can be asked whether it reaches the site's PHP; a virtual host that redirects has none.

    mod_fastcgi_handler knows no scripts but those that Apache may see, and so not the one that answers for
    php-cgi.
    """
    if (site["engine"], process_manager_of(site)) == ("mod_fastcgi_handler", "php_cgi"):
        return []
    schemes = ["https"] if site["tls"] else ["http"]
    if two_hosts(site):
        schemes.insert(0, "http")
    return [f"{scheme}://{site.get('server_name')}{PING_PATH}" for scheme in schemes]


def wrapper_of(site: Mapping[str, Any]) -> str:
    """The program that Apache starts.

    Its place tells the account, since suEXEC demands that a directory and its wrapper belong to just this one
    (SUX-01), and the engine. A change of either makes another wrapper, so that Apache goes from one to the
    other with the snippet.
    """
    user = site.get("user", site["name"])
    suffix = "" if site["engine"] == "fcgid" else ".fastcgi"
    return f"{site['wrapper_root']}/{user}.{site.get('group', user)}/{site['name']}{suffix}"


def spawned(site: Mapping[str, Any]) -> dict[str, Any]:
    """What a site has whose PHP Apache starts, through suEXEC and a wrapper."""
    name, user = site["name"], site.get("user", site["name"])
    group = site.get("group", user)
    wrapper = wrapper_of(site)
    by_fcgid = site["engine"] == "fcgid"
    suexec = "pristine" if within(site["wrapper_root"], SUEXEC_ROOT) else "custom"
    version = site["php_version"]
    body = of_php(site, "post_max_size")
    chain = timeouts.derive_fcgid(site["timeout"], seconds_of(of_php(site, "default_socket_timeout")))
    clocks = {
        clock: seconds for clock, seconds in chain.as_dict().items() if by_fcgid or clock != "busy_timeout"
    }
    pm = {key: site["pm"][key] for key in (PM_OF_FCGID if by_fcgid else PM_OF_PHP_CGI)}
    return {
        "timeout": clocks,
        "pm": pm,
        # the kernel counts processes of the account, where there is no unit of the site to count them in
        "limits": {"tasks_max": site["limits"]["tasks_max"]},
        "settings": {
            **settings_of_php_cgi(site, chain.default_socket_timeout),
            **({"post_max_size": "8M"} if body is None else {}),
        },
        "problems": [
            ("timeout", [f"{clock}: {reason}" for clock, reason in timeouts.fcgid_problems(chain)]),
            *((field, unfit_settings(site[field])) for field in ("php_value", "php_admin_value")),
        ],
        "socket": None,
        # there is no ping to ask for, and no unit behind it
        "probe_urls": [],
        "service_unit": None,
        "wrapper_directory": posixpath.dirname(wrapper),
        "wrapper": wrapper,
        # mod_fcgid counts processes and requests itself (TMO-19, TMO-20); mod_fastcgi starts a parent of some
        "php_children": 0 if by_fcgid else pm["max_children"],
        "php_max_requests": 0 if by_fcgid else pm["max_requests"],
        "backlog": SOCKET_BACKLOG,
        "php_addresses": [wrapper],
        "suexec_call": {"name": name, "path": wrapper, "user": user, "group": group},
        "suexec": suexec,
        "packages": [f"apache2-suexec-{suexec}", *([f"php{version}-cgi"] if version else [])],
        "php_ini_directory": f"{CONFIG_ROOT}/php/{name}",
        "php_ini": f"{CONFIG_ROOT}/php/{name}/php.ini",
        "ping_script": None,
        "apache_share": apache_share(site, pm),
        # no less than PHP takes, which itself has words for what is too much
        "body_limit": bytes_of(body or "8M") or 2**63 - 1,
        # Apache starts PHP, so it must follow when PHP's settings change, which are in no file that it reads
        "php_digest": digest_of(
            *(version, site["php_admin_value"], site["php_value"], clocks, pm, site["limits"]),
        ),
    }


def inside_apache(site: Mapping[str, Any]) -> dict[str, Any]:
    """What a site has for which Apache takes on the site's account, and runs PHP as a part of itself."""
    version = site["php_version"]
    directory = f"{MOD_PHP_ROOT}/{site['name']}"
    return {
        "timeout": {clock: site["timeout"].get(clock, 30) for clock in timeouts.OF_MOD_PHP},
        # the kernel counts processes of the account, where there is no unit of the site to count them in
        "limits": {"tasks_max": site["limits"]["tasks_max"]},
        "limit_script": limit_script_of(site),
        "settings": {},
        "problems": [],
        "wrapper_root": None,
        "socket": None,
        "probe_urls": probe_urls(site),
        # none that the question would start
        "service_unit": "",
        "ping_directory": directory,
        "ping_script": f"{directory}/ping.php",
        "php_addresses": [],
        "apache_share": apache_share(site, site["pm"]),
        "packages": ["libapache2-mpm-itk", *([f"libapache2-mod-php{version}"] if version else [])],
        "php_module": version and f"php{version}",
        "shared_ini": version and f"{PHP_ROOT}/{version}/apache2/conf.d/zz-fastcgi.ini",
    }


def unfit_inside_apache(settings: Mapping[str, str]) -> Iterable[str]:
    """Settings that are not one site's to make, and a word that mod_php takes for nothing."""
    for key, value in settings.items():
        if key in CACHE_GUARDS:
            yield (
                f"{key}: with engine mpm_itk there is one opcode cache for all sites, and this keeps them "
                f"from each other's scripts (SEC-07); leave it out"
            )
        elif value.lower() == "none":
            yield (
                f"{key}: {shown(value)} is nothing at all to mod_php, which would leave the setting empty; "
                f"set it in the application, or use another engine"
            )


def apache_share(site: Mapping[str, Any], pm: Mapping[str, Any]) -> int:
    """How many requests each virtual host of the site may have under way: of a process, or of the server.

    A site that has more workers than its share may use all of them.
    """
    share = APACHE_SHARE if site["engine"] == "proxy_fcgi" else SERVER_SHARE
    workers: int = pm.get("max_children", 0)
    return max(share // (2 if two_hosts(site) else 1), workers)


def two_hosts(site: Mapping[str, Any]) -> bool:
    """Whether the site has a virtual host each for plain HTTP and for TLS, which count apart."""
    return bool(site["tls"]) and not site["tls"].get("redirect", True)


def seconds_of(setting: str | None) -> int | None:
    """A number of seconds in a PHP setting; -1 is one too. None where there is none."""
    return int(setting) if setting is not None and re.fullmatch(r"-?[0-9]{1,9}", setting) else None


def bytes_of(size: str) -> int:
    """A size as PHP writes it; 0 stands for no limit, as it does in post_max_size."""
    found = re.fullmatch(r"([0-9]{1,12})([KMG]?)", size, re.IGNORECASE)
    return int(found[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[found[2].upper()] if found else 0


def unfit_patience(settings: Mapping[str, str]) -> Iterable[str]:
    """A setting that Apache's own patience must fit to, and could not be fitted to."""
    patience = settings.get("default_socket_timeout")
    if patience is not None and seconds_of(patience) is None:
        yield f"default_socket_timeout: {shown(patience)} is not a whole number of seconds"


def unfit_settings(settings: Mapping[str, str]) -> Iterable[str]:
    """Settings that mod_fcgid's own must fit to, and that it could not be fitted to."""
    yield from unfit_patience(settings)
    body = settings.get("post_max_size")
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
