"""Call suEXEC as a child of Apache's mod_fcgid does: become its account, change directory, execute.

Reads a list of calls from the standard input: wrappers {path, user, group} as in Apache's configuration, or
{directory, arguments}. Writes a list of {exit_code, log}: the last line that suEXEC logged for each, without
the time.
"""

import grp
import json
import os
import pwd
import sys

SUEXEC = "/usr/lib/apache2/suexec"
LOG = "/var/log/apache2/suexec.log"


def become(account):
    """The account is a name, or a mere uid in the group of Apache."""
    if account.isdigit():
        gid = grp.getgrnam("www-data").gr_gid
        os.setgroups([])
        os.setgid(gid)
        os.setuid(int(account))
        return
    found = pwd.getpwnam(account)
    os.initgroups(account, found.pw_gid)
    os.setgid(found.pw_gid)
    os.setuid(found.pw_uid)


def passed(wrapper):
    """Apache passes ids; there is none for a name that does not exist."""
    user, group, tilde = wrapper["user"], wrapper["group"], ""
    if user.startswith("~"):
        user, tilde = user[1:], "~"
    users = {entry.pw_name: entry.pw_uid for entry in pwd.getpwall()}
    groups = {entry.gr_name: entry.gr_gid for entry in grp.getgrall()}
    return [
        tilde + str(users.get(user, user.strip("#"))),
        str(groups.get(group, group.strip("#"))),
        wrapper["path"].rsplit("/", 1)[1],
    ]


def call(account, directory, arguments):
    child = os.fork()
    if child == 0:
        try:
            become(account)
            os.chdir(directory)
            silence = os.open(os.devnull, os.O_RDWR)
            for descriptor in range(3):
                os.dup2(silence, descriptor)
            os.execve(SUEXEC, [SUEXEC, *arguments], {})
        finally:
            os._exit(255)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def logged(since):
    if not os.path.isfile(LOG):
        return ""
    with open(LOG, "rb") as log:
        log.seek(since)
        return log.read().decode(errors="surrogateescape")


def size():
    return os.path.getsize(LOG) if os.path.isfile(LOG) else 0


answers = []
for entry in json.load(sys.stdin):
    before = size()
    directory = entry.get("directory") or entry["path"].rsplit("/", 1)[0]
    arguments = entry["arguments"] if "arguments" in entry else passed(entry)
    code = call(entry.get("account", "www-data"), directory, arguments)
    lines = logged(before).splitlines()
    answers.append({"exit_code": code, "log": lines[-1].split("]: ", 1)[1] if lines else ""})
json.dump(answers, sys.stdout)
