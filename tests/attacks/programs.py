"""Have a program run by somebody else, or change what starts one's own PHP (SEC-27, SUX-10)."""

from __future__ import annotations

import os
import subprocess

from .ground import IMMUTABLE, Ground, Outcome, attack, because, by_apache, by_php, succeeded

CGI = "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\nran-as=%s;' \"$(id --user --name)\"\n"
SSI = '<!--#exec cmd="printf ran-as=; id --user --name; printf \\;" -->'


def program(ground: Ground, htaccess: str, name: str, content: str) -> Outcome:
    answer = ground.page({".htaccess": htaccess, name: content}, name)
    ran = "ran-as=" in answer.body and "id --user" not in answer.body
    return succeeded(answer) if ran else by_apache(answer)


@attack("program: a CGI script by Options +ExecCGI", "SEC-27, I10")
def exec_cgi(ground: Ground) -> Outcome:
    return program(ground, "Options +ExecCGI\nSetHandler cgi-script\n", "x.cgi", CGI)


@attack("program: a CGI script by AddHandler", "SEC-27, I10")
def add_handler(ground: Ground) -> Outcome:
    return program(ground, "AddHandler cgi-script .cgi\n", "x.cgi", CGI)


@attack("program: a command in a page (.shtml)", "SEC-27, I10")
def server_side_includes(ground: Ground) -> Outcome:
    htaccess = "Options +Includes\nAddOutputFilter INCLUDES .shtml\n"
    return program(ground, htaccess, "x.shtml", SSI)


@attack("program: one that mod_fastcgi starts", "SEC-27", engines=("mod_fastcgi",))
def by_mod_fastcgi(ground: Ground) -> Outcome:
    """What is no program of the configuration it starts as Apache's own account."""
    tells = '#!/bin/sh\necho "ran-as=$(id --user --name);" > HERE/told\nexec php-cgi\n'
    files = {".htaccess": "Options +ExecCGI\nSetHandler fastcgi-script\n", "x.fcgi": tells, "told": ""}
    name = ground.upload(files)
    os.chmod(f"{ground.attacker.root}/{name}/told", 0o666)
    answer = ground.request(ground.attacker, f"/{name}/x.fcgi")
    with open(f"{ground.attacker.root}/{name}/told", encoding="ascii") as file:
        ran = file.read()
    return succeeded(ran) if ran else by_apache(answer)


# ---------------------------------------------------------------- what starts one's own PHP


CHANGES = """
$was = @file_get_contents($path);
foreach ([fn () => file_put_contents($path, $was . "# changed\\n"), fn () => unlink($path),
          fn () => rename($path, "$path.old"), fn () => chmod($path, 0666),
          fn () => touch(dirname($path) . '/new')] as $number => $change) {
    echo @$change() ? 'changed' : error_get_last()['message'], '; ';
}
"""


def changed(ground: Ground, suffix: str) -> Outcome:
    """Write to a file about oneself, or put another in its place; afterwards it is as it was."""
    path = next(place for place in ground.attacker.places if place.endswith(suffix))
    subprocess.run(["cp", "--preserve=all", path, "/run/before"], check=True)
    answer = ground.php(f"$path = '{path}';" + CHANGES)
    if "changed" not in answer.body:
        return by_php(answer.body)
    subprocess.run(["cp", "--preserve=all", "--remove-destination", "/run/before", path], check=True)
    return succeeded(answer.body)


@attack("program: one's own wrapper changed", "SUX-10", engines=("fcgid",))
def wrapper(ground: Ground) -> Outcome:
    """It belongs to the tenant, since suEXEC wants that, and decides about all settings of its PHP."""
    outcome = changed(ground, ground.attacker.name)
    if outcome.succeeded:
        return outcome
    return because("Operation not permitted" in outcome.evidence, IMMUTABLE, outcome.evidence)


@attack("program: one's own settings changed", "SEC-17")
def own_settings(ground: Ground) -> Outcome:
    """The pool of FPM, the php.ini of php-cgi, or what Apache says of the site."""
    return changed(
        ground, "php.ini" if ground.engine in ("fcgid", "php_cgi") else f"{ground.attacker.name}.conf"
    )
