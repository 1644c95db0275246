#!/usr/bin/python
# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: suexec_check
short_description: Foretell whether suEXEC accepts the wrappers of sites
version_added: 0.1.0
description:
  - Finds out what suEXEC will say to each wrapper, before Apache calls it - its exit code, the line in its
    log, and what mends it. Nothing is started and nothing is written.
  - It runs on any host that has Apache's suEXEC, also one that this collection never touched.
  - The checks are suEXEC's own, in its own order, since the first that fails is the one that its log names.
    Limits come from C(suexec -V), and for suexec-custom from C(/etc/apache2/suexec/<user>).
  - Whatever depends on permissions is tried under the accounts that Apache and suEXEC use, so access lists,
    symbolic links and mount options count as they will count then.
  - A verdict holds for the moment. A tenant owns the wrapper and its directory, and can spoil them later.
notes:
  - "The checks, with the exit code of each, in suEXEC's order. C(directory_entered) 255 and
    C(suexec_executable) 255: Apache's child cannot get as far as suEXEC, whose log then says nothing.
    C(log) 1: suEXEC cannot open its own log. C(caller) 102, 103. C(arguments) 101. C(command) 104.
    C(config) 123 to 128: the file of suexec-custom. C(user) 105, 121. C(group) 106. C(uid_min) 107.
    C(gid_min) 108. C(privileges) 109, 110. C(cwd) 111. C(docroot) 112, 113. C(within_docroot) 114.
    C(directory) 115. C(directory_mode) 116. C(program) 117. C(program_mode) 118. C(setid) 119.
    C(owner) 120. C(executable) 121. C(exec) 255: the kernel does not execute the wrapper."
  - Debian's suEXEC does not take C(/var/www2) for a part of the docroot C(/var/www); others do.
options:
  wrappers:
    description:
      - The wrappers to judge.
      - Without it those are that a C(FcgidWrapper) in Apache's configuration names for C(.php), each for the
        account of C(SuexecUserGroup) in its virtual host. Where there is none, Apache asks no suEXEC and PHP
        runs under Apache's own account, which is a verdict as well.
    type: list
    elements: dict
    suboptions:
      name:
        description: A label, such as the name of the site. The default is the path.
        type: str
      path:
        description: The absolute path of the wrapper, as C(FcgidWrapper) or C(ScriptAlias) names it.
        type: str
        required: true
      user:
        description:
          - The user in C(SuexecUserGroup), as a name, C(#uid) or plain uid.
          - A C(~) in front stands for a request that C(mod_userdir) took to the user's home.
        type: str
        required: true
      group:
        description: The group there, as a name, C(#gid) or plain gid.
        type: str
        required: true
  apache_config:
    description: Apache's main configuration file, to find the wrappers where O(wrappers) is not given.
    type: str
    default: /etc/apache2/apache2.conf
  suexec:
    description: The binary, as it is compiled into Apache.
    type: path
    default: /usr/lib/apache2/suexec
  apache_user:
    description: The account of Apache's children, as C(User) names it.
    type: str
    default: www-data
  fail:
    description: Whether a wrapper that will be refused is a failure. Otherwise the verdicts tell.
    type: bool
    default: true
attributes:
  check_mode:
    support: full
    description: Never changes anything.
  diff_mode:
    support: none
    description: Never changes anything.
requirements:
  - root on the target
seealso:
  - name: suEXEC Support
    description: The checks, as Apache's manual tells them. Their order, exit codes and log lines are those of
      C(support/suexec.c).
    link: https://httpd.apache.org/docs/2.4/suexec.html
  - name: suexec-custom
    description: Debian's suEXEC with a configuration file.
    link: https://manpages.debian.org/bookworm/apache2-suexec-custom/suexec-custom.8.en.html
author:
  - The webhosting.fastcgi authors (@webhosting-fastcgi)
"""

EXAMPLES = r"""
- name: Be sure that suEXEC accepts the wrappers before Apache points at them
  webhosting.fastcgi.suexec_check:
    wrappers:
      - {name: shop, path: /var/www/wrapper/shop/fcgid, user: shop, group: shop}
      - {name: wiki, path: /var/www/wrapper/wiki/fcgid, user: wiki, group: wiki}

- name: Look at every wrapper of a host that somebody else set up
  webhosting.fastcgi.suexec_check:

- name: Ask, and go on whatever the answer
  webhosting.fastcgi.suexec_check:
    wrappers:
      - {path: /usr/lib/cgi-bin/php, user: "#1001", group: "#1001"}
    fail: false
  register: answer
"""

RETURN = r"""
verdicts:
  description: One for each wrapper, in the given order.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The label.
      type: str
      sample: shop
    path:
      description: The wrapper.
      type: str
      sample: /var/www/wrapper/shop/fcgid
    user:
      description: The user, as given.
      type: str
      sample: shop
    group:
      description: The group, as given.
      type: str
      sample: shop
    ok:
      description: Whether suEXEC will hand over to the wrapper.
      type: bool
      sample: false
    exit_code:
      description: What suEXEC will end with; 0 where it hands over.
      type: int
      sample: 116
    log:
      description: The last line that it will log, without the time. Empty where it logs nothing.
      type: str
      sample: "directory is writable by others: (/var/www/wrapper/shop)"
    check:
      description: The check that fails; see the notes. Empty where none does, and C(suexec_user_group) where
        Apache does not ask suEXEC at all.
      type: str
      sample: directory_mode
    fix:
      description: What mends it.
      type: str
      sample: chmod go-w /var/www/wrapper/shop
    warning:
      description: What will go wrong after suEXEC has handed over, where that is seen.
      type: str
      sample: ""
undecided:
  description: Wrappers of which Apache's configuration does not tell enough, and why. Each is a warning too.
  returned: success
  type: list
  elements: str
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.webhosting.fastcgi.plugins.module_utils.source import Tree
from ansible_collections.webhosting.fastcgi.plugins.module_utils.suexec import Call, SuexecError
from ansible_collections.webhosting.fastcgi.plugins.module_utils.suexec_apache import Named, named_in
from ansible_collections.webhosting.fastcgi.plugins.module_utils.suexec_host import (
    Host,
    account_of,
    identity_of,
    passed,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            wrappers=dict(
                type="list",
                elements="dict",
                options=dict(
                    name=dict(type="str"),
                    path=dict(type="str", required=True),
                    user=dict(type="str", required=True),
                    group=dict(type="str", required=True),
                ),
            ),
            apache_config=dict(type="str", default="/etc/apache2/apache2.conf"),
            suexec=dict(type="path", default="/usr/lib/apache2/suexec"),
            apache_user=dict(type="str", default="www-data"),
            fail=dict(type="bool", default=True),
        ),
        supports_check_mode=True,
    )
    given = module.params
    if os.geteuid() != 0:
        module.fail_json(msg="suexec_check takes the permissions of other accounts: run it as root")
    apache = account_of(given["apache_user"])
    if apache is None:
        module.fail_json(msg=f"apache_user: there is no account {given['apache_user']!r}")
    for index, wrapper in enumerate(given["wrappers"] or []):
        if not wrapper["path"].startswith("/"):
            module.fail_json(msg=f"wrappers[{index}].path: {wrapper['path']!r} is not an absolute path")
    try:
        host = Host(given["suexec"], identity_of(apache))
    except SuexecError as error:
        module.fail_json(msg=str(error))
    undecided: list[str] = []
    if given["wrappers"] is not None:
        verdicts = [judged(wrapper, host) for wrapper in given["wrappers"]]
    else:
        tree = Tree("/")
        if not tree.is_file(given["apache_config"]):
            module.fail_json(msg=f"there is no {given['apache_config']}; name Apache's file in apache_config")
        found = list(named_in(given["apache_config"], tree))
        undecided = [f"{each.server} ({each.source}): {each.undecided}" for each in found if each.undecided]
        verdicts = [judged_by_name(each, host) for each in found if not each.undecided]
    for reason in undecided:
        module.warn(reason)
    for verdict in verdicts:
        if verdict["warning"]:
            module.warn(f"{verdict['name']}: {verdict['warning']}")
    refused = [line_of(verdict) for verdict in verdicts if not verdict["ok"]]
    brief = {"module_args": {"suexec": given["suexec"], "apache_user": given["apache_user"]}}
    if refused and given["fail"]:
        module.fail_json(msg="\n".join(refused), invocation=brief)
    module.exit_json(changed=False, verdicts=verdicts, undecided=undecided, invocation=brief)


def judged(wrapper: dict[str, str], host: Host) -> dict[str, object]:
    directory, command = os.path.split(wrapper["path"])
    user, group = passed(wrapper["user"], wrapper["group"])
    verdict = host.verdict(Call(directory, (user, group, command)))
    return {
        "name": wrapper["name"] or wrapper["path"],
        "path": wrapper["path"],
        "user": wrapper["user"],
        "group": wrapper["group"],
        "ok": verdict.ok,
        "exit_code": verdict.exit_code,
        "log": shown(verdict.log_line),
        "check": verdict.check,
        "fix": shown(verdict.fix),
        "warning": shown(verdict.warning),
    }


def judged_by_name(named: Named, host: Host) -> dict[str, object]:
    """The verdict on a wrapper that Apache's configuration names."""
    wrapper = {"name": named.server, "path": named.path, "user": named.user, "group": named.group}
    if named.user:
        return judged(wrapper, host)
    return {
        **wrapper,
        "ok": False,
        "exit_code": 0,
        "log": "",
        "check": "suexec_user_group",
        "fix": f"put SuexecUserGroup with the user and group of the site into the virtual host whose handler "
        f"is in {named.source}",
        "warning": "",
    }


def shown(text: str) -> str:
    """Names on disk need not be text."""
    return os.fsencode(text).decode(errors="replace")


def line_of(verdict: dict[str, object]) -> str:
    if verdict["check"] == "suexec_user_group":
        return (
            f"{verdict['name']}: Apache will run {verdict['path']} under its own account, without suEXEC "
            f"(SUX-03). {verdict['fix']}"
        )
    log = verdict["log"] or "nothing in its log"
    return (
        f"{verdict['name']}: suEXEC will refuse {verdict['path']} for {verdict['user']}:{verdict['group']} "
        f"(exit {verdict['exit_code']}, {log}). {verdict['fix']}"
    )


if __name__ == "__main__":
    main()
