# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What stands behind a socket, an address or a wrapper: which PHP, and the clocks that it runs by.

Masters of PHP-FPM and php-cgi are found by the units that start them. The clocks have the names of
timeouts.py; 0 is no limit.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from . import fpm_config, ini, php_ini, systemd_units, wrappers
from .fpm_config import FpmConfig, Section
from .php_ini import PhpIni, Startup
from .safe_files import UnsafePath
from .settings import Setting, atoi, undecided, value_of
from .source import Problem, Source, Tree
from .systemd_units import Unit, Units

WRAPPER_LIMIT = 64 * 1024
# What systemd gives a service without being told to.
SET_BY_SYSTEMD = (
    *("PATH", "LANG", "USER", "LOGNAME", "HOME", "SHELL", "INVOCATION_ID", "JOURNAL_STREAM", "NOTIFY_SOCKET"),
    *(
        "MAINPID",
        "MANAGERPID",
        "LISTEN_FDS",
        "LISTEN_PID",
        "LISTEN_FDNAMES",
        "WATCHDOG_USEC",
        "SYSTEMD_EXEC_PID",
    ),
    *("RUNTIME_DIRECTORY", "STATE_DIRECTORY", "CACHE_DIRECTORY", "LOGS_DIRECTORY", "CREDENTIALS_DIRECTORY"),
)
FPM_OPTIONS = {"y": "fpm-config", "c": "php-ini", "d": "define", "p": "prefix", "g": "pid"}
CGI_OPTIONS = {"b": "bindpath", "c": "php-ini", "d": "define", "T": "timing", "z": "zend-extension"}
PHP_CGI = "php-cgi"
NO_LIMIT: Setting[int] = Setting(0, default_of=PHP_CGI)
NO_HEARTBEAT: Setting[float] = Setting(0.0, default_of=PHP_CGI)
NO_LOG: Setting[str] = Setting("notice", default_of=PHP_CGI)
NOT_TRACKED: Setting[bool] = Setting(False, default_of=PHP_CGI)
ONE: Setting[int] = Setting(1, default_of=PHP_CGI)
CGI_BACKLOG = 128
CGI_REQUESTS = 500
LOCAL = ("localhost", "127.0.0.1", "[::1]", "::1")
FIRST_DESCRIPTOR = 3
TMPFILES = ("/etc/tmpfiles.d", "/run/tmpfiles.d", "/usr/local/lib/tmpfiles.d", "/usr/lib/tmpfiles.d")
EVERYWHERE = ("", "*", "0.0.0.0", "[::]", "::")


@dataclass(frozen=True)
class PhpSetting:
    """A setting of PHP as scripts of one site have it; a locked one no script and no .user.ini changes."""

    setting: Setting[str]
    locked: bool

    def number(self) -> Setting[int]:
        """As a number: seconds, bytes."""
        setting = self.setting
        value = None if setting.value is None else php_ini.number(setting.value)
        return Setting(value, setting.source, setting.default_of, setting.undecided)


@dataclass
class Backend:
    """One pool of FPM, one php-cgi behind a socket, or one that Apache starts through a wrapper.

    :param children: what PHP_FCGI_CHILDREN says, 0 where a single process does the work.
    :param max_children: how many requests it executes at once.
    :param backlog: how many connections wait at most: the kernel's limit is taken into account.
    :param problems: why what it is made of would not start, or could not be read.
    """

    kind: str  # fpm | php_cgi | wrapper
    name: str
    source: Source
    unit: str
    ini: PhpIni
    tree: Tree
    user: Setting[str]
    stop_timeout: Setting[float]
    kill_mode: Setting[str]
    kill_signal: Setting[str]
    addresses: list[str] = field(default_factory=list)
    pool: Section | None = None
    request_terminate_timeout: Setting[int] = NO_LIMIT
    request_terminate_timeout_track_finished: Setting[bool] = NOT_TRACKED
    request_slowlog_timeout: Setting[int] = NO_LIMIT
    heartbeat: Setting[float] = NO_HEARTBEAT
    process_control_timeout: Setting[int] = NO_LIMIT
    log_level: Setting[str] = NO_LOG
    children: Setting[int] = NO_LIMIT
    max_children: Setting[int] = ONE
    max_requests: Setting[int] = NO_LIMIT
    process_idle_timeout: Setting[int] = NO_LIMIT
    backlog: Setting[int] = NO_LIMIT
    doubt: Problem | None = None
    problems: list[Problem] = field(default_factory=list)
    user_inis: dict[str, PhpIni] = field(default_factory=dict)

    def php(self, name: str, document_root: str = "", server_name: str = "") -> PhpSetting:
        """What scripts directly below a document root have: php.ini, the pool, sections for path and host,
        and the site's .user.ini, in the order in which PHP applies them."""
        if self.doubt:
            return PhpSetting(undecided(self.doubt.reason, self.doubt.source), False)
        setting, locked = self.ini.get(name), False
        if self.pool:
            setting = self.pool.first("php_value", name) or setting
            admin = self.pool.first("php_admin_value", name)
            setting, locked = admin or setting, admin is not None
        special = self.ini.special(name, document_root, server_name)
        setting, locked = special or setting, locked or special is not None
        if document_root and not locked and name not in php_ini.SYSTEM_ONLY:
            setting = self.user_ini(document_root, name) or setting
        return PhpSetting(setting, locked)

    def user_ini(self, document_root: str, name: str) -> Setting[str] | None:
        """What the site's .user.ini says, if anything."""
        file = self.php("user_ini.filename").setting
        if file.undecided:
            return undecided(file.undecided, file.source)
        if not file.value:
            return None
        if document_root not in self.user_inis:
            self.user_inis[document_root] = php_ini.read_user_ini(self.tree, document_root, file.value)
            self.problems += self.user_inis[document_root].problems
        found = self.user_inis[document_root]
        if found.unknown:
            return undecided(found.unknown.reason, found.unknown.source)
        return found.values.get(name)

    def pages(self) -> list[str]:
        """The paths that FPM answers by itself, before any script."""
        said = [self.pool.get(key) for key in ("ping.path", "pm.status_path")] if self.pool else []
        return [setting.value for setting in said if setting.value and not setting.undecided]

    def max_execution_time(self, document_root: str = "", server_name: str = "") -> Setting[int]:
        return self.php("max_execution_time", document_root, server_name).number()


class PhpServers:
    """All of PHP that listens on a host.

    :param fpm_files: configurations of masters that no unit starts.
    """

    def __init__(self, tree: Tree, fpm_files: Iterable[str] = ()) -> None:
        self.tree = tree
        self.units = Units(tree)
        self.problems: list[Problem] = []
        self.backends: list[Backend] = []
        self.masters: list[tuple[Unit | None, FpmConfig]] = []
        self.inis: dict[Startup, list[tuple[dict[str, str | None], PhpIni]]] = {}
        self.default_stop_timeout = self.units.default_stop_timeout()
        self.somaxconn = somaxconn(tree)
        self.links = tmpfiles_links(tree)
        self.sockets = self.sockets_of_services()
        for name in sorted({*self.units.names(".service"), *self.sockets}):
            unit = self.units.get(name)
            if unit and "php" in (unit.last("ExecStart").value or ""):
                self.take_service(unit)
        known = {config.file for _unit, config in self.masters}
        for file in fpm_files:
            if file not in known:
                self.take_master(None, ["php-fpm", "--fpm-config", file], {}, Source(file, 1))
        self.by_address = self.index()

    def behind(self, address: str) -> Backend | None:
        """What answers at a path or at host:port; None where nothing that is known does."""
        kind, host, port = split_address(address)
        if kind == "unix":
            return self.by_address.get(self.canonical(host))
        hosts = LOCAL if host in LOCAL else (host,)
        for candidate in (*hosts, *EVERYWHERE):
            found = self.by_address.get(f"{candidate}:{port}")
            if found:
                return found
        return None

    def canonical(self, path: str) -> str:
        """A path without links: those that are there, and those that are made at boot."""
        for _step in range(8):
            path = self.tree.resolve(path)
            link, rest = path, ""
            while link not in self.links and "/" in link:
                link, _, part = link.rpartition("/")
                rest = f"/{part}{rest}"
            if link not in self.links:
                break
            path = posixpath.join(posixpath.dirname(link), self.links[link]) + rest
        return path

    def index(self) -> dict[str, Backend]:
        found: dict[str, Backend] = {}
        for backend in self.backends:
            for address in backend.addresses:
                kind, host, port = split_address(address)
                key = self.canonical(host) if kind == "unix" else f"{host}:{port}"
                other = found.setdefault(key, backend)
                if other is not backend and not (other.unit == backend.unit != ""):
                    reason = f"{backend.name}: {address} is also where {other.name} listens ({other.source})"
                    self.problems.append(Problem(backend.source, reason))
        return found

    def sockets_of_services(self) -> dict[str, list[Unit]]:
        found: dict[str, list[Unit]] = {}
        for name in self.units.names(".socket"):
            unit = self.units.get(name)
            if unit:
                service = unit.last("Service").value or name[: -len("socket")] + "service"
                found.setdefault(service, []).append(unit)
        return found

    def take_service(self, unit: Unit) -> None:
        self.problems += unit.problems
        variables = systemd_units.environment(self.tree, unit)
        arguments, line = systemd_units.command(unit, variables)
        source = line.source or unit.source
        program = arguments[0].rpartition("/")[2] if arguments else ""
        if line.undecided:
            self.problems.append(Problem(source, f"what {unit.name} starts is undecided: {line.undecided}"))
        elif program.startswith("php-fpm"):
            self.take_master(unit, arguments, variables, source)
        elif program.startswith(PHP_CGI):
            self.take_cgi(unit, arguments, variables, source)

    def take_master(
        self, unit: Unit | None, arguments: list[str], variables: dict[str, Setting[str]], source: Source
    ) -> None:
        options = parse_options(arguments[1:], FPM_OPTIONS)
        directory = self.build_directory(arguments[0], "fpm", source)
        prefix = options.get("prefix", [""])[-1]
        default = f"{prefix}/etc/php-fpm.conf" if prefix else f"{directory}/php-fpm.conf"
        file = fpm_config.full_path(options.get("fpm-config", [default])[-1], "")
        php = self.startup(arguments[0], directory, "fpm-fcgi", options, variables, source, ())
        variable = environment_lookup(variables) if unit else ini.nothing_known
        config = fpm_config.read(self.tree, file, prefix, lambda name: php_first(php, name, variable), source)
        self.masters.append((unit, config))
        inherited = self.inherited(unit, variables)
        for pool in config.pools:
            self.backends.append(self.pool_backend(unit, config, pool, php, inherited))
        self.problems += [*config.problems, *config.warnings]

    def pool_backend(
        self,
        unit: Unit | None,
        config: FpmConfig,
        pool: Section,
        php: PhpIni,
        inherited: dict[str, tuple[Unit, str]],
    ) -> Backend:
        listen = pool.get("listen").value or ""
        backend = self.backend("fpm", pool.name, pool.source, unit, php)
        if listen in inherited:
            socket, stream = inherited[listen]
            backend.addresses = [stream, *symlinks(socket), *hard_links(socket, stream)]
            backlog = socket_backlog(socket)
        else:
            backend.addresses, backlog = [listen] if listen else [], pool.get("listen.backlog")
        backend.pool = pool
        if backend.user.value in (None, "root"):
            backend.user = pool.get("user")  # a master that is not root ignores it (FPM-10)
        backend.request_terminate_timeout = pool.get("request_terminate_timeout")
        backend.request_terminate_timeout_track_finished = pool.get(
            "request_terminate_timeout_track_finished"
        )
        backend.request_slowlog_timeout = pool.get("request_slowlog_timeout")
        backend.heartbeat = config.heartbeat()
        backend.process_control_timeout = config.main.get("process_control_timeout")
        backend.log_level = config.main.get("log_level")
        backend.max_children = pool.get("pm.max_children")
        backend.max_requests = pool.get("pm.max_requests")
        backend.process_idle_timeout = pool.get("pm.process_idle_timeout")
        backend.backlog = self.effective_backlog(backlog)
        backend.problems = [*config.problems]
        return backend

    def take_cgi(
        self, unit: Unit, arguments: list[str], variables: dict[str, Setting[str]], source: Source
    ) -> None:
        options = parse_options(arguments[1:], CGI_OPTIONS)
        directory = self.build_directory(arguments[0], "cgi", source)
        here = unit.last("WorkingDirectory").value or "/"
        php = self.startup(arguments[0], directory, "cgi-fcgi", options, variables, source, (here,))
        backend = self.backend("php_cgi", unit.name, source, unit, php)
        sockets = self.sockets.get(unit.name, [])
        if options.get("bindpath"):
            backend.addresses = options["bindpath"][-1:]
            backlog = whole(variables.get("PHP_FCGI_BACKLOG"), CGI_BACKLOG)
        elif sockets and unit.last("StandardInput").value == "socket":
            streams = [
                stream.value for socket in sockets for stream in socket.all("ListenStream") if stream.value
            ]
            backend.addresses = [
                *streams,
                *(link for socket in sockets for link in symlinks(socket)),
                *(link for socket in sockets for stream in streams for link in hard_links(socket, stream)),
            ]
            backlog = socket_backlog(sockets[0])
        else:
            return  # answers one request on its standard input, and no socket
        cgi_processes(backend, variables)
        backend.backlog = self.effective_backlog(backlog)
        self.backends.append(backend)

    def wrapper(self, path: str) -> Backend:
        """What Apache starts through a wrapper, which may be the tenant's own file (SUX-01)."""
        source = Source(path, 1)
        program = self.tree.resolve(path)
        if program.rpartition("/")[2].startswith(PHP_CGI):
            found = wrappers.Wrapper(path, command=[program], source=source)
        else:
            try:
                found = wrappers.parse(php_ini.read_untrusted(self.tree, path, WRAPPER_LIMIT), path)
            except (OSError, UnsafePath, ValueError) as error:
                found = wrappers.Wrapper(path, doubt=Problem(source, f"is not read: {php_ini.why(error)}"))
        command = found.command or [PHP_CGI]
        source = found.source or source
        doubt = found.doubt
        if not command[0].rpartition("/")[2].startswith(PHP_CGI):
            doubt = doubt or Problem(source, f"what {command[0]} does is not followed")
        options = parse_options(command[1:], CGI_OPTIONS)
        directory = "" if doubt else self.build_directory(command[0], "cgi", source)
        here = path.rpartition("/")[0]
        php = (
            PhpIni()
            if doubt
            else self.startup(command[0], directory, "cgi-fcgi", options, found.environment, source, (here,))
        )
        backend = self.backend("wrapper", path, source, None, php)
        backend.doubt = backend.doubt or doubt
        names = ("PHP_FCGI_CHILDREN", "PHP_FCGI_MAX_REQUESTS")
        cgi_processes(
            backend, {name: found.variable(name) for name in names if found.variable(name) != UNSET}
        )
        backend.stop_timeout = undecided("Apache stops it, and each module in a way of its own", source)
        backend.problems += [*found.problems, *([doubt] if doubt else [])]
        return backend

    def backend(self, kind: str, name: str, source: Source, unit: Unit | None, php: PhpIni) -> Backend:
        """One with the clocks of its unit, and no limits of its own; php-cgi has none."""
        no_unit = "no unit is known that runs it"
        return Backend(
            kind=kind,
            name=name,
            source=source,
            unit=unit.name if unit else "",
            ini=php,
            tree=self.tree,
            user=unit.last("User") if unit else undecided(no_unit),
            stop_timeout=unit.stop_timeout(self.default_stop_timeout) if unit else undecided(no_unit),
            kill_mode=or_default(unit.last("KillMode"), "control-group") if unit else undecided(no_unit),
            kill_signal=or_default(unit.last("KillSignal"), "SIGTERM") if unit else undecided(no_unit),
            doubt=php.unknown,
        )

    def build_directory(self, program: str, sapi: str, source: Source) -> str:
        """Where a build of PHP has its configuration: Debian's version is in the name of the program, or in
        that of the file which the program is a link to. Empty where it cannot be told."""
        if "/" not in program:
            program = next(
                (path for path in (f"/usr/sbin/{program}", f"/usr/bin/{program}") if self.tree.is_file(path)),
                program,
            )
        for name in (program, self.tree.resolve(program)):
            version = re.search(r"(\d+\.\d+)\Z", name)
            if version:
                return f"/etc/php/{version.group(1)}/{sapi}"
        installed = [
            name for name in self.tree.names("/etc/php") if self.tree.is_directory(f"/etc/php/{name}/{sapi}")
        ]
        if len(installed) == 1:
            return f"/etc/php/{installed[0]}/{sapi}"
        self.problems.append(Problem(source, f"which version of PHP {program} is cannot be told"))
        return ""

    def startup(
        self,
        program: str,
        directory: str,
        sapi: str,
        options: dict[str, list[str]],
        variables: dict[str, Setting[str]],
        source: Source,
        search: tuple[str, ...],
    ) -> PhpIni:
        """The ini files of a process; those of processes that start alike are read once."""
        uncertain = [
            name for name in ("PHPRC", "PHP_INI_SCAN_DIR") if name in variables and variables[name].undecided
        ]
        if not directory or uncertain:
            reason = (
                f"{uncertain[0]} is undecided"
                if uncertain
                else f"which php.ini {program} reads cannot be told"
            )
            return PhpIni(unknown=Problem(source, reason))
        scanned = variables.get("PHP_INI_SCAN_DIR")
        startup = Startup(
            directory,
            sapi,
            (*search, program.rpartition("/")[0] or "/usr/bin"),
            phprc=value_of(variables.get("PHPRC")),
            scan_directory=scanned.value if scanned else None,
            config=options.get("php-ini", [""])[-1],
            defines=tuple(options.get("define", ())),
            defined_at=source if "define" in options else None,
            no_files="no-php-ini" in options,
        )
        variable = environment_lookup(variables)
        for asked, php in self.inis.get(startup, []):
            if all(variable(name) == value for name, value in asked.items()):
                return php
        asked = {}

        def noting(name: str) -> str | None:
            asked[name] = variable(name)
            return asked[name]

        php = php_ini.read(self.tree, startup, noting)
        self.problems += php.problems
        self.inis.setdefault(startup, []).append((asked, php))
        return php

    def inherited(self, unit: Unit | None, variables: dict[str, Setting[str]]) -> dict[str, tuple[Unit, str]]:
        """The sockets that systemd passes to a master: FPM_SOCKETS says under which names they are known."""
        if unit is None:
            return {}
        streams = [
            (socket, stream.value)
            for socket in self.sockets.get(unit.name, [])
            for stream in socket.all("ListenStream")
            if stream.value
        ]
        found = {}
        for word in value_of(variables.get("FPM_SOCKETS")).split(","):
            name, _equals, descriptor = word.rpartition("=")
            if descriptor.isdigit() and 0 <= int(descriptor) - FIRST_DESCRIPTOR < len(streams):
                found[name] = streams[int(descriptor) - FIRST_DESCRIPTOR]
        return found

    def effective_backlog(self, backlog: Setting[int]) -> Setting[int]:
        """How many really wait: no more than the kernel allows; a negative number is all of that (CAP-03)."""
        if backlog.undecided or self.somaxconn.value is None:
            return backlog if backlog.undecided else self.somaxconn
        limit = self.somaxconn.value
        if backlog.value is None or not 0 <= backlog.value <= limit:
            return self.somaxconn
        return backlog


UNSET: Setting[str] = Setting(None, default_of="the wrapper")


def php_first(php: PhpIni, name: str, variable: ini.Variable) -> str | None:
    """`${NAME}` in FPM's files is a setting of PHP before it is a variable."""
    setting = php.values.get(name)
    return setting.value if setting else None if php.unknown else variable(name)


def environment_lookup(variables: dict[str, Setting[str]]) -> ini.Variable:
    """What a process finds of a variable: empty where nobody sets it."""

    def variable(name: str) -> str | None:
        if name in variables:
            return variables[name].value
        return None if name in SET_BY_SYSTEMD else ""

    return variable


def cgi_processes(backend: Backend, variables: dict[str, Setting[str]]) -> None:
    """How many processes of php-cgi there are, and after how many requests each leaves."""
    children = whole(variables.get("PHP_FCGI_CHILDREN"), 0)
    backend.children = children
    backend.max_children = (
        children if children.undecided or children.value else Setting(1, default_of=PHP_CGI)
    )
    backend.max_requests = whole(variables.get("PHP_FCGI_MAX_REQUESTS"), CGI_REQUESTS)


def whole(setting: Setting[str] | None, default: int) -> Setting[int]:
    if setting is None or (setting.value is None and not setting.undecided):
        return Setting(default, default_of=PHP_CGI)
    value = None if setting.value is None else atoi(setting.value)
    return Setting(value, setting.source, undecided=setting.undecided)


def or_default(setting: Setting[str], default: str) -> Setting[str]:
    decided = setting.value is not None or setting.undecided
    return setting if decided else Setting(default, default_of=systemd_units.PROGRAM)


def symlinks(socket: Unit) -> list[str]:
    return [word for setting in socket.all("Symlinks") for word in systemd_units.words(setting.value or "")]


def hard_links(socket: Unit, stream: str) -> list[str]:
    """Further names that a socket gets by `ln` as soon as it listens."""
    found = []
    for setting in socket.all("ExecStartPost"):
        command = systemd_units.words(setting.value or "")
        paths = [word for word in command[1:] if not word.startswith("-")]
        hard = command[:1] != [] and command[0].rpartition("/")[2] == "ln" and "-s" not in command
        if hard and paths[:1] == [stream]:
            found += paths[1:2]
    return found


def socket_backlog(socket: Unit) -> Setting[int]:
    """What systemd asks for when it makes the socket; FPM changes nothing of it (FPM-05)."""
    setting = socket.last("Backlog")
    if setting.undecided:
        return undecided(setting.undecided, setting.source)
    if setting.value is None or not setting.value.isdigit():
        return Setting(None, default_of=systemd_units.PROGRAM)
    return Setting(int(setting.value), setting.source)


def somaxconn(tree: Tree) -> Setting[int]:
    path = "/proc/sys/net/core/somaxconn"
    try:
        return Setting(int(tree.read(path)), Source(path, 1))
    except (OSError, ValueError):
        return undecided(f"{path} cannot be read")


def tmpfiles_links(tree: Tree) -> dict[str, str]:
    """The links that are made at boot. Of files of one name the first counts, and of lines for one path."""
    files: dict[str, str] = {}
    for directory in TMPFILES:
        for name in tree.names(directory):
            if name.endswith(".conf"):
                files.setdefault(name, f"{directory}/{name}")
    links: dict[str, str] = {}
    for _name, path in sorted(files.items()):
        try:
            lines = tree.read(path).split("\n") if tree.is_file(path) else []
        except OSError:
            continue
        for line in lines:
            words = systemd_units.words(line) if line[:1] == "L" else []
            if len(words) > 6 and words[0].rstrip("+?!=^-") == "L":
                links.setdefault(words[1], words[6])
    return links


def parse_options(arguments: list[str], with_value: dict[str, str]) -> dict[str, list[str]]:
    """A command line's options by their long names. What is no option is left out."""
    found: dict[str, list[str]] = {}
    waiting = list(arguments)
    while waiting:
        argument = waiting.pop(0)
        if argument == "--":
            break
        if argument.startswith("--"):
            name, equals, value = argument[2:].partition("=")
            if name in with_value.values() and not equals:
                value = waiting.pop(0) if waiting else ""
            found.setdefault(name, []).append(value)
        elif argument.startswith("-"):
            letter, value = argument[1:2], argument[2:].lstrip("=")
            if letter in with_value:
                value = value or (waiting.pop(0) if waiting else "")
                found.setdefault(with_value[letter], []).append(value)
            elif "n" in argument[1:]:
                found.setdefault("no-php-ini", []).append("")
    return found


def split_address(address: str) -> tuple[str, str, str]:
    """(unix, path, "") or (tcp, host, port) of an address as FPM, systemd or Apache spell it."""
    address = re.sub(r"\A(?:fcgi://|unix:)", "", address)
    if address.startswith("/") or (":" not in address and not address.isdigit()):
        return "unix", address, ""
    host, _colon, port = address.rstrip("/").rpartition(":")
    return "tcp", host.lower(), port
