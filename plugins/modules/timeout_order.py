#!/usr/bin/python
# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: timeout_order
short_description: Prove that the timeouts of PHP, FPM, Apache and systemd stand in the right order
version_added: 0.1.0
description:
  - Reads the live configuration of Apache, PHP-FPM, PHP, the wrappers and the units of systemd, finds for
    each virtual host what serves C(.php) there, and holds the clocks on that way against each other.
  - A request that waits must be ended from the inside out. PHP ends a busy script
    (C(max_execution_time), processor time), FPM ends what waits (C(request_terminate_timeout), by the wall
    clock, looked at once per heartbeat), and only then may Apache lose patience. In another order the client
    gets an error while PHP works on, until all workers of the site are held and it stands still.
  - Runs on any host, also on one that this collection never touched, and on a copy of a host's files.
  - Nothing is changed, and no daemon is asked.
  - What cannot be decided from the files, such as a handler within an C(<If>), is reported as undecided. It
    is never a pass.
options:
  root:
    description: The directory that stands for C(/). For a copy of a host's files.
    type: path
    default: /
  apache_config:
    description: Apache's main configuration file, as Apache knows it.
    type: str
    default: /etc/apache2/apache2.conf
  apache_defines:
    description: What stands behind C(-D) on Apache's command line.
    type: list
    elements: str
    default: []
  fpm_configs:
    description: Configuration files of FPM masters that no unit of systemd starts.
    type: list
    elements: str
    default: []
  servers:
    description:
      - The names of the virtual hosts that are looked at. A name that no virtual host has is an error.
      - Without it all are, and the main server.
    type: list
    elements: str
  addresses:
    description:
      - Sockets, addresses and wrappers. Only what hands requests to one of these is looked at, which is
        nothing on a host without Apache.
      - C(@secret:NAME@) in one stands for the name that M(webhosting.fastcgi.config_set) has put in its
        place on this host. What is returned does not tell that name.
      - Without it all are.
    type: list
    elements: str
  rules:
    description: Ids of the rules that count. Without it all do.
    type: list
    elements: str
  margins:
    description: Seconds by which a rule must hold, by its id. The default is 0.
    type: dict
    default: {}
  accepted:
    description: Rules that are broken on purpose. They are returned apart, and do not spoil RV(sites[].ok).
    type: list
    elements: dict
    default: []
    suboptions:
      rule:
        description: The rule's id.
        type: str
        required: true
      servers:
        description: The virtual hosts that may break it. Without it all may.
        type: list
        elements: str
  only_wrong:
    description:
      - Whether RV(sites) and RV(table) hold only what is not RV(sites[].ok), and what O(fail_on) names. For
        many sites this saves most of the time.
    type: bool
    default: false
  fail_on:
    description: The task fails where something of this kind was found. With V([]) it only reports.
    type: list
    elements: str
    choices: [critical, high, medium, low, info, undecided]
    default: []
attributes:
  check_mode:
    support: full
    description: Does the same in either mode.
  diff_mode:
    support: none
    description: Changes nothing.
requirements:
  - to read the files, which takes root on most hosts
notes:
  - The rules and their sources are in C(docs/timeouts.md) of the collection.
seealso:
  - name: FPM's request_terminate_timeout
    description: The limit by the wall clock, and the one of the slow log
    link: https://www.php.net/manual/en/install.fpm.configuration.php
  - name: Workers of mod_proxy
    description: The parameter timeout, and ProxyTimeout
    link: https://httpd.apache.org/docs/2.4/mod/mod_proxy.html
author:
  - The webhosting.fastcgi authors (@webhosting-fastcgi)
"""

EXAMPLES = r"""
- name: Look at all sites of a host
  webhosting.fastcgi.timeout_order:
  register: timeouts

- name: Fail where a site can hang
  webhosting.fastcgi.timeout_order:
    fail_on: [critical, high, undecided]

- name: Fail where a site of the collection's own can hang
  webhosting.fastcgi.timeout_order:
    addresses: >-
      {{ fastcgi_sites | webhosting.fastcgi.resolve_sites | map(attribute='php_addresses') | flatten }}
    fail_on: [critical, high]

- name: Accept that Apache gives up first at one site, and ask for 5 s of air at the others
  webhosting.fastcgi.timeout_order:
    margins: {TMO-02: 5}
    accepted:
      - {rule: TMO-02, servers: [reports.example]}
    fail_on: [critical, high, medium, undecided]
"""

RETURN = r"""
ok:
  description: Whether RV(sites[].ok) is true for each.
  returned: success
  type: bool
sites:
  description: One entry for each way that a request for C(.php) can take.
  returned: success
  type: list
  elements: dict
  contains:
    server:
      description: The name of the virtual host.
      type: str
      sample: some-host.example
    holds:
      description: The sections of Apache under which this way is taken. Empty where it always is.
      type: str
      sample: <Location /reports>
    engine:
      description: Apache's side.
      type: str
      sample: proxy_fcgi
    backend:
      description: PHP's side, which is C(fpm), C(php_cgi), C(wrapper), C(mod_php) or C(unknown).
      type: str
      sample: fpm
    address:
      description: The socket, the address, or the wrapper.
      type: str
      sample: /run/fastcgi/some-site.sock
    source:
      description: File and line of the handler.
      type: str
      sample: /etc/apache2/fastcgi/some-site.conf:12
    clocks:
      description: By its name each clock's C(label), C(value), C(source) (file and line), C(default_of) and
        C(undecided), which is the reason. Seconds, and 0 for off where the daemon takes it so.
      type: dict
    findings:
      description: What does not hold, the worst first. Each has C(rule), C(severity), C(message), C(fix),
        which says what would do, and C(clocks), the names of the values that it is about.
      type: list
      elements: dict
    accepted:
      description: The same, of rules that O(accepted) names.
      type: list
      elements: dict
    undecided:
      description: What could not be told, and why.
      type: list
      elements: str
    ok:
      description: Whether nothing of C(medium) or worse was found that can hang a site, and nothing is
        undecided.
      type: bool
problems:
  description: Lines of the configuration that could not be read or understood.
  returned: success
  type: list
  elements: str
table:
  description: All of it as lines for a terminal.
  returned: success
  type: list
  elements: str
"""

import gc
import json

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.webhosting.fastcgi.plugins.module_utils import (
    apache_config,
    apache_handlers,
    timeout_report,
)
from ansible_collections.webhosting.fastcgi.plugins.module_utils.host_secret import filled, hidden, read
from ansible_collections.webhosting.fastcgi.plugins.module_utils.php_servers import PhpServers
from ansible_collections.webhosting.fastcgi.plugins.module_utils.source import Tree
from ansible_collections.webhosting.fastcgi.plugins.module_utils.timeout_chains import chains
from ansible_collections.webhosting.fastcgi.plugins.module_utils.timeout_rules import (
    RULES,
    Chain,
    Policy,
    Verdict,
    judge,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            root=dict(type="path", default="/"),
            apache_config=dict(type="str", default="/etc/apache2/apache2.conf"),
            apache_defines=dict(type="list", elements="str", default=[]),
            fpm_configs=dict(type="list", elements="str", default=[]),
            servers=dict(type="list", elements="str"),
            addresses=dict(type="list", elements="str"),
            rules=dict(type="list", elements="str"),
            margins=dict(type="dict", default={}),
            accepted=dict(
                type="list",
                elements="dict",
                default=[],
                options=dict(rule=dict(type="str", required=True), servers=dict(type="list", elements="str")),
            ),
            only_wrong=dict(type="bool", default=False),
            fail_on=dict(
                type="list",
                elements="str",
                choices=["critical", "high", "medium", "low", "info", "undecided"],
                default=[],
            ),
        ),
        supports_check_mode=True,
    )
    given = module.params
    policy_problems(module)
    gc.disable()  # of what is read nothing becomes garbage before the end, and looking for it took a third
    found, problems = chains_of(module)
    verdicts = [judge(chain, policy_for(given, chain.server)) for chain in found]
    failing = [bool(kinds(verdict).intersection(given["fail_on"])) for verdict in verdicts]
    wrong = [verdict for verdict, fails in zip(verdicts, failing) if fails]
    shown = verdicts
    if given["only_wrong"]:
        shown = [verdict for verdict, fails in zip(verdicts, failing) if fails or not verdict.ok]
    result = dict(
        changed=False,
        ok=all(verdict.ok for verdict in verdicts),
        sites=[timeout_report.site(verdict) for verdict in shown],
        problems=problems,
        table=timeout_report.table(shown) if shown or not verdicts else [],
    )
    result = json.loads(hidden(json.dumps(result)))
    if wrong:
        lines = hidden("\n".join(timeout_report.table(wrong)))
        module.fail_json(msg=f"timeouts do not stand in the right order:\n{lines}", **result)
    module.exit_json(**result)


def chains_of(module: AnsibleModule) -> tuple[list[Chain], list[str]]:
    """What is to be looked at, and the lines that could not be understood."""
    given = module.params
    tree, path = Tree(given["root"]), given["apache_config"]
    if not tree.is_file(path):
        if given["addresses"] is not None:
            return [], []
        module.fail_json(msg=f"there is no {path}; name Apache's main file in apache_config")
    configuration = apache_config.read(tree, path, path.rpartition("/")[0], defines=given["apache_defines"])
    php = PhpServers(tree, given["fpm_configs"])
    found = list(chains(apache_handlers.analyse(configuration), php))
    if given["servers"] is not None:
        known = {chain.server for chain in found}
        missing = [name for name in given["servers"] if name not in known]
        if missing:
            module.fail_json(msg=f"no virtual host with a handler of .php has the name: {', '.join(missing)}")
        found = [chain for chain in found if chain.server in given["servers"]]
    if given["addresses"] is not None:
        secret = read()
        addresses = {filled(address, secret) for address in given["addresses"]}
        found = [chain for chain in found if chain.address in addresses]
    return found, [str(problem) for problem in [*configuration.problems, *php.problems]]


def kinds(verdict: Verdict) -> set[str]:
    """What of O(fail_on) a verdict holds."""
    undecided = {"undecided"} if verdict.undecided else set()
    return undecided | {finding.severity for finding in verdict.findings}


def policy_problems(module: AnsibleModule) -> None:
    """Refuse what would be passed over in silence otherwise."""
    given = module.params
    named = [*(given["rules"] or []), *given["margins"], *(entry["rule"] for entry in given["accepted"])]
    unknown = [name for name in named if name not in RULES]
    if unknown:
        module.fail_json(msg=f"there is no rule {', '.join(unknown)}; the rules are: {', '.join(RULES)}")
    for name, margin in given["margins"].items():
        try:
            float(margin)
        except (TypeError, ValueError):
            module.fail_json(msg=f"margins.{name}: {margin!r} is not a number of seconds")


def policy_for(given: dict, server: str) -> Policy:
    """What holds for one virtual host."""
    accepted = [
        entry["rule"] for entry in given["accepted"] if entry["servers"] is None or server in entry["servers"]
    ]
    margins = {name: float(margin) for name, margin in given["margins"].items()}
    return Policy(given["rules"], margins, accepted)


if __name__ == "__main__":
    main()
