# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: account_problems
short_description: Tell which sites have an account on the host that they must not have
description:
  - Compares resolved sites with the host's accounts and returns one message per fault.
  - An account must exist, must not be the system's, and must not be in Apache's group, because whoever is in
    that group can connect to the socket of every site. Two names of one uid are one account.
positional: _input, passwd, group
options:
  _input:
    description: Resolved sites.
    type: list
    elements: dict
    required: true
  passwd:
    description: The fact C(getent_passwd) of M(ansible.builtin.getent).
    type: dict
    required: true
  group:
    description: The fact C(getent_group) of M(ansible.builtin.getent).
    type: dict
    required: true
author:
  - The webhosting.fastcgi authors (@webhosting-fastcgi)
"""

EXAMPLES = r"""
- name: Refuse accounts that would break the isolation of sites
  ansible.builtin.assert:
    that: __problems | length == 0
    fail_msg: "{{ __problems | join('\n') }}"
  vars:
    __problems: >-
      {{ fastcgi_sites | webhosting.fastcgi.resolve_sites
         | webhosting.fastcgi.account_problems(
             ansible_facts['getent_passwd'], ansible_facts['getent_group']) }}
"""

RETURN = r"""
_value:
  description: One message per fault, empty where all is well.
  type: list
  elements: str
"""

from collections.abc import Mapping, Sequence
from typing import Any, Callable

LOWEST_ID = 100
"""Below it accounts are the distribution's own; suEXEC refuses them as well (SUX-06)."""


def account_problems(
    sites: Sequence[Mapping[str, Any]],
    passwd: Mapping[str, Sequence[str]],
    group: Mapping[str, Sequence[str]],
) -> list[str]:
    problems = []
    users: dict[str, str] = {}
    apache_group = sites[0]["apache_group"] if sites else ""
    apache = group.get(apache_group, ["", "", ""])
    members = apache[2].split(",") if len(apache) > 2 else []
    for site in sites:
        label, user = f"site {site['name']}", site["user"]
        if user not in passwd:
            problems.append(
                f"{label}: there is no account {user} on this host; the role site_accounts makes it"
            )
        elif int(passwd[user][1]) < LOWEST_ID:
            problems.append(
                f"{label}: the account {user} has uid {passwd[user][1]}, which belongs to the system"
            )
        elif user in members or passwd[user][2] == apache[1]:
            problems.append(
                f"{label}: the account {user} is in the group {apache_group}, which may connect to every "
                f"site's socket (SEC-03); take it out of that group"
            )
        if user in passwd and users.setdefault(passwd[user][1], user) != user:
            problems.append(
                f"{label}: the account {user} has the uid of {users[passwd[user][1]]}, so their sites would "
                f"not be apart; give it a uid of its own"
            )
        if site["group"] not in group:
            problems.append(f"{label}: there is no group {site['group']} on this host")
        elif int(group[site["group"]][1]) < LOWEST_ID:
            problems.append(f"{label}: the group {site['group']} has a gid that belongs to the system")
    return problems


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"account_problems": account_problems}
