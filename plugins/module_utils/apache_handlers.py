# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What serves `.php` in each virtual host, and within which limits: the meaning of Apache's directives.

Sections are merged as Apache merges them: `<Directory>` from the shortest path on, then `<Files>`,
`<Location>` and `<If>`, each of the main server before that of the virtual host. Where paths or names divide
a host, each part has its handler, with the conditions under which it holds. What cannot be told is undecided,
with the reason. `.htaccess` is not looked at; `Host.overrides` says what it might change.
"""

from __future__ import annotations

import bisect
import functools
import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.webhosting.fastcgi.plugins.module_utils.apache_config import (
    Configuration,
    Directive,
    Taken,
    effective,
)
from ansible_collections.webhosting.fastcgi.plugins.module_utils.apache_workers import (
    Worker,
    Workers,
    de_socketed,
    is_balancer,
    parts,
)
from ansible_collections.webhosting.fastcgi.plugins.module_utils.source import Source

PHP_TYPES = re.compile(r"application/x-httpd-(?:fast)?php[0-9]*|php[0-9]*-script", re.IGNORECASE)
EXISTENCE = re.compile(r"""-f\s+(["']?)%\{(?:REQUEST|SCRIPT)_FILENAME\}\1""")

# seconds, save for the numbers of processes, requests and bytes
FCGID_DEFAULTS: dict[str, int] = {
    "fcgidbusytimeout": 300,
    "fcgidbusyscaninterval": 120,
    "fcgidconnecttimeout": 3,
    "fcgididletimeout": 300,
    "fcgidiotimeout": 40,
    "fcgidmaxprocesses": 1000,
    "fcgidmaxprocessesperclass": 100,
    "fcgidmaxrequestlen": 131072,
    "fcgidmaxrequestsperprocess": 0,
    "fcgidminprocessesperclass": 3,
    "fcgidprocesslifetime": 3600,
}
# names of former versions, which still hold
OLD_NAMES = {
    "busyscaninterval": "fcgidbusyscaninterval",
    "busytimeout": "fcgidbusytimeout",
    "defaultinitenv": "fcgidinitialenv",
    "defaultmaxclassprocesscount": "fcgidmaxprocessesperclass",
    "defaultminclassprocesscount": "fcgidminprocessesperclass",
    "fcgiwrapper": "fcgidwrapper",
    "idletimeout": "fcgididletimeout",
    "ipccommtimeout": "fcgidiotimeout",
    "ipcconnecttimeout": "fcgidconnecttimeout",
    "maxclients": "maxrequestworkers",
    "maxprocesscount": "fcgidmaxprocesses",
    "maxrequestlen": "fcgidmaxrequestlen",
    "maxrequestsperprocess": "fcgidmaxrequestsperprocess",
    "processlifetime": "fcgidprocesslifetime",
}
# FcgidCmdOptions takes the place of these, one and all
FCGID_OPTIONS = {
    "busytimeout": "fcgidbusytimeout",
    "connecttimeout": "fcgidconnecttimeout",
    "idletimeout": "fcgididletimeout",
    "iotimeout": "fcgidiotimeout",
    "maxprocesses": "fcgidmaxprocessesperclass",
    "maxprocesslifetime": "fcgidprocesslifetime",
    "maxrequestsperprocess": "fcgidmaxrequestsperprocess",
    "minprocesses": "fcgidminprocessesperclass",
}
FASTCGI_DEFAULTS: dict[str, dict[str, int]] = {
    "static": {
        "-idle-timeout": 30,
        "-appconntimeout": 0,
        "-processes": 1,
        "-listen-queue-depth": 100,
        "-restart-delay": 5,
    },
    "external": {"-idle-timeout": 30, "-appconntimeout": 0},
    "dynamic": {
        "-idle-timeout": 30,
        "-appconntimeout": 0,
        "-maxprocesses": 50,
        "-maxclassprocesses": 10,
        "-minprocesses": 5,
        "-killinterval": 300,
    },
}
# options of mod_fastcgi that no word follows
FASTCGI_FLAGS = ("-flush", "-nph", "-autoupdate")
MPM_DEFAULTS = {
    "event": {"maxrequestworkers": 400, "serverlimit": 16, "threadsperchild": 25},
    "worker": {"maxrequestworkers": 400, "serverlimit": 16, "threadsperchild": 25},
    "prefork": {"maxrequestworkers": 256, "serverlimit": 256, "threadsperchild": 1},
}


@dataclass(frozen=True)
class Value:
    """A setting. One without a source is the built-in default; one that is undecided has the reason.

    :param name: what the files call it, where several names may set it.
    """

    value: Any
    source: Source | None = None
    undecided: str = ""
    name: str = ""


Limits = dict[str, Value]


@dataclass
class Backend:
    """What a handler hands requests to.

    :param address: the socket's path, or host and port, or the program that is run.
    :param asked: the address that the handler names, where the worker leads elsewhere (SEC-05).
    :param path: what follows the host in the URL of a proxy: a directory, or a page of FPM's own.
    :param worker: the proxy's worker whose limits hold; none where it is the generic one (TMO-12).
    """

    address: Value
    asked: str = ""
    path: str = ""
    worker: Value | None = None
    limits: Limits = field(default_factory=dict)


@dataclass
class Handler:
    """What serves `.php` under some conditions.

    :param engine: proxy_fcgi, mod_fastcgi, mod_fastcgi_handler, fcgid, mod_php; `none` where PHP is switched
        off; `other` where something else answers; `undecided`.
    :param form: of mod_fastcgi: static, dynamic, external.
    :param conditions: the sections around it that do not hold for each `.php` in the document root.
    """

    engine: str
    source: Source
    text: str
    conditions: list[str]
    form: str = ""
    backends: list[Backend] = field(default_factory=list)
    undecided: str = ""


@dataclass
class Host:
    """A virtual host, or the main server, which has no source.

    :param lost: its workers of FastCGI, and the main server's, that no handler's address belongs to (TMO-12).
    """

    source: Source | None
    server_name: Value
    aliases: list[Value]
    addresses: list[str]
    document_root: Value
    suexec: Value
    assign_user: Value
    overrides: list[tuple[str, Value]]
    handlers: list[Handler]
    undecided: str = ""
    lost: list[Worker] = field(default_factory=list)


@dataclass
class Analysis:
    hosts: list[Host]
    mpm: str
    mpm_limits: Limits


# ---------------------------------------------------------------- the servers' own directives


@dataclass(frozen=True)
class _Section:
    """A section around a directive. `kind` is directory, files, location or if."""

    kind: str
    pattern: str
    regex: bool
    title: str


@dataclass
class _Rule:
    """A directive that stands in sections, and its place in Apache's order of merging."""

    directive: Directive
    sections: tuple[_Section, ...]
    rank: int
    order: int

    @property
    def key(self) -> tuple[Any, ...]:
        """Sorts rules as Apache merges them: what comes later wins."""
        return (*_phases(self.sections), self.rank, self.order)


_KINDS = {
    "<directory": "directory",
    "<directorymatch": "directory",
    "<files": "files",
    "<filesmatch": "files",
    "<location": "location",
    "<locationmatch": "location",
    "<if": "if",
    "<elseif": "if",
    "<else": "if",
}
_PROXY_PASS = ("proxypass", "proxypassmatch")
_PHASE = {"files": 3, "location": 4, "if": 5}
_RULES = frozenset(
    (
        *("sethandler", "addhandler", "removehandler", "forcetype", "addtype", "action", "fcgidwrapper"),
        *("proxypass", "proxypassmatch", "allowoverride", "allowoverridelist", "rewriterule"),
    )
)


def _phases(sections: tuple[_Section, ...]) -> tuple[int, ...]:
    """When the innermost of some sections is merged, and then when those around it are."""
    if not sections:
        return (0, 0)
    last = sections[-1]
    if last.kind != "directory":
        return (_PHASE[last.kind], *_phases(sections[:-1]))
    if last.regex:
        return (2, 0)
    return (1, last.pattern.rstrip("/").count("/"))


class _Server:
    """The directives of the main server or of a virtual host, sorted by what they are about."""

    def __init__(self, rank: int, base: _Server | None) -> None:
        self.rank = rank
        self.base = base
        self.order = 0
        self.settings: dict[str, list[Directive]] = {}
        self.rules: dict[str, list[_Rule]] = {}
        self.hosts: list[Directive] = []
        self.workers: Workers = Workers(base.workers if base else None)

    def collect(self, directives: Iterable[Directive], sections: tuple[_Section, ...] = ()) -> None:
        for directive in directives:
            key = OLD_NAMES.get(directive.key, directive.key)
            if key in _KINDS:
                self.collect(effective(directive.children), (*sections, _section(directive)))
            elif key in _RULES:
                self.order += 1
                self.rules.setdefault(key, []).append(_Rule(directive, sections, self.rank, self.order))
                if key in _PROXY_PASS:
                    self.proxy_pass(directive, sections)
            elif key == "<virtualhost":
                self.hosts.append(directive)
            elif key in ("<proxy", "<proxymatch"):
                self.proxy_section(directive)
            elif key == "balancermember":
                self.balancer_member(directive, directive.args)
            elif key == "proxyset":
                args = directive.args
                self.proxy_set(directive, args[0] if args else "", args[1:], directive.source)
            elif not sections:
                self.settings.setdefault(key, []).append(directive)

    # ------------------------------------------------------------ single values

    def last(self, key: str) -> Directive | None:
        found = self.settings.get(key)
        if found:
            return found[-1]
        return self.base.last(key) if self.base else None

    def all(self, key: str) -> list[Directive]:
        return (self.base.all(key) if self.base else []) + self.settings.get(key, [])

    def number(self, key: str, default: int | None) -> Value:
        """The number that a directive sets, of the virtual host before that of the main server."""
        return _number(self.last(key), default)

    # ------------------------------------------------------------ workers

    def proxy_section(self, directive: Directive) -> None:
        args = directive.args
        if not args:
            return
        name = args[0][6:] if args[0][:6].lower() == "proxy:" else args[0]
        for child in effective(directive.children):
            if child.key == "proxyset":
                self.proxy_set(child, name, child.args, directive.source)
            elif child.key == "balancermember":
                self.balancer_member(child, [name, *child.args])
        if args[1:]:
            self.proxy_set(directive, name, args[1:], directive.source)

    def proxy_set(self, directive: Directive, name: str, parameters: list[str], named: Source) -> None:
        if not name or is_balancer(name):
            return
        worker, _ = self.workers.define(name, named)
        if worker:
            self.set_parameters(worker, parameters, directive)

    def proxy_pass(self, directive: Directive, sections: tuple[_Section, ...]) -> None:
        args = [word for word in directive.args if word != "~"]
        target = args[0 if sections else 1 :]
        if not target or target[0] == "!":
            return
        if is_balancer(target[0]):
            self.workers.define_balancer(target[0], directive.source)
            return
        worker, new = self.workers.define(target[0], directive.source)
        if worker and new:
            self.copy_timeout(worker)
            self.set_parameters(worker, target[1:], directive)

    def balancer_member(self, directive: Directive, args: list[str]) -> None:
        """A member, behind the name of its balancer."""
        plain = [word for word in args if "=" not in word]
        if len(plain) < 2 or not is_balancer(plain[0]):
            return
        socket, address = de_socketed(plain[1])
        worker = Worker(address, socket, directive.source)
        self.copy_timeout(worker)
        self.set_parameters(worker, [word for word in args if "=" in word], directive)
        self.workers.define_balancer(plain[0], directive.source).members.append(worker)

    def copy_timeout(self, worker: Worker) -> None:
        """A worker of ProxyPass keeps the ProxyTimeout that its server has got by then."""
        found = self.settings.get("proxytimeout")
        if found:
            worker.parameters["timeout"] = (found[-1].text, found[-1].source)

    def set_parameters(self, worker: Worker, parameters: list[str], directive: Directive) -> None:
        if directive.taken is Taken.UNDECIDED:
            worker.undecided = worker.undecided or directive.reason
        for word in parameters:
            name, sign, value = word.partition("=")
            if sign:
                worker.parameters[name.lower()] = (value, directive.source)


def _section(directive: Directive) -> _Section:
    kind, args = _KINDS[directive.key], directive.args
    regex = directive.key.endswith("match")
    if args and args[0] == "~" and not regex:
        regex, args = True, args[1:]
    pattern = args[0] if args else ""
    if kind == "directory" and not regex:
        pattern = posixpath.normpath("/" + pattern).replace("//", "/")
    return _Section(kind, pattern, regex, f"{directive.name} {directive.text}".rstrip())


def _number(directive: Directive | None, default: int | None) -> Value:
    """A number at the beginning of a directive's text, as C's atoi() finds it."""
    if directive is None:
        return Value(default)
    if directive.taken is Taken.UNDECIDED:
        return Value(None, directive.source, directive.reason)
    words = directive.args
    return _atoi(words[0] if words else "", directive.source)


def _atoi(text: str, source: Source) -> Value:
    match = re.match(r"\s*([+-]?[0-9]{1,18})", text, re.ASCII)
    return Value(int(match[1]) if match else 0, source)


def _word(directive: Directive | None, index: int = 0) -> Value:
    if directive is None:
        return Value(None)
    reason = _reason(directive)
    words = directive.args
    return Value(words[index] if index < len(words) else None, directive.source, reason)


# ---------------------------------------------------------------- what a section means for PHP

_SAMPLES = ("index.php", "x.php")
_SUFFIX = re.compile(r"\\\.\(?(?:\?:)?([a-z0-9|]+)\)?\$$", re.IGNORECASE)
_PLAIN_SUFFIX = re.compile(r"\.([a-z0-9]+)$", re.IGNORECASE)


def _fit(section: _Section, root: str) -> tuple[str, str]:
    """Of which `.php` below a document root a section holds: all, some, none; and why it is undecided."""
    if section.kind == "directory":
        return _fit_path(section, root), ""
    if section.kind == "files":
        return _fit_name(section)
    if section.kind == "location":
        return _fit_location(section)
    if EXISTENCE.fullmatch(section.pattern.strip()) and section.title.lower().startswith("<if "):
        return "all", ""
    return "some", f"{section.title} is not evaluated here"


def _fit_path(section: _Section, root: str) -> str:
    if section.regex:
        matched = _search(section.pattern, root.rstrip("/") + "/")
        return "all" if matched and not re.search(r"[^/]\$$", section.pattern) else "some"
    if re.search(r"[*?\[]", section.pattern):
        return "all" if _glob(section.pattern, root) else "some"
    if not root:
        return "some"
    if section.pattern == "/" or (root + "/").startswith(section.pattern + "/"):
        return "all"
    return "some" if section.pattern.startswith(root.rstrip("/") + "/") else "none"


def _glob(pattern: str, root: str) -> bool:
    """Whether a pattern for directories matches a document root or a directory above it."""
    names, wanted = root.strip("/").split("/"), pattern.strip("/").split("/")
    if len(wanted) > len(names):
        return False
    return all(re.fullmatch(_expression(glob), name) for glob, name in zip(wanted, names))


def _expression(glob: str) -> str:
    return "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in glob)


def _fit_name(section: _Section) -> tuple[str, str]:
    pattern = section.pattern
    if section.regex:
        matched = [_search(pattern, name) for name in _SAMPLES]
        if None in matched:
            return "some", f"{section.title} cannot be read as a regular expression here"
    else:
        matched = [bool(re.fullmatch(_expression(pattern), name)) for name in _SAMPLES]
    if all(matched):
        return "all", ""
    # A name with another suffix is none of PHP's; any other may be one script among many.
    suffix = (_SUFFIX if section.regex else _PLAIN_SUFFIX).search(pattern)
    return ("none" if suffix and "php" not in suffix[1].lower().split("|") else "some"), ""


def _fit_location(section: _Section) -> tuple[str, str]:
    pattern = section.pattern
    if section.regex:
        matched = [_search(pattern, f"{path}{name}") for path in ("/", "/a/b/") for name in _SAMPLES]
        if None in matched:
            return "some", f"{section.title} cannot be read as a regular expression here"
        return ("all" if all(matched) else "some"), ""
    return ("all" if pattern in ("/", "") else "some"), ""


@functools.lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        return None


def _search(pattern: str, text: str) -> bool | None:
    """Whether a regular expression finds something; nothing where Python cannot read it."""
    expression = _compiled(pattern)
    return None if expression is None else bool(expression.search(text))


def _holds(section: _Section, url: str, file: str) -> bool | None:
    """Whether a section holds for one file under one URL; nothing where that is not known."""
    if section.kind == "if":
        return None
    if section.kind == "files":
        text = posixpath.basename(file)
        return _search(section.pattern, text) if section.regex else section.pattern == text
    text = url if section.kind == "location" else file
    if section.regex:
        return _search(section.pattern, text)
    return (text + "/").startswith(section.pattern.rstrip("/") + "/")


class _Index:
    """Rules of the main server, so that a virtual host need not look at those for other directories."""

    def __init__(self, rules: list[_Rule]) -> None:
        self.everywhere: list[_Rule] = []
        self.by_path: dict[str, list[_Rule]] = {}
        for rule in rules:
            path = next((s.pattern for s in rule.sections if s.kind == "directory" and not s.regex), "")
            if not path or re.search(r"[*?\[]", path):
                self.everywhere.append(rule)
            else:
                self.by_path.setdefault(path, []).append(rule)
        self.paths = sorted(self.by_path)

    def near(self, root: str) -> list[_Rule]:
        """The rules for a document root, for the directories above it, and for those below."""
        found = list(self.everywhere)
        if not root:
            return found + [rule for rules in self.by_path.values() for rule in rules]
        path = root
        while True:
            found += self.by_path.get(path, ())
            if path == "/":
                break
            path = posixpath.dirname(path)
        below = root.rstrip("/") + "/"
        for at in range(bisect.bisect_left(self.paths, below), len(self.paths)):
            if not self.paths[at].startswith(below):
                break
            if self.paths[at] != root:
                found += self.by_path[self.paths[at]]
        return found


# ---------------------------------------------------------------- the analysis


def analyse(configuration: Configuration) -> Analysis:
    """What every server of a configuration does with `.php`; the main server comes first."""
    return _Analyst(configuration).analysis()


@dataclass
class _Candidate:
    """A rule that holds for `.php`, under some conditions."""

    rule: _Rule
    conditions: list[str]
    undecided: str

    @property
    def always(self) -> bool:
        return not self.conditions and not self.undecided

    @property
    def off(self) -> bool:
        """Whether it takes back what others of its kind have set."""
        words = self.rule.directive.args
        if self.rule.directive.key in _PROXY_PASS:
            return "!" in words[: 1 if self.rule.sections else 2]
        return self.rule.directive.key == "sethandler" and [word.lower() for word in words[:1]] == ["none"]

    def within(self, other: _Candidate | None) -> _Candidate:
        """The same under the conditions of another as well."""
        if other is None:
            return self
        return _Candidate(self.rule, other.conditions + self.conditions, other.undecided or self.undecided)


def _visible(candidates: list[_Candidate]) -> list[_Candidate]:
    """Of candidates in the order of merging: the last that always holds, and those after it."""
    for at in range(len(candidates) - 1, -1, -1):
        if candidates[at].always:
            return candidates[at:]
    return candidates


class _Analyst:
    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.main = _Server(0, None)
        self.main.collect(configuration.effective())
        self.index = {key: _Index(rules) for key, rules in self.main.rules.items()}
        self.servers: list[tuple[Directive | None, _Server]] = [(None, self.main)]
        for directive in self.main.hosts:
            server = _Server(1, self.main)
            server.collect(effective(directive.children))
            self.servers.append((directive, server))
        self.programs = self.fastcgi_programs()

    def analysis(self) -> Analysis:
        hosts = [self.host(directive, server) for directive, server in self.servers]
        mpm = next((name for name in MPM_DEFAULTS if f"{name}.c" in self.configuration.modules), "")
        limits = {key: self.main.number(key, value) for key, value in MPM_DEFAULTS.get(mpm, {}).items()}
        for host, (_, server) in zip(hosts, self.servers):  # only now is known what all of them use
            own = {**self.main.workers.by_name, **server.workers.by_name}.values()
            host.lost = [each for each in own if not each.found and each.name.startswith("fcgi://")]
        return Analysis(hosts, mpm, limits)

    def host(self, directive: Directive | None, server: _Server) -> Host:
        root = _word(server.last("documentroot"))
        path = self.absolute(str(root.value)) if root.value and not root.undecided else ""
        aliases = [each for each in server.settings.get("serveralias", []) if server.base]
        return Host(
            source=directive.source if directive else None,
            server_name=_word(_only(server, "servername")),
            aliases=[Value(word, each.source) for each in aliases for word in each.args],
            addresses=directive.args if directive else [],
            document_root=Value(path or root.value, root.source, root.undecided),
            suexec=_pair(_only(server, "suexecusergroup")),
            assign_user=_pair(server.last("assignuserid")),
            overrides=self.overrides(server, path),
            handlers=self.handlers(server, path),
            undecided=directive.reason if directive and directive.taken is Taken.UNDECIDED else "",
        )

    def absolute(self, path: str) -> str:
        """A path as Apache takes it: relative to ServerRoot, without a slash at its end."""
        return "/" + posixpath.normpath(posixpath.join("/", self.configuration.server_root, path)).lstrip("/")

    # ------------------------------------------------------------ rules that hold

    def candidates(self, key: str, server: _Server, root: str) -> list[_Candidate]:
        """The rules of one kind that hold for `.php` below a document root, in the order of merging."""
        rules = self.index[key].near(root) if key in self.index else []
        if server is not self.main:
            rules = rules + server.rules.get(key, [])
        rules = sorted(rules, key=lambda rule: rule.key)
        found = (self.candidate(rule, rule.sections, root) for rule in rules)
        return [candidate for candidate in found if candidate]

    def candidate(self, rule: _Rule, sections: tuple[_Section, ...], root: str) -> _Candidate | None:
        undecided = rule.directive.reason if rule.directive.taken is Taken.UNDECIDED else ""
        conditions = []
        for section in sections:
            fit, why = _fit(section, root)
            if fit == "none":
                return None
            undecided = undecided or why
            if fit == "some":
                conditions.append(section.title)
        return _Candidate(rule, conditions, undecided)

    def overrides(self, server: _Server, root: str) -> list[tuple[str, Value]]:
        """What `.htaccess` may change, where: AllowOverride and AllowOverrideList as they stand."""
        found = []
        for key in ("allowoverride", "allowoverridelist"):
            for candidate in _visible(self.candidates(key, server, root)):
                directive = candidate.rule.directive
                where = candidate.conditions[-1] if candidate.conditions else ""
                text = f"{directive.name} {directive.text}"
                found.append((where, Value(text, directive.source, candidate.undecided)))
        return found

    def handlers(self, server: _Server, root: str) -> list[Handler]:
        """All handlers of `.php`: of those whose conditions hold, the first one serves."""
        groups = [
            self.rewritten(server, root),
            self.proxied(server, root),
            self.candidates("sethandler", server, root),
            self.named_for_php(("addhandler", "removehandler"), server, root),
            self.named_for_php(("forcetype", "addtype"), server, root),
        ]
        return self.decided([_visible(group) for group in groups], None, server, root)

    def decided(
        self, groups: list[list[_Candidate]], off: _Candidate | None, server: _Server, root: str
    ) -> list[Handler]:
        """The handlers that the first group leads to, and where it leaves something open, the others.

        :param off: what switched the groups before these off, under its conditions.
        """
        if not groups:
            return [self.handler(off, server, root)] if off else []
        found = []
        for candidate in reversed(groups[0]):
            part = candidate.within(off)
            if candidate.off:
                found += self.decided(groups[1:], part, server, root)
            else:
                found.append(self.handler(part, server, root))
        if not (groups[0] and groups[0][0].always):
            found += self.decided(groups[1:], off, server, root)
        return found

    def rewritten(self, server: _Server, root: str) -> list[_Candidate]:
        """Each RewriteRule that sends requests to a proxy or names a handler; when it does is undecided."""
        found = []
        for candidate in self.candidates("rewriterule", server, root):
            flags = "".join(candidate.rule.directive.args[2:3]).strip("[]").lower().split(",")
            if any(flag.split("=")[0].strip() in ("p", "proxy", "h", "handler") for flag in flags):
                title = f"RewriteRule {candidate.rule.directive.text}"
                why = candidate.undecided or "what RewriteRule does with a request is not evaluated here"
                found.append(_Candidate(candidate.rule, [*candidate.conditions, title], why))
        return found

    def proxied(self, server: _Server, root: str) -> list[_Candidate]:
        """ProxyPass and ProxyPassMatch that take `.php`, the winner last: the first in the files is."""
        found = []
        servers = [self.main] if server is self.main else [self.main, server]
        for rule in [rule for each in servers for key in _PROXY_PASS for rule in each.rules.get(key, [])]:
            sections, args = rule.sections, rule.directive.args
            order: tuple[int, ...] = (1, *rule.key)
            if not sections:
                regex = rule.directive.key == "proxypassmatch" or args[:1] == ["~"]
                pattern = "".join(args[1:2] if args[:1] == ["~"] else args[:1])
                sections = (_Section("location", pattern, regex, f"{rule.directive.name} {pattern}"),)
                order = (0, -rule.rank, -rule.order)
            candidate = self.candidate(rule, sections, root)
            if candidate:
                found.append((order, candidate))
        return [candidate for _, candidate in sorted(found, key=lambda pair: pair[0])]

    def named_for_php(self, keys: tuple[str, ...], server: _Server, root: str) -> list[_Candidate]:
        """Rules that go by a file's suffix, or set its type, where they speak of PHP."""
        found = []
        for key in keys:
            for candidate in self.candidates(key, server, root):
                args = [word.lower().lstrip(".") for word in candidate.rule.directive.args]
                suffixes = args if key == "removehandler" else args[1:]
                if "php" in suffixes or (key == "forcetype" and args and PHP_TYPES.fullmatch(args[0])):
                    found.append(candidate)
        # A type that is forced beats one that goes by the suffix.
        return sorted(found, key=lambda each: (each.rule.directive.key == "forcetype", each.rule.key))

    # ------------------------------------------------------------ engines

    def handler(self, candidate: _Candidate, server: _Server, root: str) -> Handler:
        rule = candidate.rule
        directive = rule.directive
        args = directive.args
        handler = Handler("other", directive.source, args[0] if args else "", candidate.conditions)
        handler.undecided = candidate.undecided
        if directive.key in _PROXY_PASS:
            plain = args if rule.sections else [word for word in args if word != "~"][1:]
            handler.text = plain[0] if plain else ""
            if handler.text == "!":
                handler.engine = "none"
            else:
                self.proxy(handler, handler.text, "", server)
        elif directive.key == "rewriterule":
            handler.engine, handler.text = "undecided", directive.text
        elif directive.key == "removehandler":
            handler.engine, handler.text = "none", "none"
        else:
            self.by_name(handler, server, root)
        return handler

    def by_name(self, handler: Handler, server: _Server, root: str) -> None:
        """The engine behind a handler's name, or a type that stands for one."""
        name = handler.text
        lower = name.lower()
        action = self.action(name, server, root)
        if "%{" in name:
            self.undecide(handler, f"{name} is an expression, which is not evaluated here")
        elif lower.startswith("proxy:"):
            self.proxy(handler, name[6:], root, server)
        elif lower.startswith("fcgi:"):
            handler.engine = "mod_fastcgi_handler"
            handler.backends = [Backend(Value(name[5:], handler.source))]
        elif action:
            self.through_action(handler, action, server, root)
        elif lower == "fcgid-script":
            self.fcgid(handler, server, root)
        elif lower == "fastcgi-script":
            self.fastcgi(handler, "dynamic", None)
        elif PHP_TYPES.fullmatch(name):
            loaded = any(re.fullmatch(r"php[0-9]*_module", module) for module in self.configuration.modules)
            handler.engine = "mod_php" if loaded else "none"
        elif lower in ("none", "default-handler"):
            handler.engine = "none"

    def undecide(self, handler: Handler, reason: str) -> None:
        handler.engine = "undecided"
        handler.undecided = handler.undecided or reason

    def action(self, name: str, server: _Server, root: str) -> Directive | None:
        """The Action for a handler's name."""
        found = None
        for candidate in self.candidates("action", server, root):
            args = candidate.rule.directive.args
            if len(args) >= 2 and args[0].lower() == name.lower():
                found = candidate.rule.directive
        return found

    # ------------------------------------------------------------ proxy_fcgi

    def proxy(self, handler: Handler, url: str, root: str, server: _Server) -> None:
        """Requests go to a URL, with a file's path behind it where a handler names the URL."""
        if is_balancer(url):
            balancer = server.workers.balancer(url)
            if not balancer or not balancer.members:
                self.undecide(handler, f"{url} has no members")
                return
            if any(member.name.lower().startswith("fcgi://") for member in balancer.members):
                handler.engine = "proxy_fcgi"
            for member in balancer.members:
                handler.backends.append(self.backend(member, member.name, member.socket, server))
            return
        socket, address = de_socketed(url)
        if not address.lower().startswith("fcgi://"):
            return
        handler.engine = "proxy_fcgi"
        # What the request puts in place of $1 is not known, and so neither is what stands behind it.
        worker = server.workers.find(address + root + "/" if root else address)
        if "$" in address.split("//", 1)[1].split("/", 1)[0]:
            handler.undecided = handler.undecided or f"the host in {address} depends on the request"
        handler.backends = [self.backend(worker, address, socket, server)]

    def backend(self, worker: Worker | None, address: str, socket: str, server: _Server) -> Backend:
        used = (worker and worker.socket) or socket
        split = parts(address)
        host = split[0].split("//", 1)[1] if split else address
        port = "" if re.search(r":[0-9]+$", host) else ":8000"
        backend = Backend(
            Value(used or host + port, worker.source if worker and worker.socket else None),
            path=split[1] if split else "",
        )
        if worker and worker.socket and worker.socket != socket:
            backend.asked = socket or host + port
        if worker:
            backend.worker = Value(worker.name, worker.source, worker.undecided)
        backend.limits = self.proxy_limits(worker, server)
        return backend

    def proxy_limits(self, worker: Worker | None, server: _Server) -> Limits:
        given = worker.parameters if worker else {}
        undecided = worker.undecided if worker else ""
        limits = {"timeout": self.proxy_timeout(server)}
        for key in ("timeout", "connectiontimeout", "max", "ttl", "retry"):
            if key in given:
                text, source = given[key]
                limits[key] = Value(_atoi(text, source).value, source, undecided, f"worker {key}")
        limits["enablereuse"] = Value(False)  # mod_proxy_fcgi's own default
        for key, on in (("enablereuse", True), ("disablereuse", False)):
            if key in given:
                text, source = given[key]
                limits["enablereuse"] = Value((text.lower() == "on") is on, source, undecided)
        return limits

    def proxy_timeout(self, server: _Server) -> Value:
        """How long Apache waits where a worker says nothing: ProxyTimeout, or else Timeout."""
        if server.last("proxytimeout"):
            return replace(server.number("proxytimeout", None), name="ProxyTimeout")
        own = _number(server.settings["timeout"][-1], None) if "timeout" in server.settings else None
        if own and (own.value or own.undecided):  # 0 in a virtual host stands for the main server's
            return own
        return self.main.number("timeout", 60)

    # ------------------------------------------------------------ mod_fastcgi

    def fastcgi_programs(self) -> dict[str, tuple[str, Directive]]:
        """What FastCgiServer and FastCgiExternalServer declare, which holds for all servers."""
        found = {}
        for _, server in self.servers:
            for key, form in (("fastcgiserver", "static"), ("fastcgiexternalserver", "external")):
                for directive in server.settings.get(key, []):
                    args = directive.args
                    if args:
                        found[self.absolute(args[0])] = (form, directive)
        return found

    def program(self, file: str) -> tuple[str, Directive] | None:
        """The declaration for a file: its own, or that of a directory above it."""
        while file not in self.programs and file not in ("/", ""):
            file = posixpath.dirname(file)
        return self.programs.get(file)

    def through_action(self, handler: Handler, action: Directive, server: _Server, root: str) -> None:
        """Action sends requests to a URL; what counts is the file that the URL stands for."""
        url = action.args[1]
        file, why = self.mapped(url, server, root)
        handler.undecided = handler.undecided or _reason(action) or why
        program = self.program(file) if file else None
        if program:
            self.fastcgi(handler, *program)
            return
        name = self.handler_of(url, file, server) if file else ""
        if name == "fastcgi-script":
            self.fastcgi(handler, "dynamic", None, Value(file, action.source))
        elif name == "fcgid-script":
            self.fcgid(handler, server, root, Value(file, action.source))
        elif name.startswith("proxy:"):
            self.proxy(handler, name[6:], "", server)
        elif name != "cgi-script":
            self.undecide(handler, f"nothing that is known here serves {url}, which {action.source} names")

    def mapped(self, url: str, server: _Server, root: str) -> tuple[str, str]:
        """The file that a URL stands for, by Alias and ScriptAlias, and why that is undecided."""
        for each in (server, server.base):
            for key in ("alias", "scriptalias"):
                for directive in each.settings.get(key, []) if each else []:
                    args = directive.args
                    if len(args) == 2 and (url + "/").startswith(args[0].rstrip("/") + "/"):
                        reason = _reason(directive)
                        rest = url[len(args[0].rstrip("/")) :].lstrip("/")
                        return self.absolute(posixpath.join(args[1], rest)), reason
        return (root + url, "") if root else ("", f"no document root is known for {url}")

    def handler_of(self, url: str, file: str, server: _Server) -> str:
        """The name of the handler of one file."""
        rules = [rule for each in (self.main, server) for rule in each.rules.get("sethandler", [])]
        found = ""
        for rule in sorted(rules, key=lambda rule: rule.key):
            if all(_holds(section, url, file) for section in rule.sections):
                found = " ".join(rule.directive.args)
        if found and found.lower() != "none":
            return found
        suffix = posixpath.splitext(file)[1].lower().lstrip(".")
        rules = [rule for each in (self.main, server) for rule in each.rules.get("addhandler", [])]
        for rule in sorted(rules, key=lambda rule: rule.key):
            args = rule.directive.args
            suffixes = [word.lower().lstrip(".") for word in args[1:]]
            if suffix in suffixes and all(_holds(section, url, file) for section in rule.sections):
                found = args[0]
        return found

    def fastcgi(
        self, handler: Handler, form: str, directive: Directive | None, program: Value | None = None
    ) -> None:
        handler.engine, handler.form = "mod_fastcgi", form
        config = directive or self.main.last("fastcgiconfig")
        words = config.args if config else []
        limits: Limits = {key: Value(value) for key, value in FASTCGI_DEFAULTS[form].items()}
        address = program or Value(None, undecided="the program is the script itself")
        environment: dict[str, str] = {}
        at = 1 if directive else 0
        while config and at < len(words):
            key = words[at].lower()
            if key in FASTCGI_FLAGS:
                limits[key] = Value(True, config.source)
                at += 1
                continue
            value = words[at + 1] if at + 1 < len(words) else ""
            if key in ("-socket", "-host"):
                address = Value(value, config.source)
            elif key == "-initial-env":
                name, _, text = value.partition("=")
                environment[name] = text
            elif key in limits:
                limits[key] = _atoi(value, config.source)
            at += 2
        if config and environment:
            limits["-initial-env"] = Value(environment, config.source)
        if directive and form == "static":
            address = Value(self.absolute(words[0]), directive.source)
        if config and config.taken is Taken.UNDECIDED:
            handler.undecided = handler.undecided or config.reason
        handler.backends = [Backend(address, limits=limits)]

    # ------------------------------------------------------------ fcgid

    def fcgid(self, handler: Handler, server: _Server, root: str, program: Value | None = None) -> None:
        handler.engine = "fcgid"
        wrappers = []
        for candidate in self.candidates("fcgidwrapper", server, root):
            args = candidate.rule.directive.args
            if len(args) < 2 or args[1].lower() in (".php", "virtual"):
                wrappers.append(candidate)
        found = [program] if program else []
        for candidate in reversed(_visible(wrappers)) if not program else []:
            word = _word(candidate.rule.directive)
            found.append(Value(word.value, word.source, candidate.undecided))
        if not found:
            found = [Value(None, undecided="no FcgidWrapper holds here: a script is a program itself")]
        for each in found:
            handler.backends.append(Backend(each, limits=self.fcgid_limits(str(each.value), server)))

    def fcgid_limits(self, command: str, server: _Server) -> Limits:
        program = (command.split() or [""])[0]
        limits: Limits = {key: server.number(key, value) for key, value in FCGID_DEFAULTS.items()}
        environment = {}
        for directive in server.all("fcgidinitialenv"):
            name, *values = directive.args or [""]
            environment[name] = "".join(values[:1])
        for directive in server.all("fcgidcmdoptions"):
            words = directive.args
            if not words or words[0] != program:
                continue
            # They take the place of the directives, and what they do not name has its default again.
            environment = {}
            for key in FCGID_OPTIONS.values():
                limits[key] = Value(FCGID_DEFAULTS[key], directive.source)
            for name, value in zip(words[1:], words[2:]):
                option = FCGID_OPTIONS.get(name.lower(), "")
                if option:
                    limits[option] = _atoi(value, directive.source)
                elif name.lower() == "initialenv":
                    key, _, text = value.partition("=")
                    environment[key] = text
        limits["fcgidinitialenv"] = Value(environment)
        return limits


def _reason(directive: Directive) -> str:
    return directive.reason if directive.taken is Taken.UNDECIDED else ""


def _only(server: _Server, key: str) -> Directive | None:
    """A directive that a virtual host does not inherit."""
    found = server.settings.get(key)
    return found[-1] if found else None


def _pair(directive: Directive | None) -> Value:
    """A user and a group."""
    value = _word(directive)
    if directive and value.value is not None and not value.undecided:
        return Value(tuple(directive.args[:2]), directive.source)
    return value
