# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: resolve_sites
short_description: Validate the list of sites and derive all that follows from it
description:
  - Takes the operator's list of sites and returns its present sites with every default filled in and with
    all that is derived from them, which is paths, names of units, the socket, the Apache worker and the
    whole chain of timeouts.
  - Every fault of the list is reported in one message that names the site, the field, what was found and
    what would be right. Nothing is returned then, so nothing can be touched.
  - Values that reach a configuration file are checked against an allow-list. Control characters are
    refused everywhere.
positional: _input
options:
  _input:
    description: The list of sites, as described in the README under C(The list of sites).
    type: list
    elements: dict
    required: true
  defaults:
    description:
      - Fields for every site that does not set them itself. Dictionaries are joined key by key.
      - C(null) for C(tls) or C(front_controller) on a site undoes the default of all sites. Elsewhere C(null)
        is as if the field were not there.
    type: dict
    default: {}
  master:
    description:
      - C(own) for sites that have an FPM master each, C(shared) for one master of all sites of a PHP version.
        The latter knows no O(_input[].limits), and has the clocks of its most patient site.
    type: str
    choices: [own, shared]
    default: own
  only:
    description:
      - Only sites are returned of which each of these fields has one of the values that are listed for it.
        The whole list is validated all the same.
      - The filters of Jinja2 would make templates of the sites, each of whose values is looked at then.
    type: dict
    default: {}
  distinct:
    description:
      - Only these fields are returned, and sites that are alike in them once. That is for what a play needs
        to know of the list as a whole, such as its engines, and it costs less than the sites themselves.
    type: list
    elements: str
    default: []
author:
  - The webhosting.fastcgi authors (@webhosting-fastcgi)
"""

EXAMPLES = r"""
- name: Show where the sockets of all sites are
  ansible.builtin.debug:
    msg: "{{ fastcgi_sites | webhosting.fastcgi.resolve_sites | items2dict('name', 'socket') }}"

- name: Give each site two minutes, unless it says otherwise
  ansible.builtin.debug:
    msg: "{{ fastcgi_sites | webhosting.fastcgi.resolve_sites({'timeout': {'max_execution_time': 120}}) }}"

- name: Show which engines the sites have
  ansible.builtin.debug:
    msg: "{{ fastcgi_sites | webhosting.fastcgi.resolve_sites(distinct=['engine', 'process_manager']) }}"
"""

RETURN = r"""
_value:
  description: One flat dictionary per site whose C(state) is C(present), in the order of the list.
  type: list
  elements: dict
"""

import gc
from typing import Any, Callable

from ansible.errors import AnsibleFilterError
from ansible_collections.webhosting.fastcgi.plugins.module_utils import sites as model


def resolve_sites(
    sites: Any, defaults: Any = None, master: str = "own", only: Any = None, distinct: Any = None
) -> list[dict[str, Any]]:
    # Ansible has a process for each task. Its search for garbage would go through all that the play holds
    gc.freeze()
    try:
        resolved = model.resolve(sites, defaults, master)
    except model.InvalidSites as error:
        raise AnsibleFilterError(str(error)) from None
    wanted = {field: list(values) for field, values in (only or {}).items()}
    found = [site for site in resolved if model.chosen(site, wanted)]
    return alike_once(found, list(distinct)) if distinct else found


def alike_once(sites: list[dict[str, Any]], fields: list[str]) -> list[dict[str, Any]]:
    unknown = [field for field in fields if any(field not in site for site in sites)]
    if unknown:
        raise AnsibleFilterError(f"distinct: {unknown[0]!r} is not a field of a resolved site")
    kinds = ({field: site[field] for field in fields} for site in sites)
    return list({repr(kind): kind for kind in kinds}.values())


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"resolve_sites": resolve_sites}
