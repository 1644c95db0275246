# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The configuration of a PHP-FPM master, as FPM itself reads it.

FPM takes its files line by line, so nothing spans lines. An `include` is done at the end of its line, and
the section that the included files end in goes on after it. A section that comes again continues the pool of
that name, in whatever case it is spelled (SEC-06). The last value of a key holds, but of `php_value` and
`php_admin_value` the first (FPM-03).

Where FPM stops at the first fault, this reads on and finds them all.
"""

from __future__ import annotations

import fnmatch
import os
import re
from dataclasses import dataclass, field
from typing import Any

from . import ini
from .settings import Setting, atoi, int32, undecided
from .source import Problem, Source, Tree

PROGRAM = "PHP-FPM"
PREFIX = "/usr"
STATE_PREFIX = "/var"
INCLUDE_DEPTH = 5
LOG_LIMIT = 512
UNITS = {"m": 60, "h": 3600, "d": 86400, "s": 1}
TRUE = ("1", "yes", "true", "on")
FALSE = ("", "0", "no", "none", "false", "off")
LEVELS = {name: name for name in ("debug", "notice", "warning", "error", "alert")} | {"warn": "warning"}
FACILITIES = {
    **{"kern": 0, "user": 1, "mail": 2, "daemon": 3, "auth": 4, "syslog": 5, "lpr": 6, "news": 7, "uucp": 8},
    **{"cron": 9, "authpriv": 10, "ftp": 11},
    **{f"local{number}": 16 + number for number in range(8)},
}

# Every key with its kind and its default.
GLOBAL_KEYS: dict[str, tuple[str, Any]] = {
    "pid": ("string", None),
    "error_log": ("string", "log/php-fpm.log"),
    "syslog.ident": ("string", "php-fpm"),
    "syslog.facility": ("facility", FACILITIES["daemon"] << 3),
    "log_buffering": ("boolean", True),
    "log_level": ("level", "notice"),
    "log_limit": ("integer", 1024),
    "emergency_restart_interval": ("time", 0),
    "emergency_restart_threshold": ("integer", 0),
    "process_control_timeout": ("time", 0),
    "process.max": ("integer", 0),
    "process.priority": ("integer", None),  # 64 means unset as well
    "daemonize": ("boolean", True),
    "rlimit_files": ("integer", 0),
    "rlimit_core": ("core", 0),
    "events.mechanism": ("string", "epoll"),
    "systemd_interval": ("time", 10),
}
POOL_KEYS: dict[str, tuple[str, Any]] = {
    "prefix": ("string", None),
    "user": ("string", None),
    "group": ("string", None),
    "listen": ("string", None),
    # a negative one is as many as the kernel allows
    "listen.backlog": ("integer", -1),
    "listen.acl_users": ("string", None),
    "listen.acl_groups": ("string", None),
    "listen.owner": ("string", None),
    "listen.group": ("string", None),
    "listen.mode": ("string", None),
    "listen.allowed_clients": ("string", None),
    "process.priority": ("integer", None),
    "process.dumpable": ("boolean", False),
    "pm": ("pm", None),
    "pm.max_children": ("integer", 0),
    "pm.start_servers": ("integer", 0),
    "pm.min_spare_servers": ("integer", 0),
    "pm.max_spare_servers": ("integer", 0),
    "pm.max_spawn_rate": ("integer", 32),
    "pm.process_idle_timeout": ("time", 10),
    "pm.max_requests": ("integer", 0),
    "pm.status_path": ("string", None),
    "pm.status_listen": ("string", None),
    "ping.path": ("string", None),
    "ping.response": ("string", None),
    "access.log": ("string", None),
    "access.format": ("string", None),
    "slowlog": ("string", None),
    "request_slowlog_timeout": ("time", 0),
    "request_slowlog_trace_depth": ("integer", 0),
    "request_terminate_timeout": ("time", 0),
    "request_terminate_timeout_track_finished": ("boolean", False),
    "rlimit_files": ("integer", 0),
    "rlimit_core": ("core", 0),
    "chroot": ("string", None),
    "chdir": ("string", None),
    "catch_workers_output": ("boolean", False),
    "decorate_workers_output": ("boolean", True),
    "clear_env": ("boolean", True),
    "security.limit_extensions": ("string", ".php .phar"),
    "apparmor_hat": ("string", None),
}
LISTS = {
    "env": "env",
    "php_value": "php_value",
    "php_flag": "php_value",
    "php_admin_value": "php_admin_value",
    "php_admin_flag": "php_admin_value",
    "access.suppress_path": "access.suppress_path",
}
PATHS_IN_PHP = (
    *("error_log", "extension_dir", "mime_magic.magicfile", "sendmail_path", "session.cookie_path"),
    *("session_pgsql.sem_file_name", "soap.wsdl_cache_dir", "uploadprogress.file.filename_template"),
    *("xdebug.output_dir", "xdebug.profiler_output_dir", "xdebug.trace_output_dir"),
)


@dataclass
class Section:
    """`[global]` or a pool: what is said there, and the defaults of the rest."""

    name: str
    keys: dict[str, tuple[str, Any]]
    source: Source
    said: dict[str, Setting[Any]] = field(default_factory=dict)
    lists: dict[str, list[tuple[str, Setting[str]]]] = field(default_factory=dict)

    def get(self, key: str) -> Setting[Any]:
        """A key's value: seconds for times, True or False for switches."""
        return self.said.get(key) or Setting(self.keys[key][1], default_of=PROGRAM)

    def first(self, kind: str, name: str) -> Setting[str] | None:
        """What `kind` (`php_value`, `php_admin_value`, `env`) says of `name`: the first line (FPM-03)."""
        return next((setting for key, setting in self.lists.get(kind, []) if key == name), None)

    def where(self, key: str) -> Source:
        setting = self.said.get(key)
        return setting.source if setting and setting.source else self.source


@dataclass
class FpmConfig:
    """All that one master reads.

    :param problems: why FPM would refuse to start.
    :param warnings: what it would start with.
    """

    file: str
    main: Section
    pools: list[Section] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def heartbeat(self) -> Setting[float]:
        """How often the master looks at what runs: the least of all pools' R/3 and S/3, in whole
        milliseconds and never below 130 (TMO-02, TMO-03). 0: never, as no pool has either."""
        beats: list[tuple[int, Source | None]] = []
        for pool in self.pools:
            for key in ("request_terminate_timeout", "request_slowlog_timeout"):
                limit = pool.get(key)
                if limit.undecided:
                    return undecided(limit.undecided, limit.source)
                if limit.value:
                    beats.append((limit.value * 1000 // 3, limit.source))
        if not beats:
            return Setting(0.0, default_of=PROGRAM)
        beat, source = min(beats, key=lambda found: found[0])
        return Setting(max(130, beat) / 1000, source)


def read(
    tree: Tree,
    file: str,
    prefix: str = "",
    variable: ini.Variable = ini.nothing_known,
    named_at: Source | None = None,
) -> FpmConfig:
    """A master's configuration.

    :param prefix: what `--prefix` says.
    :param variable: what `${NAME}` stands for in the master's environment.
    :param named_at: where the file is named, to tell of it should it be missing.
    """
    reader = Reader(tree, file, prefix, variable)
    if reader.read(file, 1, named_at or Source(file, 1)):
        complete(reader.config, prefix)
    return reader.config


class Reader:
    """Takes in one file after another; `section` is the one that the next line belongs to."""

    def __init__(self, tree: Tree, file: str, prefix: str, variable: ini.Variable) -> None:
        self.tree = tree
        self.prefix = prefix
        self.variable = variable
        self.config = FpmConfig(file, Section("global", GLOBAL_KEYS, Source(file, 1)))
        self.section = self.config.main
        self.pools: dict[str, Section] = {}

    def read(self, file: str, depth: int, named_at: Source) -> bool:
        """Whether the file could be read."""
        if depth > INCLUDE_DEPTH:
            self.refuse(named_at, f"{file} is included more than {INCLUDE_DEPTH} files deep")
            return False
        try:
            if not self.tree.is_file(file):
                raise FileNotFoundError("there is no such file")
            text = self.tree.read(file)
        except OSError as error:
            self.refuse(named_at, f"{file} cannot be read: {error.strerror or error}")
            return False
        include: ini.Statement | None = None
        line = 0
        for found in ini.parse_lines(text, file, self.variable):
            source = found.source
            if include and source.line != line:
                self.include(include, depth)
                include = None
            line = source.line
            if isinstance(found, Problem):
                self.config.problems.append(found)
            elif found.kind == "entry" and found.name == "include":
                if include:
                    self.refuse(source, "two includes at the same time")
                include = found
            else:
                self.take(found)
        if include:
            self.include(include, depth)
        return True

    def include(self, statement: ini.Statement, depth: int) -> None:
        source, pattern = statement.source, full_path(statement.value, self.prefix or PREFIX)
        if statement.undecided:
            self.refuse(source, f"cannot be followed: {statement.undecided}")
            return
        files = glob(self.tree, pattern)
        if not files:
            self.config.warnings.append(Problem(source, f"nothing matches the include pattern {pattern!r}"))
        for file in files:
            self.read(file, depth + 1, source)

    def take(self, statement: ini.Statement) -> None:
        kind, name, key, value, source, reason = statement
        if kind == "section":
            self.enter(name, source)
        elif kind == "bare":
            self.refuse(source, f"{name!r} has no value")
        elif kind == "entry":
            known = self.section.keys.get(name.lower())
            if known is None:
                self.refuse(source, f"unknown entry {name!r} in [{self.section.name}]")
                return
            try:
                setting = undecided(reason, source) if reason else self.setting(known[0], value, source)
                self.section.said[name.lower()] = setting
            except ValueError as error:
                self.refuse(source, f"{name} = {value!r}: {error}")
        else:
            self.add(name, key, value, source, reason)

    def enter(self, name: str, source: Source) -> None:
        if name.lower() == "global":
            self.section = self.config.main
            return
        if name.lower() not in self.pools:
            pool = Section(name, POOL_KEYS, source)
            self.pools[name.lower()] = pool
            self.config.pools.append(pool)
        self.section = self.pools[name.lower()]

    def add(self, name: str, key: str, value: str, source: Source, reason: str) -> None:
        where = f"{name}[{key}] = {value!r}"
        paths = name == "access.suppress_path"
        if self.section is self.config.main:
            self.refuse(source, f"{where}: only a pool takes this")
        elif name not in LISTS:
            self.refuse(source, f"unknown directive {name!r}")
        elif paths == bool(key):
            self.refuse(source, f"{where}: the key must {'not ' if paths else ''}be given")
        elif not reason and ((paths and not value.startswith("/")) or (name == "env" and not value)):
            self.refuse(source, f"{where}: {'a path must begin with /' if paths else 'empty value'}")
        else:
            try:
                flag = name.endswith("_flag")
                setting: Setting[str] = self.setting("flag" if flag else "string", value, source)
                self.section.lists.setdefault(LISTS[name], []).append(
                    (key, undecided(reason, source) if reason else setting)
                )
            except ValueError as error:
                self.refuse(source, f"{where}: {error}")

    def setting(self, kind: str, text: str, source: Source) -> Setting[Any]:
        """A value of its kind.

        :raises ValueError: when FPM does not take it.
        """
        if kind == "string" and "$pool" in text:
            if self.section is self.config.main:
                raise ValueError("$pool means nothing outside a pool")
            text = text.replace("$pool", self.section.name)
        return Setting(CONVERT[kind](text), source)

    def refuse(self, source: Source, reason: str) -> None:
        self.config.problems.append(Problem(source, reason))


def integer(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]*", text):
        raise ValueError("not a valid number")
    return atoi(text)


def seconds(text: str) -> int:
    """Whole seconds. Only the last letter counts, so 500ms is 500 s and 1.5m one minute (TMO-14)."""
    unit = text[-1:]
    if not unit:
        raise ValueError("invalid time value")
    if unit not in UNITS and unit not in "0123456789":
        raise ValueError(f"unknown unit of time {unit!r}")
    return int32(atoi(text[:-1] if unit in UNITS else text) * UNITS.get(unit, 1))


def boolean(text: str) -> bool:
    if text not in TRUE and text not in FALSE:
        raise ValueError("invalid boolean value")
    return text in TRUE


def core(text: str) -> int:
    if text.lower() == "unlimited":
        return -1
    if integer(text) < 0:
        raise ValueError("must be a number or unlimited")
    return integer(text)


def one_of(names: dict[str, Any]) -> Any:
    def choose(text: str) -> Any:
        if text.lower() not in names:
            raise ValueError(f"must be one of {', '.join(names)}")
        return names[text.lower()]

    return choose


CONVERT: dict[str, Any] = {
    "string": str,
    "integer": integer,
    "time": seconds,
    "boolean": boolean,
    "flag": lambda text: str(int(boolean(text))),
    "core": core,
    "level": one_of(LEVELS),
    "facility": one_of({name: number << 3 for name, number in FACILITIES.items()}),
    "pm": one_of({name: name for name in ("static", "dynamic", "ondemand")}),
}


def full_path(path: str, *prefixes: str) -> str:
    """A path with the first prefix that makes it absolute."""
    for prefix in prefixes:
        if not path.startswith("/"):
            path = f"{prefix}/{path}"
    return path


def glob(tree: Tree, pattern: str) -> list[str]:
    """The files that a pattern names, in FPM's order. A name without wildcards need not be a regular file."""
    found = [""]
    parts = [part for part in pattern.split("/") if part]
    for part in parts:
        if re.search(r"[*?\[\\]", part):
            match = re.compile(fnmatch.translate(re.sub(r"\\(.)", r"[\1]", part).replace("[^", "[!"))).match
            hidden = part.startswith((".", "\\."))
            found = [
                f"{directory}/{name}"
                for directory in found
                for name in tree.names(directory or "/")
                if match(name) and (hidden or not name.startswith("."))
            ]
        else:
            found = [f"{directory}/{part}" for directory in found]
    found = [path for path in found if os.path.lexists(tree.real(path)) and not tree.is_directory(path)]
    return sorted(found, key=os.fsencode)


def complete(config: FpmConfig, prefix: str) -> None:
    """What FPM does once all is read: paths, defaults that depend on others, and the last checks."""
    main = config.main
    for key in ("pid", "error_log"):
        setting = main.get(key)
        if setting.value and not (key == "error_log" and setting.value.lower() == "syslog"):
            change(main, key, full_path(setting.value, prefix or STATE_PREFIX))
    check(config, main, "log_limit", lambda value: value >= LOG_LIMIT, f"must be at least {LOG_LIMIT}")
    check(config, main, "process.max", lambda value: value >= 0, "cannot be negative")
    if not config.pools:
        config.problems.append(Problem(main.source, "no pool is defined: FPM does not start without one"))
    if (main.get("systemd_interval").value or 0) < 0:
        del main.said["systemd_interval"]
    for pool in config.pools:
        check_pool(config, pool)
        complete_pool(config, pool, prefix)
    check_addresses(config, prefix or PREFIX)


def check_addresses(config: FpmConfig, prefix: str) -> None:
    """No address twice, those for the status included."""
    taken: dict[str, Section] = {}
    for key in ("listen", "pm.status_listen"):
        for pool in config.pools:
            address = socket_path(pool.get(key).value or "", prefix)
            if address in taken:
                other = taken[address].where("listen")
                reason = f"[{pool.name}] {key} = {address}: [{taken[address].name}] listens there ({other})"
                config.problems.append(Problem(pool.where(key), reason))
            elif address:
                taken[address] = pool


def socket_path(address: str, *prefixes: str) -> str:
    """An address as FPM takes it: with a colon or all of digits it is TCP, else a path."""
    if not address or ":" in address or re.fullmatch("[0-9]+", address):
        return address
    return full_path(address, *prefixes)


def change(section: Section, key: str, value: Any) -> None:
    """Replace a value by what FPM makes of it; who said it stays."""
    setting = section.get(key)
    section.said[key] = Setting(value, setting.source, setting.default_of)


def check(config: FpmConfig, section: Section, key: str, holds: Any, reason: str) -> bool:
    """Whether a value is one that FPM takes. One that cannot be told is."""
    setting = section.get(key)
    if setting.undecided or holds(setting.value):
        return True
    said = f"{key} = {setting.value}" if setting.source else f"{key} is not set"
    config.problems.append(Problem(section.where(key), f"[{section.name}] {said}: {reason}"))
    return False


def check_pool(config: FpmConfig, pool: Section) -> None:
    check(config, pool, "listen", bool, "a pool needs an address")
    check(config, pool, "pm", bool, "must be static, dynamic or ondemand")
    check(config, pool, "pm.max_children", lambda value: value > 0, "must be a positive number")
    for section in (config.main, pool):
        check(
            config,
            section,
            "process.priority",
            lambda value: value in (None, 64) or -19 <= value <= 20,
            "must be from -19 to 20",
        )
    if pool.get("pm").value == "dynamic":
        check_dynamic(config, pool)
    if pool.get("pm").value == "ondemand":
        check(config, pool, "pm.process_idle_timeout", lambda value: value >= 1, "must be at least 1 s")
    for key, least in (("pm.status_path", 1 if pool.get("pm.status_listen").value else 2), ("ping.path", 2)):
        check(
            config,
            pool,
            key,
            lambda path, least=least: (
                not path or (len(path) >= least and re.fullmatch(r"/[A-Za-z0-9/_.~-]*", path))
            ),
            "must be / and more of A-Z a-z 0-9 / - _ . ~",
        )
    slowlog, terminate = pool.get("slowlog"), pool.get("request_terminate_timeout")
    if not slowlog.undecided and not slowlog.value:
        for key in ("request_slowlog_timeout", "request_slowlog_trace_depth"):
            check(config, pool, key, lambda value: not value, "needs slowlog, the file to write to")
    if not terminate.undecided and terminate.value:
        check(
            config,
            pool,
            "request_slowlog_timeout",
            lambda value: not value or value <= terminate.value,
            f"must not be greater than request_terminate_timeout = {terminate.value}",
        )
    check(config, pool, "request_slowlog_trace_depth", lambda value: value >= 0, "must be positive")


def check_dynamic(config: FpmConfig, pool: Section) -> None:
    """The bounds of `pm = dynamic` (CAP-06)."""
    numbers = [pool.get(f"pm.{key}") for key in ("max_children", "min_spare_servers", "max_spare_servers")]
    if any(number.undecided for number in numbers):
        return
    most, low, high = (number.value for number in numbers)
    for key in ("pm.min_spare_servers", "pm.max_spare_servers"):
        positive = check(config, pool, key, lambda value: value > 0, "must be a positive number")
        if positive:
            check(
                config,
                pool,
                key,
                lambda value: value <= most,
                f"must not be greater than pm.max_children = {most}",
            )
    check(
        config,
        pool,
        "pm.max_spare_servers",
        lambda value: value >= low,
        f"must not be less than pm.min_spare_servers = {low}",
    )
    if pool.get("pm.start_servers").value:
        check(
            config,
            pool,
            "pm.start_servers",
            lambda value: value <= 0 or low <= value <= high,
            f"must be from pm.min_spare_servers = {low} to pm.max_spare_servers = {high}",
        )
    check(config, pool, "pm.max_spawn_rate", lambda value: value >= 1, "must be a positive number")


def complete_pool(config: FpmConfig, pool: Section, prefix: str) -> None:
    above = prefix or PREFIX
    own = pool.get("prefix").value
    if own:
        own = full_path(own, above)
        change(pool, "prefix", own)
    prefixes = (own, above) if own is not None else (above,)
    listen = pool.get("listen").value
    if listen:
        change(pool, "listen", socket_path(listen, *prefixes))
    for key in ("access.log", "slowlog", "chroot", "chdir"):
        path = pool.get(key).value
        if path:
            if key == "chroot" and path.startswith("$prefix"):
                path = path[len("$prefix") :]
                path = f"{prefixes[0]}/{path}" if path else prefixes[0]
            change(pool, key, full_path(path, *prefixes))
    if pool.get("access.log").value and pool.get("access.format").value is None:
        change(pool, "access.format", '%R - %u %t "%m %r" %s')
    if pool.get("pm.status_listen").value is not None and pool.get("pm.status_path").value is None:
        change(pool, "pm.status_path", "/")
    if not pool.get("ping.path").value:
        pool.said.pop("ping.response", None)
    elif pool.get("ping.response").value is None:
        change(pool, "ping.response", "pong")
    if not pool.get("request_slowlog_trace_depth").value:
        change(pool, "request_slowlog_trace_depth", 20)
    complete_workers(config, pool)
    if not pool.get("chroot").value:
        for kind in ("php_value", "php_admin_value"):
            pool.lists[kind] = [
                (key, in_php(key, setting, kind, prefixes)) for key, setting in pool.lists.get(kind, [])
            ]


def complete_workers(config: FpmConfig, pool: Section) -> None:
    """What follows from `pm`."""
    if pool.get("pm").value == "ondemand":
        for key in ("pm.start_servers", "pm.min_spare_servers", "pm.max_spare_servers"):
            change(pool, key, 0)
        backlog = pool.get("listen.backlog")
        if not backlog.undecided and backlog.value < POOL_KEYS["listen.backlog"][1]:
            change(pool, "listen.backlog", POOL_KEYS["listen.backlog"][1])
    elif pool.get("pm").value == "dynamic" and (pool.get("pm.start_servers").value or 0) <= 0:
        low, high = pool.get("pm.min_spare_servers").value, pool.get("pm.max_spare_servers").value
        if low is not None and high is not None:
            change(pool, "pm.start_servers", low + (high - low) // 2)


def in_php(key: str, setting: Setting[str], kind: str, prefixes: tuple[str, ...]) -> Setting[str]:
    """Some of PHP's own settings are paths, and are made absolute too."""
    path = setting.value
    if path is None or key.lower() not in PATHS_IN_PHP:
        return setting
    if kind == "php_admin_value" and key.lower() == "error_log" and path.lower() == "syslog":
        return setting
    return Setting(full_path(path, *prefixes), setting.source)
