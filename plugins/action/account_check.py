# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's half of account_check: send the target what it looks at, and no more."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.webhosting.fastcgi.plugins.plugin_utils.resolved_sites import TakesResolvedSites

LOOKED_AT = ("name", "user", "group", "apache_group")


class ActionModule(TakesResolvedSites, ActionBase):
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        if not arguments["sites"]:
            return result
        arguments["sites"] = [{key: site[key] for key in LOOKED_AT} for site in arguments["sites"]]
        module = "webhosting.fastcgi.account_check"
        result.update(self._execute_module(module, arguments, task_vars=task_vars))
        return result
