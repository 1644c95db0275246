# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's half of config_set: render every file, hand them over in one call."""

from __future__ import annotations

import base64
import json
import os
import re
import traceback
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import jinja2
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.plugins.filter.core import comment
from ansible_collections.webhosting.fastcgi.plugins.module_utils import sites as model
from ansible_collections.webhosting.fastcgi.plugins.plugin_utils.resolved_sites import TakesResolvedSites

PLACES = {"scratch": "{scratch}", "staged": "{staged}"}
"""What stands in a command for a directory that the target makes."""

TEMPLATE = "<template>"
"""What Jinja2 calls the file of a template that it was given as text."""

FIELD = re.compile(r"\{([a-z_]+)\}")


class ActionModule(TakesResolvedSites, ActionBase):
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        renderer = Renderer(self, arguments.get("vars") or {}, task_vars or {})
        listed = arguments.get("sites") or []
        sites = [site for site in listed if model.chosen(site, arguments.get("only"))]
        items: dict[str, dict[str, Any]] = {}
        for entry in arguments.get("files") or []:
            for item in renderer.items(dict(entry), sites, prune=bool(arguments.get("prune"))):
                first = items.setdefault(item["path"], item)
                if first["site"] != item["site"]:
                    first["site"] = item["site"] = ""  # of several sites, so of none
                if first != item:
                    raise AnsibleActionFail(
                        f"two different files of the set {arguments.get('name')} have the path {item['path']}"
                    )
        arguments["validate"] = commands(arguments.get("validate") or [], sites)
        if arguments.get("probe"):
            arguments["probe"] = questions(arguments["probe"], sites)
        payload = {
            "files": list(items.values()),
            "leave": left_alone(arguments.get("leave") or [], listed, sites),
        }
        # the target needs the files alone; the sites themselves stay here
        arguments.update(sites=[], vars={}, files=[], payload=packed(payload))
        result.update(self._execute_module("webhosting.fastcgi.config_set", arguments, task_vars=task_vars))
        return result


class Renderer:
    """Templates, each compiled once, and the entries of `files` made into paths of sites."""

    def __init__(
        self, action: ActionModule, variables: Mapping[str, Any], task_vars: Mapping[str, Any]
    ) -> None:
        self.action = action
        self.variables = {
            "ansible_managed": str(task_vars.get("ansible_managed", "Ansible managed")),
            **variables,
        }
        self.templates: dict[str, jinja2.Template] = {}
        self.environment = jinja2.Environment(
            undefined=jinja2.StrictUndefined, keep_trailing_newline=True, trim_blocks=True, lstrip_blocks=True
        )
        self.environment.filters["comment"] = comment

    def items(
        self, entry: dict[str, Any], sites: list[dict[str, Any]], prune: bool
    ) -> Iterator[dict[str, Any]]:
        only = entry.get("only")
        sites = [site for site in sites if model.chosen(site, only)]
        if not FIELD.search(entry["path"]):
            if sites or not only:
                yield self.item(entry, entry["path"], None, sites, prune)
            return
        for site in sites:
            for path in paths(entry["path"], site):
                yield self.item(entry, path, site, sites, prune)

    def item(
        self,
        entry: Mapping[str, Any],
        path: str,
        site: dict[str, Any] | None,
        sites: list[dict[str, Any]],
        prune: bool,
    ) -> dict[str, Any]:
        own = site or {}
        kind = "directory" if entry.get("directory") else "link" if "link" in entry else "file"
        default_mode = "0755" if kind == "directory" else "0644"
        item = {
            "path": path,
            "kind": kind,
            "site": own.get("name", ""),
            "owner": filled(entry.get("owner", "root"), own),
            "group": filled(entry.get("group", "root"), own),
            "mode": octal(default_mode if entry.get("mode") is None else entry["mode"], path),
            "keep": bool(entry.get("keep", False)),
            "own": bool(entry.get("own", False)),
            "immutable": entry.get("immutable"),
            "secret": bool(entry.get("secret", False)),
        }
        if kind == "file" and "template" not in entry:
            raise AnsibleActionFail(f"{path} needs one of template, link and directory")
        if kind == "link":
            item["target"] = os.path.relpath(filled(entry["link"], own), os.path.dirname(path))
        elif kind == "file" and not prune:
            scope = {"sites": sites} if site is None else {"site": site}
            item["content"] = self.rendered(filled(entry["template"], own), path, scope)
        return item

    def rendered(self, name: str, path: str, scope: Mapping[str, Any]) -> str:
        try:
            return self.template(name).render(**self.variables, **scope)
        except AnsibleError:
            raise
        except Exception as error:  # whatever an expression in a template may raise
            of_site = f" of site {scope['site'].get('name')}" if "site" in scope else ""
            reason = str(error) if isinstance(error, jinja2.TemplateError) else repr(error)
            raise AnsibleActionFail(
                f"template {name}{at_line(error)} for {path}{of_site}: {reason}; nothing was changed"
            ) from error

    def template(self, name: str) -> jinja2.Template:
        if name not in self.templates:
            with open(self.action._find_needle("templates", name), encoding="utf-8") as source:
                self.templates[name] = self.environment.from_string(source.read())
        return self.templates[name]


def at_line(error: Exception) -> str:
    """Where in a template it went wrong, as far as Jinja2 says so."""
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == TEMPLATE
    ]
    line = getattr(error, "lineno", None) or (lines[-1] if lines else None)
    return f", line {line}," if line else ""


def paths(pattern: str, site: Mapping[str, Any]) -> list[str]:
    """The paths of one site: none where the field is empty, several where it is a list."""
    alone = FIELD.fullmatch(pattern)
    if alone:
        value = value_of(alone[1], site)
        return list(value) if isinstance(value, (list, tuple)) else [value] if value else []
    return [filled(pattern, site)]


def commands(patterns: list[list[str]], sites: list[dict[str, Any]]) -> list[list[str]]:
    """Commands as they run: one with fields in it once for each value that the sites have, if any."""
    result: dict[tuple[str, ...], None] = {}
    for pattern in patterns:
        fields = {field for argument in pattern for field in FIELD.findall(argument)}.difference(PLACES)
        if fields:
            for site in sites:
                if any(value_of(field, site) is None for field in fields):
                    continue
                result[tuple(filled(argument, {**site, **PLACES}) for argument in pattern)] = None
        else:
            result[tuple(pattern)] = None
    return [list(command) for command in result]


def questions(entries: list[dict[str, Any]], sites: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What to ask of each site: nothing where the field of the URL is empty, several where it is a list."""
    return [
        {
            **entry,
            "site": site["name"],
            "url": url,
            "answer": filled(entry["answer"], site),
            "unit": filled(entry.get("unit") or "", site),
        }
        for entry in entries
        for site in sites
        for url in paths(entry["url"], site)
    ]


def filled(pattern: str, site: Mapping[str, Any]) -> str:
    return FIELD.sub(lambda match: one_value_of(match[1], site), pattern)


def one_value_of(field: str, site: Mapping[str, Any]) -> str:
    value = value_of(field, site)
    if value is None or isinstance(value, (list, tuple, Mapping)):
        raise AnsibleActionFail(
            f"{{{field}}} of site {site.get('name')} is {value!r}, which cannot be part of a path or command"
        )
    return str(value)


def value_of(field: str, site: Mapping[str, Any]) -> Any:
    if field not in site:
        raise AnsibleActionFail(f"{{{field}}} is not a field of a resolved site")
    return site[field]


def octal(mode: Any, path: str) -> int:
    """A number would be one that YAML has made of the digits, in either base."""
    if not isinstance(mode, str) or not re.fullmatch(r"[0-7]{3,4}", mode):
        raise AnsibleActionFail(f"the mode of {path} is {mode!r}; give octal digits in quotes, like '0644'")
    return int(mode, 8)


def left_alone(kinds: list[str], listed: list[dict[str, Any]], own: list[dict[str, Any]]) -> list[str]:
    """Sites and paths of which nothing is taken away; an empty name stands for what all sites share."""
    names = {"own": [site["name"] for site in own], "shared": [""]}
    names["others"] = sorted({site["name"] for site in listed}.difference(names["own"]))
    unknown = [kind for kind in kinds if kind not in names and not kind.startswith("/")]
    if unknown:
        raise AnsibleActionFail(f"leave: {unknown[0]!r} is neither a path nor one of: {', '.join(names)}")
    return [name for kind in kinds for name in (names[kind] if kind in names else left_paths(kind, own))]


def left_paths(pattern: str, own: list[dict[str, Any]]) -> list[str]:
    return [path for site in own for path in paths(pattern, site)] if FIELD.search(pattern) else [pattern]


def packed(payload: dict[str, Any]) -> str:
    return base64.b64encode(zlib.compress(json.dumps(payload).encode())).decode()
