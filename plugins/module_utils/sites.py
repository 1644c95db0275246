# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The model of a site: which fields there are, what they may hold, and all that follows from them.

This is the only place that knows a default, a path, a unit's name or a limit of a value. Roles and
templates read resolved sites and compute nothing.

Input is the list that the operator wrote; `resolve` returns one flat dictionary per present site, or
raises `InvalidSites` with every fault of the whole list at once.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Callable

from . import timeouts

ENGINES = ("proxy_fcgi", "fcgid")
PROCESS_MANAGERS = ("fpm", "php_cgi")
BEHIND = {"proxy_fcgi": "fpm", "fcgid": "php_cgi"}
"""What runs PHP for each engine."""

MASTERS = ("own", "shared")
HTACCESS = ("none", "safe", "trusted")
STATES = ("present", "absent")

SITES_ROOT = "/var/www/sites"
STATE_ROOT = "/var/lib/fastcgi"
LOG_ROOT = "/var/log/fastcgi"
SOCKET_ROOT = "/run/fastcgi"
STATUS_ROOT = f"{SOCKET_ROOT}/status"
CONFIG_ROOT = "/etc/fastcgi"
PHP_ROOT = "/etc/php"
APACHE_ROOT = "/etc/apache2"
UNIT_ROOT = "/etc/systemd/system"
WRAPPER_ROOT = "/var/www/wrapper"
SUEXEC_ROOT = "/var/www"
"""Where the distribution's suEXEC runs programs. That of the package apache2-suexec-custom can be told."""

PING_PATH = "/fastcgi-ping"
"""What Apache answers by asking a site's FPM whether it is there, for config_set's probe alone."""

SOCKET_PATH_LIMIT = 95
"""Bytes of a socket's path. Apache refuses a longer one, FPM cuts it off in silence (SEC-16)."""

SOCKET_BACKLOG = 4096
"""At least Apache's MaxRequestWorkers, or a full queue blocks Apache's workers in connect (TMO-10)."""

SHARED_STOP_LIMIT = 540
"""Seconds that a change of one site may have to wait for the requests of all others at a shared master."""

CACHE_GUARDS = frozenset(("opcache.validate_permission", "opcache.validate_root", "opcache.restrict_api"))
"""What keeps the sites of a shared master out of each other's cached scripts."""

FCGID_PROCESSES = 1020
"""As many as mod_fcgid's table holds (CAP-11)."""

PCNTL = (
    *("alarm", "async_signals", "exec", "fork", "get_last_error", "getpriority", "rfork", "setpriority"),
    *("signal", "signal_dispatch", "signal_get_handler", "sigprocmask", "sigtimedwait", "sigwaitinfo"),
    *("strerror", "unshare", "wait", "waitpid", "wexitstatus", "wifcontinued", "wifexited", "wifsignaled"),
    *("wifstopped", "wstopsig", "wtermsig"),
)
"""What Debian's php-cgi can do to processes and signals, and its FPM cannot (TMO-31)."""

APACHE_ACCOUNT = "www-data"
RESERVED_ACCOUNTS = {
    APACHE_ACCOUNT: "is Apache's own account",
    "root": "is the superuser",
    **dict.fromkeys(
        (
            *("_apt", "adm", "backup", "bin", "daemon", "dialout", "disk", "docker", "games", "gnats"),
            *("irc", "kmem", "kvm", "list", "lp", "mail", "man", "messagebus", "mysql", "news", "nobody"),
            *("nogroup", "operator", "plugdev", "postfix", "postgres", "proxy", "redis", "shadow", "src"),
            *("sshd", "ssl-cert", "staff", "sudo", "sync", "sys", "tty", "users", "utmp", "uucp", "voice"),
            *("wheel", "systemd-journal", "systemd-network", "systemd-resolve", "systemd-timesync"),
        ),
        "belongs to the system",
    ),
    **dict.fromkeys(
        ("false", "no", "none", "null", "off", "on", "true", "yes"),
        "is a truth value to FPM, which would read it as 1 or as nothing",
    ),
}

FORBIDDEN_ROOTS = (
    *("/boot", "/dev", "/etc", "/proc", "/root", "/run", "/sys", "/tmp", "/var/tmp"),
    *(STATE_ROOT, LOG_ROOT),
)
"""Where no site may name directories: the system's, or hidden from a sandboxed master, or made per site."""

FOREIGN_RUN = {
    "/run/php": "which Apache's account can write to (SEC-11)",
    "/run/lock": "which everybody can write to",
    "/run/user": "which belongs to people who are logged in",
    "/run/systemd": "which belongs to systemd",
    "/run/dbus": "which belongs to D-Bus",
    STATUS_ROOT: "where the sockets of FPM's status are",
}
"""Below /run, but no place for a site's socket."""

PHP_SETTINGS_OF_THE_MODEL = {
    "max_execution_time": "set timeout.max_execution_time",
    "session.save_path": "each site has a directory of its own for it",
    "upload_tmp_dir": "each site has a directory of its own for it",
    "sys_temp_dir": "each site has a directory of its own for it",
    "error_log": "each site has a log of its own for it",
}


class InvalidSites(ValueError):
    """The list cannot be used. `errors` holds one message per fault: site, field, found, wanted."""

    def __init__(self, errors: Sequence[str]) -> None:
        self.errors = list(errors)
        lines = "".join(f"\n  - {error}" for error in self.errors)
        super().__init__(f"{len(self.errors)} error(s) in the list of sites, nothing was touched:{lines}")


class Refused(ValueError):
    """One value is not allowed; the message is the reason, without the name of the field."""


Check = Callable[[Any], Any]


# ---------------------------------------------------------------- values


def shown(value: object) -> str:
    """A value as it may stand in a message: quoted, short, control characters made visible."""
    if isinstance(value, str):
        return '"' + shortened(value.encode("unicode_escape").decode()) + '"'
    try:
        return shortened(repr(value))
    except (ValueError, RecursionError):
        # Python does not print a number of thousands of digits, nor what is nested as deeply
        return f"a huge {type(value).__name__}"


def shown_key(key: object) -> str:
    """A key as it may stand in the path of a field: like `shown`, a string without its quotes."""
    return shown(key)[1:-1] if isinstance(key, str) else shown(key)


def shortened(text: str) -> str:
    return text if len(text) <= 120 else text[:117] + "..."


def printable(value: Any) -> str:
    """A string without control characters: nothing else may come near a config file (SEC-31)."""
    if not isinstance(value, str):
        raise Refused(f"{shown(value)} is not a string")
    if not value.isprintable():
        raise Refused(f"{shown(value)} contains a control character or a line break")
    return str(value)


def pattern(regex: str, wanted: str, limit: int = 4096) -> Check:
    compiled = re.compile(regex)

    def check(value: Any) -> str:
        text = printable(value)
        if len(text) > limit:
            raise Refused(f"{shown(value)} has {len(text)} characters; at most {limit} are allowed")
        if not compiled.fullmatch(text):
            raise Refused(f"{shown(value)} is not {wanted}")
        return text

    return check


def one_of(choices: Sequence[str]) -> Check:
    def check(value: Any) -> str:
        if value not in choices:
            raise Refused(f"{shown(value)} is not one of: {', '.join(choices)}")
        return str(value)

    return check


def whole_number(unit: str, least: int, most: int) -> Check:
    """A whole number, also as digits in a string (``-e`` on the command line makes strings)."""

    def check(value: Any) -> int:
        digits = isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}", value)
        if isinstance(value, bool) or not (isinstance(value, int) or digits):
            raise Refused(f"{shown(value)} is not a whole number of {unit}")
        if not least <= int(value) <= most:
            raise Refused(f"{shown(value)} is not between {least} and {most} {unit}")
        return int(value)

    return check


def boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Refused(f"{shown(value)} is not true or false")
    return bool(value)


def list_of(item: Check, wanted: str) -> Check:
    def check(value: Any) -> list[Any]:
        if not isinstance(value, (list, tuple)):
            raise Refused(f"{shown(value)} is not a list of {wanted}")
        return [item(entry) for entry in value]

    return check


def account(value: Any) -> str:
    text = str(pattern(r"[a-z_][a-z0-9_-]*", "an account's name ([a-z_][a-z0-9_-]*)", 31)(value))
    if text in RESERVED_ACCOUNTS:
        raise Refused(f"{shown(text)} {RESERVED_ACCOUNTS[text]}; give the site an account of its own")
    return text


def site_name(value: Any) -> str:
    text = str(pattern(r"[a-z][a-z0-9-]*", "a site's name ([a-z][a-z0-9-]{0,30})", 31)(value))
    if text == "global":
        raise Refused(f"{shown(text)} is FPM's own section, so no pool can have the name (SEC-06)")
    return text


def hostname(value: Any) -> str:
    """A name that HTTP clients send, in lower case; the first label of an alias may be ``*``."""
    text = printable(value)
    # looked at before it is made lower case, which makes ASCII of some other letters
    good = all(re.fullmatch(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)", label) for label in text.split("."))
    if len(text) > 253 or not good:
        raise Refused(f"{shown(value)} is not a host name (letters, digits and '-' between dots)")
    return text.lower()


def alias(value: Any) -> str:
    text = printable(value)
    return "*." + hostname(text[2:]) if text.startswith("*.") else hostname(text)


def path(value: Any) -> str:
    """An absolute path in normal form, of characters that need no quoting in any config file."""
    text = printable(value)
    if not re.fullmatch(r"(/[A-Za-z0-9_@+-][A-Za-z0-9._@+-]*)+", text):
        raise Refused(
            f"{shown(value)} is not an absolute path of letters, digits and . _ @ + - "
            f"(no empty part, none that begins with a dot)"
        )
    return text


def site_path(value: Any) -> str:
    """A directory that a site may own."""
    text = path(value)
    for root in FORBIDDEN_ROOTS:
        if within(text, root):
            raise Refused(f"{shown(text)} lies in {root}, where no site can have its files")
    if any(within(root, text) for root in (SITES_ROOT, STATE_ROOT, LOG_ROOT, "/usr/share", "/home")):
        raise Refused(f"{shown(text)} holds more than one site's files; name a directory inside it")
    return text


def wrapper_root(value: Any) -> str:
    """Where wrappers may be: root's, since suEXEC looks at the last directory alone (SUX-02, SUX-07)."""
    text = path(value)
    for root in (*FORBIDDEN_ROOTS, SITES_ROOT, "/home"):
        if within(text, root):
            raise Refused(f"{shown(text)} lies in {root}, which is no place for programs that Apache starts")
    if within(SITES_ROOT, text):
        raise Refused(f"{shown(text)} holds the sites; name a directory that holds nothing but wrappers")
    return text


def socket_path(value: Any) -> str:
    """Where a site's socket may be: in /run, in a directory that root alone writes to."""
    text = path(value)
    if len(text.encode()) > SOCKET_PATH_LIMIT:
        raise Refused(
            f"{shown(text)} is {len(text.encode())} bytes long; Apache takes at most {SOCKET_PATH_LIMIT}, "
            f"and FPM would cut it off in silence (SEC-16)"
        )
    if not re.fullmatch(r"/run/.+/.+", text):
        raise Refused(f"{shown(text)} is not in a directory below /run (SEC-10)")
    for root, reason in FOREIGN_RUN.items():
        if within(text, root):
            raise Refused(f"{shown(text)} lies in {root}, {reason}")
    return text


def within(inner: str, outer: str) -> bool:
    return (inner + "/").startswith(outer.rstrip("/") + "/")


def ini_value(value: Any) -> str:
    """A value that stands between double quotes in FPM's ini syntax and means itself there.

    Quotes, ``$`` and backslashes are evaluated by the parser (SEC-31); constants such as E_ALL are
    not, so error_reporting takes a number.
    """
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int):
        if abs(value) >= 2**63:
            raise Refused(f"{shown(value)} is more than PHP's integers hold")
        return str(value)
    text = printable(value)
    if not re.fullmatch(r"[A-Za-z0-9 ._/:,;@%+=*?!()<>#~^|&-]*", text):
        raise Refused(
            f"{shown(value)} contains a character that ini files evaluate (one of \" ' $ \\ ` {{ }} [ ])"
        )
    if re.search(r"\bE_[A-Z]", text) and re.fullmatch(r"[A-Z_ |&~^()-]+", text):
        raise Refused(f"{shown(value)} is a PHP constant, which FPM does not evaluate; give the number")
    return text


def directive(value: Any) -> str:
    """One line of Apache configuration; whether it is right is for Apache to say."""
    text = printable(value).strip()
    if text.endswith("\\"):
        raise Refused(f"{shown(value)} ends in a backslash, which would join it to the next line")
    if re.search(r"</?\s*virtualhost\b", text, re.IGNORECASE):
        raise Refused(f"{shown(value)} would leave the site's own virtual host")
    return text


def php_settings(value: Any) -> dict[str, str]:
    settings: dict[str, str] = {}
    for key, setting in mapping(value).items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)*", key):
            raise Refused(f"{shown(key)} is not the name of a PHP setting")
        if key in PHP_SETTINGS_OF_THE_MODEL:
            raise Refused(f"{key} cannot be set here: {PHP_SETTINGS_OF_THE_MODEL[key]}")
        try:
            settings[key] = ini_value(setting)
        except Refused as reason:
            raise Refused(f"{key}: {reason}") from None
    return settings


def mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Refused(f"{shown(value)} is not a dictionary")
    for key in value:
        if not isinstance(key, str):
            raise Refused(f"the key {shown(key)} is not a string")
    return value


SECONDS = whole_number("seconds", 1, 604800)

TABLES: dict[str, dict[str, Check]] = {
    "timeout": dict.fromkeys(timeouts.SETTABLE, SECONDS),
    "pm": {
        "mode": one_of(("ondemand", "dynamic", "static")),
        "max_children": whole_number("processes", 1, 10000),
        "start_servers": whole_number("processes", 1, 10000),
        "min_spare_servers": whole_number("processes", 1, 10000),
        "max_spare_servers": whole_number("processes", 1, 10000),
        "max_spawn_rate": whole_number("processes", 1, 10000),
        "process_idle_timeout": SECONDS,
        "max_requests": whole_number("requests", 0, 10**9),
    },
    "limits": {
        "memory_max": pattern(r"[1-9][0-9]*[KMGT]?", "a size in bytes such as 512M or 2G", 16),
        "cpu_quota": pattern(r"[1-9][0-9]*%", "a share of one core such as 50% or 200%", 8),
        "tasks_max": whole_number("tasks", 8, 10**6),
    },
    "tls": {"certificate": path, "key": path, "redirect": boolean},
}
"""Fields that hold a dictionary with keys of their own."""

PM_OF_FCGID = ("max_children", "process_idle_timeout", "max_requests")

FIELDS: dict[str, Check] = {
    "name": site_name,
    "state": one_of(STATES),
    "user": account,
    "group": account,
    "share_account": boolean,
    "server_name": hostname,
    "server_aliases": list_of(alias, "host names"),
    "document_root": site_path,
    "writable_paths": list_of(site_path, "directories"),
    "engine": one_of(ENGINES),
    "process_manager": one_of(PROCESS_MANAGERS),
    "php_version": pattern(r"[0-9]\.[0-9]{1,2}", 'a PHP version such as "8.2" (in quotes)', 4),
    "php_admin_value": php_settings,
    "php_value": php_settings,
    "htaccess": one_of(HTACCESS),
    "front_controller": pattern(r"[A-Za-z0-9_-]+\.php", "the name of a PHP file in the document root", 64),
    "pass_authorization": boolean,
    "socket": socket_path,
    "wrapper_root": wrapper_root,
    "extra_directives": list_of(directive, "Apache directives, one line each"),
}

NOTHING_BY_CHOICE = ("front_controller", "tls")
"""Fields that a site can have nothing in: ``null`` there undoes the default of all sites."""

OF_ONE_SITE = dict.fromkeys(
    ("name", "user", "group", "server_name", "server_aliases", "document_root", "socket", "state"),
    "cannot be the same for all sites; set it on each site",
)
OF_ALL_SITES = {
    "wrapper_root": "is one for all sites, as suEXEC is for the host; set it in the site defaults"
}
"""Fields that can stand in the defaults alone."""

DEFAULTS: dict[str, Any] = {
    "share_account": False,
    "server_aliases": [],
    "writable_paths": [],
    "engine": "proxy_fcgi",
    "process_manager": None,
    "php_version": None,
    "timeout": {},
    "pm": {"mode": "ondemand", "max_children": 10, "process_idle_timeout": 10, "max_requests": 500},
    "php_admin_value": {},
    "php_value": {},
    "htaccess": "safe",
    "front_controller": None,
    "pass_authorization": False,
    "wrapper_root": WRAPPER_ROOT,
    "tls": None,
    "extra_directives": [],
    "limits": {"tasks_max": 256},
}

FOREIGN = {
    "proxy_fcgi": dict.fromkeys(
        (f"timeout.{clock}" for clock in timeouts.OF_FCGID if clock not in timeouts.OF_FPM),
        f"is a clock of fcgid; those of proxy_fcgi are {', '.join(timeouts.OF_FPM)}",
    ),
    "fcgid": {
        "socket": "is for engines with a socket per site; mod_fcgid makes its sockets itself",
        "limits": "is for engines with a unit per site; with fcgid PHP runs in Apache's own unit",
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


# ---------------------------------------------------------------- one site

DEFAULTS_LABEL = "site defaults"


def checked(given: Any, label: str, errors: list[str], barred: Mapping[str, str]) -> dict[str, Any]:
    """The good values of one site (or of the defaults), with a message for each that is not."""
    if not isinstance(given, Mapping):
        errors.append(f"{label}: {shown(given)} is not a dictionary")
        return {}
    good: dict[str, Any] = {}
    for field, value in given.items():
        if not isinstance(field, str) or (field not in FIELDS and field not in TABLES):
            known = ", ".join(sorted([*FIELDS, *TABLES]))
            errors.append(f"{label}.{shown_key(field)}: there is no such field; the fields are: {known}")
        elif field in barred:
            errors.append(f"{label}.{field}: {barred[field]}")
        elif value is None:
            continue
        elif field in TABLES:
            good[field] = checked_table(field, value, f"{label}.{field}", errors)
        else:
            try:
                good[field] = FIELDS[field](value)
            except Refused as reason:
                errors.append(f"{label}.{field}: {reason}")
    return good


def checked_table(field: str, value: Any, label: str, errors: list[str]) -> dict[str, Any]:
    good: dict[str, Any] = {}
    try:
        items = mapping(value)
    except Refused as reason:
        errors.append(f"{label}: {reason}")
        return good
    for key, entry in items.items():
        check = TABLES[field].get(key)
        if check is None:
            errors.append(
                f"{label}.{shown_key(key)}: there is no such key; the keys are: {', '.join(TABLES[field])}"
            )
            continue
        try:
            good[key] = check(entry)
        except Refused as reason:
            errors.append(f"{label}.{key}: {reason}")
    return good


def merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Later layers win; dictionaries are joined key by key. The result shares nothing with the layers."""
    result: dict[str, Any] = {}
    for layer in layers:
        for field, value in layer.items():
            if isinstance(value, dict):
                result[field] = {**(result.get(field) or {}), **value}
            else:
                result[field] = value.copy() if isinstance(value, list) else value
    return result


def resolved(site: dict[str, Any], label: str, errors: list[str], master: str) -> dict[str, Any]:
    """All that follows from one site's fields. `site` has every default in it."""
    name, user = site["name"], site.get("user", site["name"])
    document_root = site.get("document_root", f"{SITES_ROOT}/{name}")
    state, log = f"{STATE_ROOT}/{name}", f"{LOG_ROOT}/{name}"
    of_the_engine = spawned(site) if site["engine"] == "fcgid" else behind_a_socket(site, master)
    admin_value = {
        "max_execution_time": str(of_the_engine["timeout"]["max_execution_time"]),
        "session.save_path": f"{state}/sessions",
        "session.gc_probability": "1",
        "upload_tmp_dir": f"{state}/tmp",
        "sys_temp_dir": f"{state}/tmp",
        "error_log": f"{log}/php.log",
        "log_errors": "on",
        "expose_php": "off",
        **of_the_engine.pop("settings"),
        **site["php_admin_value"],
    }
    for field, reasons in (
        *of_the_engine.pop("problems"),
        ("tls", tls_problems(site["tls"])),
        ("php_value", hidden_settings(site["php_value"], admin_value)),
    ):
        found = [f"{label}.{field}.{reason}" for reason in reasons]
        if found:
            # what follows from a value that was refused would mislead
            refused = tuple(f"{where}.{field}{end}" for where in (label, DEFAULTS_LABEL) for end in ".:")
            if not any(error.startswith(refused) for error in errors):
                errors.extend(found)
    in_sites_root = within(document_root, SITES_ROOT)
    return {
        **site,
        "process_manager": site["process_manager"] or BEHIND[site["engine"]],
        "user": user,
        "group": site.get("group", user),
        "document_root": document_root,
        "php_admin_value": admin_value,
        "tls": {"redirect": True, **site["tls"]} if site["tls"] else None,
        # where the site's own directories are, and who makes them
        "hidden_roots": [SITES_ROOT, STATE_ROOT, LOG_ROOT],
        "site_root": document_root if in_sites_root else None,
        "given_root": None if in_sites_root else document_root,
        "state_directory": state,
        "session_directory": f"{state}/sessions",
        "tmp_directory": f"{state}/tmp",
        "log_directory": log,
        "apache_group": APACHE_ACCOUNT,
        # the Apache side
        "snippet": f"{APACHE_ROOT}/fastcgi/{name}.conf",
        "vhost": f"{APACHE_ROOT}/sites-available/{name}.conf",
        "vhost_enabled": f"{APACHE_ROOT}/sites-enabled/{name}.conf",
        **of_the_engine,
    }


def behind_a_socket(site: Mapping[str, Any], master: str) -> dict[str, Any]:
    """What a site has whose PHP stands behind a socket of its own."""
    name = site["name"]
    chain = timeouts.derive(site["timeout"])
    pm = with_spares(site["pm"])
    unit = f"fastcgi-{name}"
    bound = f"{SOCKET_ROOT}/{name}.sock"
    socket = site.get("socket", bound)
    link = socket if socket != bound else None
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
        # the operator's own address is a link, for virtual hosts of the operator's own; both work
        "socket": socket,
        "socket_bound": bound,
        "socket_link": link,
        "socket_link_directory": link and posixpath.dirname(link),
        "socket_link_target": link and posixpath.relpath(bound, posixpath.dirname(link)),
        # what Apache may call it by
        "php_addresses": [bound, link] if link else [bound],
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
        "probe_urls": probe_urls(site),
    }


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
        "limits": {},
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
        "php_digest": digest_of(version, site["php_admin_value"], site["php_value"], chain.as_dict()),
    }


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


def tls_problems(tls: Mapping[str, Any] | None) -> Iterable[str]:
    if tls is not None:
        for key in ("certificate", "key"):
            if key not in tls:
                yield f"{key}: is missing; TLS needs the files of both certificate and key"


def hidden_settings(php_value: Mapping[str, str], php_admin_value: Mapping[str, str]) -> Iterable[str]:
    for key in php_value:
        if key in php_admin_value:
            yield f"{key}: php_admin_value sets it too, and wins (FPM-03); set it there alone"


# ---------------------------------------------------------------- all sites


def resolve(sites: Any, defaults: Any = None, master: str = "own") -> list[dict[str, Any]]:
    """Validate the whole list and return its present sites with all that follows from them.

    :param sites: the operator's list.
    :param defaults: fields for every site that does not set them itself.
    :param master: whether each site has a master of its own, or all those of a PHP version share one.
    :raises InvalidSites: with every fault found, each naming the site and the field.
    """
    if master not in MASTERS:
        raise InvalidSites([f"master: {shown(master)} is not one of: {', '.join(MASTERS)}"])
    errors: list[str] = []
    common = checked({} if defaults is None else defaults, DEFAULTS_LABEL, errors, barred=OF_ONE_SITE)
    if master == "shared":
        errors.extend(shared_problems(common, DEFAULTS_LABEL))
    if not isinstance(sites, (list, tuple)):
        raise InvalidSites([*errors, f"sites: {shown(sites)} is not a list"])
    usual = merged(DEFAULTS, common)
    result: list[tuple[str, dict[str, Any]]] = []
    labels: dict[str, str] = {}
    for index, given in enumerate(sites):
        if isinstance(given, Mapping):
            given = dict(given)  # Ansible looks at each value anew whenever it is asked for
        name = given.get("name") if isinstance(given, dict) else None
        label = f"sites[{index}]" + (f" ({shown_key(name)})" if isinstance(name, str) else "")
        own = checked(given, label, errors, barred=OF_ALL_SITES)
        absent = own.get("state") == "absent"
        if isinstance(given, dict):
            needed = ("name",) if absent else ("name", "server_name")
            errors.extend(f"{label}.{field}: is missing" for field in needed if given.get(field) is None)
        if "name" not in own:
            continue
        if own["name"] in labels:
            errors.append(f"{label}.name: {shown(name)} is the name of {labels[own['name']]} already")
            continue
        labels[own["name"]] = label
        if absent:
            continue
        if given.get("user") is None:
            errors.extend(default_account_problems(own["name"], label))
        errors.extend(f"{label}.{problem}" for problem in engine_problems(common, own))
        undone = {field: None for field in NOTHING_BY_CHOICE if given.get(field, field) is None}
        if master == "shared":
            errors.extend(shared_problems(own, label))
        result.append((label, resolved(merged(usual, undone, own), label, errors, master)))
    errors.extend(collisions(result))
    if master == "shared":
        errors.extend(share_clocks([(label, site) for label, site in result if site["engine"] != "fcgid"]))
    if errors:
        raise InvalidSites(errors)
    return [site for label, site in result]


def shared_problems(given: Mapping[str, Any], label: str) -> Iterable[str]:
    if given.get("limits"):
        yield (
            f"{label}.limits: cannot hold with a shared master, whose sites are one unit to systemd; take "
            f"it away, or give the sites masters of their own (fpm_pool_master: own)"
        )
    for field in ("php_value", "php_admin_value"):
        for setting in CACHE_GUARDS.intersection(given.get(field, {})):
            yield (
                f"{label}.{field}.{setting}: a shared master has one opcode cache for all sites, and this "
                f"keeps them from each other's scripts (SEC-07); leave it out"
            )


def share_clocks(sites: Sequence[tuple[str, dict[str, Any]]]) -> Iterable[str]:
    """A shared master has one clock for its end, so each of its sites has that of the most patient one."""
    for label, site in sites:
        seconds = site["timeout"]["process_control_timeout"]
        if seconds > SHARED_STOP_LIMIT:
            yield (
                f"{label}.timeout.process_control_timeout: {seconds} s is too long for a shared master: a "
                f"change of any site stops all of them for as long as a request of this one runs; use at "
                f"most {SHARED_STOP_LIMIT}, with a shorter request_terminate_timeout, or give the sites "
                f"masters of their own (fpm_pool_master: own)"
            )
    for clock in ("process_control_timeout", "stop_timeout"):
        longest: dict[str, int] = {}
        for _, site in sites:
            longest[site["php_version"]] = max(longest.get(site["php_version"], 0), site["timeout"][clock])
        for _, site in sites:
            site["timeout"][clock] = longest[site["php_version"]]


def default_account_problems(name: str, label: str) -> Iterable[str]:
    try:
        account(name)
    except Refused as reason:
        yield f"{label}.user: defaults to the site's name, but {reason}"


def engine_problems(common: Mapping[str, Any], own: Mapping[str, Any]) -> Iterable[str]:
    """What was asked for, and the site's engine cannot do."""
    engine = own.get("engine") or common.get("engine") or DEFAULTS["engine"]
    behind = own.get("process_manager") or common.get("process_manager") or BEHIND[engine]
    if behind != BEHIND[engine]:
        yield (
            f"process_manager: {shown(behind)} does not go with engine {engine}, which has {BEHIND[engine]}; "
            f"leave it out"
        )
    for field, reason in FOREIGN[engine].items():
        for given, whose in ((own, ""), (common, f" (from the {DEFAULTS_LABEL})")):
            table, _, key = field.partition(".")
            if table in given and (not key or key in given[table]):
                yield f"{field}{whose}: {reason}; leave it out"
                break


def collisions(sites: Sequence[tuple[str, dict[str, Any]]]) -> Iterable[str]:
    """What two sites cannot share."""
    host_owner: dict[str, str] = {}
    accounts: dict[tuple[str, str], tuple[str, bool]] = {}
    roots: dict[str, tuple[str, str, str]] = {}
    sockets: dict[str, str] = {}
    for label, site in sites:
        names = [("server_name", site["server_name"])] if "server_name" in site else []
        for field, host in [*names, *(("server_aliases", alias) for alias in site["server_aliases"])]:
            if host in host_owner:
                yield f'{label}.{field}: "{host}" is used by {host_owner[host]} already'
            host_owner.setdefault(host, label)
        for field in ("user", "group"):
            first, shared = accounts.setdefault((field, site[field]), (label, site["share_account"]))
            if first != label and not (shared and site["share_account"]):
                yield (
                    f'{label}.{field}: "{site[field]}" is the {field} of {first} too; give each site its '
                    f"own, or set share_account: true on both"
                )
        for socket in dict.fromkeys((site["socket"], site["socket_bound"]) if site["socket"] else ()):
            if sockets.setdefault(socket, label) != label:
                yield f'{label}.socket: "{socket}" is the socket of {sockets[socket]} already'
        for field, own in directories(site):
            roots.setdefault(own, (label, field, site["user"]))
    for label, site in sites:
        for field, own in directories(site):
            yield from foreign_paths(label, field, own, site["user"], roots)
    yield from fcgid_collisions([(label, site) for label, site in sites if site["engine"] == "fcgid"], roots)


def fcgid_collisions(
    sites: Sequence[tuple[str, dict[str, Any]]], roots: Mapping[str, tuple[str, str, str]]
) -> Iterable[str]:
    """What all sites of fcgid have in common: one suEXEC, and one table of processes."""
    if not sites:
        return
    root = sites[0][1]["wrapper_root"]
    for directory, (label, field, _) in roots.items():
        if within(root, directory) or within(directory, root):
            yield f'{label}.{field}: "{directory}" and the wrapper_root "{root}" must not lie in one another'
    # a virtual host each for plain HTTP and for TLS is a class of processes each
    most = sum(site["pm"]["max_children"] * (2 if two_hosts(site) else 1) for _, site in sites)
    if most > FCGID_PROCESSES:
        yield (
            f"sites with engine fcgid: their pm.max_children make {most} processes together (twice where tls "
            f"has redirect: false), and mod_fcgid has room for {FCGID_PROCESSES} (CAP-11); set "
            f"pm.max_children in the {DEFAULTS_LABEL} to {FCGID_PROCESSES // len(sites)} or less"
        )


def two_hosts(site: Mapping[str, Any]) -> bool:
    return bool(site["tls"]) and not site["tls"]["redirect"]


def directories(site: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """The directories that belong to the site's account, each with the field that names it."""
    yield "document_root", site["document_root"]
    for writable in site["writable_paths"]:
        yield "writable_paths", writable


def foreign_paths(
    label: str, field: str, inner: str, user: str, roots: Mapping[str, tuple[str, str, str]]
) -> Iterable[str]:
    """A tenant owns all below its directories, so nothing of another account may lie there."""
    outer = inner
    while outer:
        owner, owners_field, owners_user = roots.get(outer, (label, field, user))
        if owner != label and owners_user != user:
            yield (
                f'{label}.{field}: "{inner}" lies in the {owners_field} of {owner}, which belongs '
                f"to another account"
            )
        outer = outer.rpartition("/")[0]
