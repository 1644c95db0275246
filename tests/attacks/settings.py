"""Change settings that the operator has locked, or that decide where PHP looks (SEC-02, TMO-06)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Callable

from .ground import HEADERS, LOCKED, WITH_FPM, Answer, Ground, Outcome, attack, because, by_apache, succeeded

SHOW = "echo 'limit=', ini_get('max_execution_time'), ';', json_encode($_SERVER), json_encode(getenv());"

values = itertools.count(4001)
"""Another one for each attempt, since a worker may keep those of an earlier one."""

# Name, .htaccess: all of them hand FPM a parameter, which beats what its pool says.
PARAMETERS = (
    ("PHP_ADMIN_VALUE by SetEnv", "SetEnv PHP_ADMIN_VALUE WANTED"),
    ("PHP_VALUE by SetEnv", "SetEnv PHP_VALUE WANTED"),
    ("PHP_ADMIN_VALUE by SetEnvIf", "SetEnvIf Host . PHP_ADMIN_VALUE=WANTED"),
    ("PHP_ADMIN_VALUE by RewriteRule [E=]", "RewriteEngine on\nRewriteRule .* - [E=PHP_ADMIN_VALUE:WANTED]"),
    ("PHP_ADMIN_VALUE by ProxyFCGISetEnvIf", 'ProxyFCGISetEnvIf true PHP_ADMIN_VALUE "WANTED"'),
)


def tried(ground: Ground, files: dict[str, str], *headers: str) -> tuple[Answer, bool]:
    """Run a script with these beside it, and see whether the limit became what was wanted."""
    value = next(values)
    wanted = f"max_execution_time={value}"
    files = {"x.php": "<?php " + SHOW, **files}
    answer = ground.page(
        {
            name: text.replace("WANTED", wanted).replace("VALUE_ITSELF", str(value))
            for name, text in files.items()
        },
        "x.php",
        *(header.replace("WANTED", wanted) for header in headers),
    )
    return answer, f"limit={value};" in answer.body


def judged(answer: Answer, changed: bool) -> Outcome:
    """The script said the limit that it had, or Apache did not let it come so far."""
    if changed:
        return succeeded(answer)
    return because(True, LOCKED, answer.body[:40]) if "limit=" in answer.body else by_apache(answer)


# These two first: what a worker keeps of the others cannot be changed any more.


@attack("setting: .user.ini", "TMO-06")
def user_ini(ground: Ground) -> Outcome:
    answer, changed = tried(ground, {".user.ini": "WANTED\n"})
    return judged(answer, changed)


@attack("setting: ini_set and set_time_limit", "TMO-06")
def at_run_time(ground: Ground) -> Outcome:
    code = "<?php ini_set('max_execution_time', 'VALUE_ITSELF'); set_time_limit(VALUE_ITSELF);"
    answer, changed = tried(ground, {"x.php": code + SHOW})
    return judged(answer, changed)


def parameter(htaccess: str) -> Callable[[Ground], Outcome]:
    def run(ground: Ground) -> Outcome:
        answer, changed = tried(ground, {".htaccess": htaccess})
        return judged(answer, changed)

    return run


for name, htaccess in PARAMETERS:
    attack(f"setting: {name}", "SEC-02, I05", engines=WITH_FPM)(parameter(htaccess))


@attack("setting: a worker keeps PHP_ADMIN_VALUE", "SEC-02, I05", engines=WITH_FPM)
def kept(ground: Ground) -> Outcome:
    """Later requests, of a script beside which no .htaccess is."""
    plain = ground.upload({"x.php": "<?php " + SHOW})
    first = next(values)
    refused = [tried(ground, {".htaccess": htaccess})[0] for _, htaccess in PARAMETERS]
    for _ in range(50):
        answer = ground.request(ground.attacker, f"/{plain}/x.php")
        if any(f"limit={value};" in answer.body for value in range(first, first + len(PARAMETERS) + 1)):
            return succeeded(answer)
    return judged(refused[0], False)


def by_header(ground: Ground, headers: Sequence[str], parameter: str) -> Outcome:
    for header in headers:
        answer, changed = tried(ground, {}, header)
        if changed or f'"{parameter}":' in answer.body:
            return succeeded(answer)
    return because("limit=" in answer.body, HEADERS, f"{answer.status}, and PHP saw no {parameter}")


@attack("header: PHP_ADMIN_VALUE", "I05")
def setting_by_header(ground: Ground) -> Outcome:
    headers = ("PHP_ADMIN_VALUE: WANTED", "PHP-ADMIN-VALUE: WANTED", "Php-Admin-Value: WANTED")
    return by_header(ground, headers, "PHP_ADMIN_VALUE")


@attack("header: Proxy becomes HTTP_PROXY (httpoxy)", "M04")
def httpoxy(ground: Ground) -> Outcome:
    return by_header(ground, ("Proxy: http://evil.test", "pRoXy: http://evil.test"), "HTTP_PROXY")


@attack("header: one with an underscore stands for one with a dash", "SEC-30")
def underscore(ground: Ground) -> Outcome:
    """What a proxy in front has set or taken out is believed by applications; this would be a second one."""
    headers = ("X_Forwarded_For: 192.0.2.1", "X.Forwarded.For: 192.0.2.1")
    return by_header(ground, headers, "HTTP_X_FORWARDED_FOR")
