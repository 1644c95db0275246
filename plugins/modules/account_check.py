#!/usr/bin/python
# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: account_check
short_description: Refuse accounts that would break the isolation of sites
version_added: 0.1.0
description:
  - Looks up the account and the group of each site on the target, and fails with one message for each that
    is missing or is more than a tenant's.
  - An account must not be the system's, which is one with a number below 100. It must not be in the group of
    Apache, because whoever is in it can connect to the socket of every site, nor in another group of the
    system, such as C(sudo), C(shadow) or C(docker).
  - Two names of one uid are one account, so two sites cannot have them.
options:
  sites:
    description: Resolved sites, as returned by the filter P(webhosting.fastcgi.resolve_sites#filter).
    type: list
    elements: dict
    required: true
  may_be_missing:
    description:
      - Whether an account that is not there is fine, because a later task makes it.
      - In check mode it always is.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Changes nothing in either mode.
  diff_mode:
    support: none
    description: Changes nothing.
author:
  - The webhosting.fastcgi authors (@webhosting-fastcgi)
"""

EXAMPLES = r"""
- name: Refuse accounts that would break the isolation of sites
  webhosting.fastcgi.account_check:
    sites: "{{ fastcgi_sites | webhosting.fastcgi.resolve_sites }}"
"""

RETURN = r"""
problems:
  description: One message per fault.
  returned: failure
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.webhosting.fastcgi.plugins.module_utils import accounts


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            sites=dict(type="list", elements="dict", required=True),
            may_be_missing=dict(type="bool", default=False),
        ),
        supports_check_mode=True,
    )
    given = module.params
    brief = {"module_args": {"may_be_missing": given["may_be_missing"]}}
    may_be_missing = given["may_be_missing"] or module.check_mode
    problems = accounts.problems(given["sites"], accounts.Host(), may_be_missing)
    if problems:
        msg = "these accounts cannot be used:" + "".join(f"\n  - {one}" for one in problems)
        module.fail_json(msg=msg, problems=problems, invocation=brief)
    module.exit_json(invocation=brief)


if __name__ == "__main__":
    main()
