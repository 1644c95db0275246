# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The model of a site: which fields there are, what they may hold, and all that follows from them.

This is the only place that knows a default, a path, a unit's name or a limit of a value. Roles and
templates read resolved sites and compute nothing.

Input is the list that the operator wrote; `resolve` returns one flat dictionary per present site, or
raises `InvalidSites` with every fault of the whole list at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .host_paths import APACHE_ROOT, LOG_ROOT, SITES_ROOT, STATE_ROOT, WRAPPER_ROOT, within
from .site_engines import (
    CACHE_GUARDS,
    ENGINES,
    FCGID_PROCESSES,
    MAPPINGS,
    OTHER_DEFAULTS,
    PM,
    PROCESS_MANAGERS,
    SEAMS,
    behind_a_path,
    behind_a_socket,
    foreign_keys,
    inside_apache,
    process_manager_of,
    settings_inside_apache,
    spawned,
    two_hosts,
    unfit_for_a_virtual_directory,
    unfit_inside_apache,
    virtual_settings,
)
from .site_values import (
    APACHE_ACCOUNT,
    TABLES,
    Check,
    Refused,
    account,
    alias,
    boolean,
    denied_path,
    denied_urls,
    directive,
    hostname,
    list_of,
    mapping,
    one_of,
    pattern,
    php_settings,
    shown,
    shown_key,
    site_name,
    site_path,
    socket_path,
    wrapper_root,
)

MASTERS = ("own", "shared")
HTACCESS = ("none", "safe", "trusted")
STATES = ("present", "absent")

UNLOCKED = ("trusted", "mod_fastcgi_handler", "fpm")
"""The one combination where variables of a rewrite rule come to FPM under their own names."""

SHARED_STOP_LIMIT = 540
"""Seconds that a change of one site may have to wait for the requests of all others at a shared master."""


class InvalidSites(ValueError):
    """The list cannot be used. `errors` holds one message per fault: site, field, found, wanted."""

    def __init__(self, errors: Sequence[str]) -> None:
        self.errors = list(errors)
        lines = "".join(f"\n  - {error}" for error in self.errors)
        super().__init__(f"{len(self.errors)} error(s) in the list of sites, nothing was touched:{lines}")


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
    "fastcgi_mapping": one_of(MAPPINGS),
    "php_version": pattern(r"[0-9]\.[0-9]{1,2}", 'a PHP version such as "8.2" (in quotes)', 4),
    "php_admin_value": php_settings,
    "php_value": php_settings,
    "htaccess": one_of(HTACCESS),
    "front_controller": pattern(r"[A-Za-z0-9_-]+\.php", "the name of a PHP file in the document root", 64),
    "deny_paths": list_of(denied_path, "paths below the document root"),
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
    "fastcgi_mapping": "alias",
    "php_version": None,
    "timeout": {},
    "pm": PM,
    "php_admin_value": {},
    "php_value": {},
    "htaccess": "safe",
    "front_controller": None,
    "deny_paths": [],
    "pass_authorization": False,
    "wrapper_root": WRAPPER_ROOT,
    "tls": None,
    "extra_directives": [],
    "limits": {"tasks_max": 256},
}

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
    behind = process_manager_of(site)
    seam = SEAMS[site["engine"]][behind]
    of_the_path = behind_a_path(site, seam)
    unfit: list[tuple[str, Iterable[str]]] = []
    fields = ("php_value", "php_admin_value")
    if of_the_path["virtual_link"]:
        unfit = [(field, list(unfit_for_a_virtual_directory(site[field]))) for field in fields]
        site = {**site, **virtual_settings(site)}
    elif seam == "apache":
        unfit = [(field, list(unfit_inside_apache(site[field]))) for field in fields]
        site = {**site, **settings_inside_apache(site)}
    if seam == "socket":
        of_the_engine = behind_a_socket(site, master)
    else:
        of_the_engine = spawned(site) if seam == "wrapper" else inside_apache(site)
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
        *unfit,
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
    writable = [path for path in site["writable_paths"] if path != document_root]
    served = [path for path in writable if within(path, document_root)]
    return {
        **site,
        "process_manager": behind,
        "seam": seam,
        "user": user,
        "group": site.get("group", user),
        "document_root": document_root,
        "php_admin_value": admin_value,
        "tls": {"redirect": True, **site["tls"]} if site["tls"] else None,
        # where the site's own directories are, and who makes them
        "hidden_roots": [SITES_ROOT, STATE_ROOT, LOG_ROOT],
        "site_root": document_root if in_sites_root else None,
        "given_root": None if in_sites_root else document_root,
        # writable paths that Apache serves from, and those that it has nothing to do with
        "served_paths": served,
        "private_paths": [path for path in writable if path not in served],
        "state_directory": state,
        "session_directory": f"{state}/sessions",
        "tmp_directory": f"{state}/tmp",
        "log_directory": log,
        "apache_group": APACHE_ACCOUNT,
        # the Apache side
        "denied_urls": denied_urls(site["deny_paths"]),
        "snippet": f"{APACHE_ROOT}/fastcgi/{name}.conf",
        "vhost": f"{APACHE_ROOT}/sites-available/{name}.conf",
        "vhost_enabled": f"{APACHE_ROOT}/sites-enabled/{name}.conf",
        **of_the_path,
        **of_the_engine,
    }


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
    usual = {engine: merged({**DEFAULTS, **OTHER_DEFAULTS.get(engine, {})}, common) for engine in ENGINES}
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
        engine = own.get("engine") or common.get("engine") or DEFAULTS["engine"]
        errors.extend(f"{label}.{problem}" for problem in engine_problems(engine, common, own))
        undone = {field: None for field in NOTHING_BY_CHOICE if given.get(field, field) is None}
        one = resolved(merged(usual[engine], undone, own), label, errors, master)
        if (one["htaccess"], one["engine"], one["process_manager"]) == UNLOCKED:
            errors.append(
                f'{label}.htaccess: "trusted" does not go with engine mod_fastcgi_handler and FPM, where a '
                f"rewrite rule can set PHP anew, what is locked too (SEC-02); set htaccess: safe, or "
                f"process_manager: php_cgi, or engine: proxy_fcgi"
            )
        if master == "shared":
            errors.extend(shared_problems(own, label))
            if (one["seam"], one["process_manager"]) == ("socket", "php_cgi"):
                errors.append(
                    f'{label}.process_manager: "php_cgi" has a service for each site, and a shared master is '
                    f"FPM's; leave it out, or give the sites masters of their own (fpm_pool_master: own)"
                )
        result.append((label, one))
    errors.extend(collisions(result))
    if master == "shared":
        errors.extend(share_clocks([entry for entry in result if entry[1]["process_manager"] == "fpm"]))
    if errors:
        raise InvalidSites(errors)
    return [site for label, site in result]


def chosen(site: Mapping[str, Any], only: Mapping[str, Sequence[Any]] | None) -> bool:
    """Whether a resolved site has one of the listed values in each of the fields."""
    return all(site[field] in values for field, values in (only or {}).items())


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


def engine_problems(engine: str, common: Mapping[str, Any], own: Mapping[str, Any]) -> Iterable[str]:
    """What was asked for, and the site's engine, or what runs PHP there, cannot do."""
    behind = own.get("process_manager") or common.get("process_manager")
    manager = process_manager_of({"engine": engine, "process_manager": behind})
    if behind and behind != manager:
        yield (
            f"process_manager: {shown(behind)} does not go with engine {engine}, which has "
            f"{' or '.join(SEAMS[engine])}; leave it out"
        )
    for field, table, key, reason in foreign_keys(engine, manager):
        for given, whose in ((own, ""), (common, f" (from the {DEFAULTS_LABEL})")):
            if given.get(table) is False:
                break  # what is for all sites is not for this one
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
        for field, host in [*names, *(("server_aliases", other) for other in site["server_aliases"])]:
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
        socket = site["socket"]
        if socket and sockets.setdefault(socket, label) != label:
            yield f'{label}.socket: "{socket}" is the socket of {sockets[socket]} already'
        for field, own in directories(site):
            roots.setdefault(own, (label, field, site["user"]))
    yield from told_addresses(sites)
    for label, site in sites:
        for field, own in directories(site):
            yield from foreign_paths(label, field, own, site["user"], roots)
    yield from wrapper_collisions(
        [(label, site) for label, site in sites if site["seam"] == "wrapper"], roots
    )
    yield from one_apache(sites)


def one_apache(sites: Sequence[tuple[str, dict[str, Any]]]) -> Iterable[str]:
    """MPM ITK is the whole Apache's, and so is the PHP in it."""
    inside = [(label, site) for label, site in sites if site["seam"] == "apache"]
    if not inside:
        return
    first, example = inside[0]
    for label, site in sites:
        if site["seam"] != "apache":
            yield (
                f"{label}.engine: {site['engine']} cannot be on a host with sites of engine "
                f"{example['engine']}, such as {first}: the MPM is one for the whole Apache. Give all sites "
                f"of the host the engine {example['engine']}, or none"
            )
        elif None not in (site["php_version"], example["php_version"]) and (
            site["php_version"] != example["php_version"]
        ):
            yield (
                f"{label}.php_version: {shown(site['php_version'])} is another one than that of {first} "
                f"({shown(example['php_version'])}); with engine {site['engine']} PHP is a part of Apache, "
                f"so there is one for all sites"
            )


def told_addresses(sites: Sequence[tuple[str, dict[str, Any]]]) -> Iterable[str]:
    """Who may rewrite can name any address to Apache, so no neighbour may have one that can be known."""
    rewriting = [(label, site["user"]) for label, site in sites if site["htaccess"] == "trusted"]
    for label, site in sites:
        other = next((other for other, user in rewriting if user != site["user"]), None)
        if site["socket"] and other:
            yield (
                f'{label}.socket: "{site["socket"]}" can be known, and {other} has htaccess: trusted, so '
                f"that one could run code here (SEC-01); leave the socket out, or set htaccess: safe there"
            )


def wrapper_collisions(
    sites: Sequence[tuple[str, dict[str, Any]]], roots: Mapping[str, tuple[str, str, str]]
) -> Iterable[str]:
    """What all sites with a wrapper have in common: one suEXEC, and mod_fcgid has one table of processes."""
    if not sites:
        return
    root = sites[0][1]["wrapper_root"]
    for directory, (label, field, _) in roots.items():
        if within(root, directory) or within(directory, root):
            yield f'{label}.{field}: "{directory}" and the wrapper_root "{root}" must not lie in one another'
    # a virtual host each for plain HTTP and for TLS is a class of processes each
    of_fcgid = [site for _, site in sites if site["engine"] == "fcgid"]
    most = sum(site["pm"]["max_children"] * (2 if two_hosts(site) else 1) for site in of_fcgid)
    if most > FCGID_PROCESSES:
        yield (
            f"sites with engine fcgid: their pm.max_children make {most} processes together (twice where tls "
            f"has redirect: false), and mod_fcgid has room for {FCGID_PROCESSES} (CAP-11); set "
            f"pm.max_children in the {DEFAULTS_LABEL} to {FCGID_PROCESSES // len(of_fcgid)} or less"
        )


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
