#!/usr/bin/python
# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: apache_mpm
short_description: Give Apache the MPM ITK, and what it had before back
version_added: 0.1.0
description:
  - The multi-processing module (MPM) is one for the whole Apache, and changes with a restart. Debian's
    packages of MPM ITK and of PHP for Apache change it when they are installed, so O(state=agreed) comes
    before those.
  - What the host had is written down in C(/etc/fastcgi/apache_mpm.json) before the first change, and
    O(state=former) gives it back. Modules that were enabled already then stay as they are.
  - A configuration that Apache does not take is taken back, and so is one that it does not start with.
options:
  state:
    description:
      - V(agreed) changes nothing of Apache. It fails where MPM ITK cannot work for want of capabilities, and
        where Apache has the MPM event or worker and O(take_over) is not given; otherwise it writes down what
        there is.
      - V(itk) sees to it that Apache runs with prefork, MPM ITK and O(php_module).
      - V(former) gives back what was written down. Where nothing was, there is nothing to do.
    type: str
    choices: [agreed, itk, former]
    required: true
  take_over:
    description: Whether another MPM may be replaced.
    type: bool
    default: false
  php_module:
    description: The name of Apache's module for PHP, such as V(php8.2). Required unless O(state=former).
    type: str
attributes:
  check_mode:
    support: full
    description: Refuses what it would refuse, and reports what would change.
  diff_mode:
    support: none
    description: The names of the modules are returned.
  idempotent:
    support: full
    description: A second run reports no change.
requirements:
  - root on the target
author:
  - The webhosting.fastcgi authors (@webhosting-fastcgi)
"""

EXAMPLES = r"""
- name: Let Apache run PHP as the user of each site
  webhosting.fastcgi.apache_mpm:
    state: itk
    php_module: php8.2

- name: Give Apache back what it had before
  webhosting.fastcgi.apache_mpm:
    state: former
"""

RETURN = r"""
disabled:
  description: Modules of Apache that were disabled.
  returned: success
  type: list
  elements: str
  sample: [mpm_event]
enabled:
  description: Modules of Apache that were enabled.
  returned: success
  type: list
  elements: str
  sample: [mpm_prefork, mpm_itk, php8.2]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.webhosting.fastcgi.plugins.module_utils import apache_mpm
from ansible_collections.webhosting.fastcgi.plugins.module_utils.services import ServiceError


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            state=dict(type="str", choices=["agreed", "itk", "former"], required=True),
            take_over=dict(type="bool", default=False),
            php_module=dict(type="str"),
        ),
        required_if=[("state", "agreed", ["php_module"]), ("state", "itk", ["php_module"])],
        supports_check_mode=True,
    )
    given = module.params
    try:
        apache = apache_mpm.Apache(given["php_module"])
        states = {"agreed": agreed, "itk": itk, "former": former}
        module.exit_json(**states[given["state"]](apache, given["take_over"], module.check_mode))
    except apache_mpm.Refused as reason:
        module.fail_json(msg=str(reason))
    except ServiceError as error:
        module.fail_json(msg=f"Apache does not run with the other MPM: {error}")


def agreed(apache: apache_mpm.Apache, take_over: bool, check_mode: bool) -> dict:
    apache.agree(take_over)
    known = apache.former()
    now = apache_mpm.record(apache.enabled(), apache.php, known)
    changed = known != now and bool(known or now["added"])
    if changed and not check_mode:
        apache.remember(now)
    return dict(changed=changed, disabled=[], enabled=[])


def itk(apache: apache_mpm.Apache, take_over: bool, check_mode: bool) -> dict:
    off, on = apache_mpm.way_there(apache.enabled(), apache.php)
    changed = bool(off or on) or apache.runs_with_itk() is False
    if changed and not check_mode:
        apache.change(off, on)
    return dict(changed=changed, disabled=off, enabled=on)


def former(apache: apache_mpm.Apache, take_over: bool, check_mode: bool) -> dict:
    known = apache.former()
    if known is None:
        return dict(changed=False, disabled=[], enabled=[])
    off, on = apache_mpm.way_back(apache.enabled(), known)
    if not check_mode:
        if off or on:
            apache.change(off, on)
        apache.forget()
    return dict(changed=True, disabled=off, enabled=on)


if __name__ == "__main__":
    main()
