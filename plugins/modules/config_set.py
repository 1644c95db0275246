#!/usr/bin/python
# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: config_set
short_description: Many configuration files of many sites in one transaction
version_added: 0.1.0
description:
  - Renders every file of every site on the controller, and brings the target to that state with one module
    call. Either all of it is in place afterwards and the daemons run with it, or everything is as it was.
  - On the target, each path is compared with what is there, including owner, mode and the target of a link.
    What differs is staged. The commands in O(validate) run with the staged files in the place of the live
    ones, in a mount namespace of their own, so the real daemon judges the real configuration before anything
    is touched. Then the files are swapped in by atomic renames, the daemons follow, and a probe asks whether
    PHP answers behind each changed socket and through the web server (see O(probe)). If any of this fails,
    the files are put back and the daemons with them, and the error tells the daemon's own words and the sites
    that they are about.
  - The set's manifest, in C(/var/lib/config_set), knows the files that the set owns. A file that the set
    owned and no longer has is removed. A file that is there but was not written by the set is an error that
    names it. Directories are not removed, since they hold users' data, but for those that are O(files[].own)
    and empty.
  - A file directly in C(/etc/systemd/system) is a unit of its site. Units of sites that left the set are
    stopped, sockets of new sites are started, and the service of a changed site is asked to finish, so that
    its socket starts it again with the new configuration. Connections wait in the socket meanwhile.
  - A link in C(/etc/systemd/system/<daemon>.wants) lends its socket to a daemon that is not of the set. That
    daemon is restarted when its sites change. When it has none any more, it goes back to what it was.
options:
  name:
    description: The set. One manifest is kept for each name.
    type: str
    required: true
  sites:
    description: Resolved sites, as returned by the filter P(webhosting.fastcgi.resolve_sites#filter).
    type: list
    elements: dict
    required: true
  only:
    description:
      - The files are made for the sites of which each of these fields has one of the values that are listed
        for it, such as C(fcgid) in C(engine). Without it they are made for all sites.
    type: dict
    default: {}
  files:
    description:
      - The paths of the set. C({field}) in O(files[].path), O(files[].template), O(files[].link),
        O(files[].owner) and O(files[].group) stands for the site's field of that name.
      - A path with a field in it is made once per site, or once per element where the field is a list, or not
        at all where the field is empty. A path without is made once and shared by all sites.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: The absolute path on the target.
        type: str
        required: true
      template:
        description:
          - A file in the role's C(templates), rendered with plain Jinja2. It sees C(site), or C(sites) where
            the path is shared, the variables in O(vars), C(ansible_managed) and the filter C(comment).
          - One of O(files[].template), O(files[].link) and O(files[].directory) is required.
        type: str
      link:
        description: The path that a symbolic link points to. The link itself is relative.
        type: str
      directory:
        description: Whether the path is a directory.
        type: bool
        default: false
      only:
        description:
          - The path is made for the sites of which each of these fields has one of the values that are listed
            for it. One that all sites share is made where there is such a site, and its template sees only
            these.
        type: dict
        default: {}
      keep:
        description:
          - A directory or a link that is made where it is missing, and left alone where it exists.
          - A link that was there before is not taken away either.
        type: bool
        default: false
      own:
        description:
          - A directory that is taken away when the set has it no longer, if the set has made it, and nothing
            is in it then.
        type: bool
        default: false
      immutable:
        description:
          - Whether nobody may change the file or directory, not even its owner; C(chattr +i) is the same.
            Left as it is where this is not given. Changes and removals by this module take the bit off first,
            and set it again whatever becomes of them.
          - Where a file system has no such bit, or a container may not set it, a warning names the path.
        type: bool
      secret:
        description:
          - Whether the file, or the path that the link points to, holds names which only this host knows.
            Where it says C(@secret:NAME@), the target puts C(secret-) and 32 hexadecimal digits, which follow
            from C(NAME) and a secret that the module makes once and keeps in C(/var/lib/config_set/secret),
            for root alone.
          - Neither the secret nor a name that follows from it leaves the target. Diffs and errors say
            C(secret-...) instead.
        type: bool
        default: false
      owner:
        description: The owner's name; of a link, that of the link itself.
        type: str
        default: root
      group:
        description: The group's name.
        type: str
        default: root
      mode:
        description: The mode, as octal digits in quotes. The default is C("0644"), for directories C("0755").
        type: str
  vars:
    description: Variables for the templates, beside the site.
    type: dict
    default: {}
  validate:
    description:
      - Commands that must all end with status 0 against the staged files, each a list of arguments.
      - C({field}) in an argument stands for the sites' field of that name; such a command runs once for each
        value that the sites have, and not at all for those where the field is empty.
      - C({scratch}) in an argument is an empty directory that goes away afterwards.
      - C({staged}) is a directory with a link to each file that was added or changed, under the file's own
        path, for a daemon that reads each file by itself. It goes away afterwards as well.
    type: list
    elements: list
    default: []
  validate_timeout:
    description: Seconds that each command of O(validate) may take.
    type: int
    default: 120
  reload:
    description:
      - Daemons that serve all sites, by the names of their units. They are reloaded when anything in the set
        has changed, and started where they are down.
    type: list
    elements: str
    default: []
  probe:
    description:
      - What to ask the web server once it runs with the change, about each site of which a file in the set
        was added or changed. C({field}) stands for the field of the site; where it is a list, the site is
        asked for each element.
      - The request goes to this host, whichever name is in the URL. Its header C(Config-Set-Probe) holds the
        name of a file in C(/run/config_set), which is there for as long as the probe takes. Nobody but root
        can make it or know its name, so the configuration can keep everybody else from that address.
      - The change is taken back where nothing listens, where TLS fails, where another virtual host answers
        (status 404, or 200 with any other text), and where the text is that of O(probe[].answer) and the
        status is not 200, by which a virtual host tells that it did not reach PHP. This last and a broken
        connection count only at the third time.
      - A warning is all that comes of status 504 and of no answer within 10 seconds, since that is what a
        site says whose workers are all busy; and of any other status, since that is a rule of the operator's,
        such as a password for the whole site.
      - Eight questions are asked at a time, and only after the workers that the daemons had before the reload
        have ceased to listen.
      - Of the O(probe[].unit) that do not run, the first 50 are started for this. For the others the query
        C(asleep) is added to the URL, by which the virtual host is to answer in their place, with status 403.
    type: list
    elements: dict
    default: []
    suboptions:
      url:
        description: What to ask for, with C(http) or C(https). The certificate is not looked at.
        type: str
        required: true
      answer:
        description: The whole text that the site answers with.
        type: str
        required: true
      unit:
        description: A unit that the question may start. If it was not running it is asked to leave again.
        type: str
        default: ""
      required:
        description:
          - Whether each site has a virtual host of that name by now. If not, only the site's own word that it
            did not reach PHP takes the change back, and any other answer proves nothing.
        type: bool
        default: true
      site:
        description: Set by the action plugin. The site that is asked.
        type: str
        default: ""
  probe_timeout:
    description:
      - Seconds for all of O(probe) together. Sites that were not asked by then are named in a warning.
    type: int
    default: 300
  prune:
    description:
      - Only take away what the set no longer has. Nothing is added or changed.
      - For removing in the opposite order of adding, Apache first.
    type: bool
    default: false
  leave:
    description:
      - Of whom nothing is taken away, although the set has it no longer. That is V(own) for the sites that
        files are made for, V(others) for the other ones of O(sites), V(shared) for the files that all sites
        share, and a path for a file alone, or with fields in braces for one of each site that files are made
        for.
      - For what another call of the same set has, and for what something else must stop using first. A
        later O(prune) without it takes that away.
    type: list
    elements: str
    default: []
  payload:
    description: Set by the action plugin. The rendered files and the names of sites to leave, compressed.
    type: str
attributes:
  check_mode:
    support: full
    description: Reports what would change, also on a host where the accounts do not exist yet.
  diff_mode:
    support: full
    description: Shows each file that changes, with owner and mode in the first line.
  idempotent:
    support: full
    description: A second run reports no change.
requirements:
  - C(unshare) and C(mount) of util-linux, where O(validate) is used
  - root on the target
author:
  - The webhosting.fastcgi authors (@webhosting-fastcgi)
"""

EXAMPLES = r"""
- name: Write the snippets of all sites, and reload Apache if it agrees
  webhosting.fastcgi.config_set:
    name: apache_fastcgi
    sites: "{{ fastcgi_sites | webhosting.fastcgi.resolve_sites }}"
    files:
      - {path: /etc/apache2/fastcgi, directory: true}
      - {path: "{snippet}", template: snippet.conf.j2, mode: "0640"}
    validate:
      - [apache2ctl, -t]
    reload: [apache2]
    probe:
      - {url: "{probe_urls}", answer: "{name}", unit: "{service_unit}", required: false}
"""

RETURN = r"""
sites_added:
  description: Names of the sites of which the set had no file before.
  returned: success
  type: list
  elements: str
  sample: [some-site]
sites_changed:
  description: Names of the sites of which files changed.
  returned: success
  type: list
  elements: str
sites_removed:
  description: Names of the sites of which the set has no file any more.
  returned: success
  type: list
  elements: str
sockets_started:
  description: Units of sockets that had been stopped by somebody else, and listen again.
  returned: success
  type: list
  elements: str
recovered:
  description: Whether an earlier run had been killed half way, and was undone first.
  returned: success
  type: bool
"""

import base64
import json
import zlib

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.webhosting.fastcgi.plugins.module_utils.host_secret import hidden
from ansible_collections.webhosting.fastcgi.plugins.module_utils.transaction import (
    Item,
    Transaction,
    TransactionError,
)
from ansible_collections.webhosting.fastcgi.plugins.module_utils.web_probe import Question


def main() -> None:
    files_spec = dict(
        path=dict(type="str", required=True),
        template=dict(type="str"),
        link=dict(type="str"),
        directory=dict(type="bool", default=False),
        only=dict(type="dict", default={}),
        keep=dict(type="bool", default=False),
        own=dict(type="bool", default=False),
        immutable=dict(type="bool"),
        secret=dict(type="bool", default=False),
        owner=dict(type="str", default="root"),
        group=dict(type="str", default="root"),
        mode=dict(type="str"),
    )
    probe_spec = dict(
        url=dict(type="str", required=True),
        answer=dict(type="str", required=True),
        unit=dict(type="str", default=""),
        required=dict(type="bool", default=True),
        site=dict(type="str", default=""),
    )
    module = AnsibleModule(
        argument_spec=dict(
            name=dict(type="str", required=True),
            sites=dict(type="list", elements="dict", required=True),
            only=dict(type="dict", default={}),
            files=dict(type="list", elements="dict", required=True, options=files_spec),
            vars=dict(type="dict", default={}),
            validate=dict(type="list", elements="list", default=[]),
            validate_timeout=dict(type="int", default=120),
            reload=dict(type="list", elements="str", default=[]),
            probe=dict(type="list", elements="dict", default=[], options=probe_spec),
            probe_timeout=dict(type="int", default=300),
            prune=dict(type="bool", default=False),
            leave=dict(type="list", elements="str", default=[]),
            payload=dict(type="str"),
        ),
        supports_check_mode=True,
    )
    given = module.params
    if given["payload"] is None:
        module.fail_json(
            msg="config_set renders its files on the controller; call it as webhosting.fastcgi.config_set"
        )
    payload = json.loads(zlib.decompress(base64.b64decode(given["payload"])))
    transaction = Transaction(
        given["name"],
        [Item(**item) for item in payload["files"]],
        validate=given["validate"],
        reload=given["reload"],
        prune=given["prune"],
        patience=given["validate_timeout"],
        questions=[Question(**question) for question in given["probe"]],
        probe_patience=given["probe_timeout"],
        leave=payload["leave"],
    )
    brief = {"module_args": {"name": given["name"], "prune": given["prune"]}}
    try:
        outcome = transaction.preview() if module.check_mode else transaction.apply()
    except TransactionError as error:
        module.fail_json(msg=hidden(str(error)), invocation=brief)
    for doubt in outcome.doubts:
        module.warn(hidden(f"{given['name']}: {doubt}"))
    if outcome.changeable:
        first, more = outcome.changeable[0], len(outcome.changeable) - 1
        paths = f"{first} and {more} more" if more else first
        module.warn(
            f"{given['name']}: {paths} cannot be made immutable here (the file system has no such bit, or "
            f"this container may not set it), so their owners can change them"
        )
    result = {
        "changed": bool(outcome.differences or outcome.sockets_started or outcome.recovered),
        "sites_added": outcome.sites_added,
        "sites_changed": outcome.sites_changed,
        "sites_removed": outcome.sites_removed,
        "sockets_started": outcome.sockets_started,
        "recovered": outcome.recovered,
        "invocation": brief,
    }
    if module._diff:
        result["diff"] = [
            {
                "before_header": "" if change.action == "add" else change.path,
                "after_header": "" if change.action == "remove" else change.path,
                "before": hidden(change.before),
                "after": hidden(change.after),
            }
            for change in outcome.differences
        ]
    module.exit_json(**result)


if __name__ == "__main__":
    main()
