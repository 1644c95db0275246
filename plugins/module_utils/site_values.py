# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the value of a site's field may be: one check for each kind of value.

A check takes what the operator wrote and returns the value to use, or raises `Refused` with the reason.
Nothing that fails one comes near a config file (SEC-31).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Callable

from . import timeouts
from .host_paths import (
    BIND_ROOT,
    LOG_ROOT,
    SITES_ROOT,
    STATE_ROOT,
    STATUS_ROOT,
    VIRTUAL_ROOT,
    WAY_ROOT,
    within,
)

SOCKET_PATH_LIMIT = 95
"""Bytes of a socket's path. Apache refuses a longer one, FPM cuts it off in silence (SEC-16)."""

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
    *(STATE_ROOT, LOG_ROOT, VIRTUAL_ROOT),
)
"""Where no site may name directories: the system's, or hidden from a sandboxed master, or made per site."""

FOREIGN_RUN = {
    "/run/php": "which Apache's account can write to (SEC-11)",
    "/run/lock": "which everybody can write to",
    "/run/user": "which belongs to people who are logged in",
    "/run/systemd": "which belongs to systemd",
    "/run/dbus": "which belongs to D-Bus",
    STATUS_ROOT: "where the sockets of FPM's status are",
    BIND_ROOT: "where systemd makes the sockets",
    WAY_ROOT: "where root finds the sockets",
}
"""Below /run, but no place for a site's socket."""

PHP_SETTINGS_OF_THE_MODEL = {
    "max_execution_time": "set timeout.max_execution_time",
    "session.save_path": "each site has a directory of its own for it",
    "upload_tmp_dir": "each site has a directory of its own for it",
    "sys_temp_dir": "each site has a directory of its own for it",
    "error_log": "each site has a log of its own for it",
}


class Refused(ValueError):
    """One value is not allowed; the message is the reason, without the name of the field."""


Check = Callable[[Any], Any]


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


def denied_path(value: Any) -> str:
    """What is refused below a document root: a file, a directory, or all files of one suffix."""
    text = printable(value)
    part = "[A-Za-z0-9_@+-][A-Za-z0-9._@+-]*"
    if not re.fullmatch(rf"({part}/)*({part}/?|\*(\.[A-Za-z0-9_-]+)+)", text):
        raise Refused(
            f"{shown(value)} is not a path below the document root such as data, conf/local.php, *.sql or "
            f"uploads/*.php (letters, digits and . _ @ + -, no slash in front)"
        )
    return text.rstrip("/")


def denied_urls(paths: Sequence[str]) -> str:
    """A regular expression for the URLs of what is refused; a suffix counts in the directories below too."""
    each = [re.escape(path).replace(r"\*", "([^/]*/)*[^/]*") for path in paths]
    return f"^/({'|'.join(each)})(/|$)" if each else ""


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
