"""Ask the module's rules, without Ansible, about the calls that call_suexec.py takes."""

import grp
import json
import os
import sys

sys.path.insert(0, "/opt")
from rules import suexec, suexec_host

SUEXEC = "/usr/lib/apache2/suexec"


def identity(account):
    """The account is a name, or a mere uid in the group of Apache."""
    if account.isdigit():
        return suexec.Identity(int(account), grp.getgrnam("www-data").gr_gid, ())
    return suexec_host.identity_of(suexec_host.account_of(account))


answers, hosts = [], {}
for entry in json.load(sys.stdin):
    account = entry.get("account", "www-data")
    if account not in hosts:
        hosts[account] = suexec_host.Host(SUEXEC, identity(account))
    if "path" in entry:
        directory, command = os.path.split(entry["path"])
        call = suexec.Call(directory, (*suexec_host.passed(entry["user"], entry["group"]), command))
    else:
        call = suexec.Call(entry["directory"], entry["arguments"])
    verdict = hosts[account].verdict(call)
    answers.append({"exit_code": verdict.exit_code, "log": verdict.log_line})
json.dump(answers, sys.stdout)
