"""The list of sites that is converged, as an inventory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from .host import NAME, ROOT

INVENTORY = ROOT / ".cache" / "bench" / "hosts.yml"

STATIC_POOL = {"mode": "static", "max_children": 8}
"""For measuring requests: no time goes into starting workers."""


def sites(count: int, changed: int = 0, **fields: Any) -> list[dict[str, Any]]:
    """`count` sites, the first `changed` of them with another setting than before."""
    result = []
    for number in range(1, count + 1):
        name = f"site-{number:04}"
        site = {"name": name, "server_name": f"{name}.bench.test", **fields}
        if number <= changed:
            site["php_admin_value"] = {"memory_limit": f"{128 + changed}M"}
        result.append(site)
    return result


def write_inventory(wanted: list[dict[str, Any]], defaults: dict[str, Any]) -> Path:
    """Write the inventory of the host with these sites, and what all of them have."""
    host = {
        "ansible_connection": "community.docker.docker",
        "ansible_user": "root",
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    INVENTORY.parent.mkdir(parents=True, exist_ok=True)
    variables = {"fastcgi_sites": wanted, "fastcgi_site_defaults": defaults}
    INVENTORY.write_text(yaml.safe_dump({"all": {"hosts": {NAME: host}, "vars": variables}}))
    return INVENTORY
