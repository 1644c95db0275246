"""PHP-FPM's own account of a configuration against the collection's."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.webhosting.fastcgi.plugins.module_utils.fpm_config import FpmConfig, Section

IN_SECONDS = (
    *("emergency_restart_interval", "process_control_timeout", "systemd_interval"),
    *("request_slowlog_timeout", "request_terminate_timeout"),
)
NOT_DUMPED = ("apparmor_hat",)


def dumped(output: str) -> list[str]:
    """What `php-fpm -tt` says of the configuration, without times and levels of its log."""
    lines = re.findall(r"^\[[^]]*\] NOTICE: (\[[^]]*\]|\t.*)$", output, re.MULTILINE)
    return [line.strip() for line in lines]


def expected(config: FpmConfig) -> list[str]:
    """The same from the collection's parser; a value that it cannot tell is `undecided`."""
    return [line for section in (config.main, *config.pools) for line in expected_section(section)]


def expected_section(section: Section) -> list[str]:
    lines = [f"[{section.name}]"]
    for key in section.keys:
        if key not in NOT_DUMPED:
            lines.append(f"{key} = {shown(section, key)}".rstrip())
        if key == "access.format":
            lines += listed(section, "access.suppress_path")
    return lines + [
        line for kind in ("env", "php_value", "php_admin_value") for line in listed(section, kind)
    ]


def shown(section: Section, key: str) -> str:
    setting = section.get(key)
    value: Any = setting.value
    if setting.undecided:
        return "undecided"
    if value is None or (key == "process.priority" and value == 64):
        return "undefined"
    if key == "log_level":
        return value.upper() if setting.source else "unknown value"
    if value is True or value is False:
        return "yes" if value else "no"
    return f"{value}s" if key in IN_SECONDS else str(value)


def listed(section: Section, kind: str) -> list[str]:
    """FPM keeps its lists with the last line first."""
    return [
        f"{kind}[{key}] = {setting.value}".rstrip() for key, setting in reversed(section.lists.get(kind, []))
    ]
