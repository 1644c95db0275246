"""Read, plant or change files of the victim: by PHP, through Apache, and in what all sites might share."""

from __future__ import annotations

import os
import uuid

from .ground import (
    CACHE,
    OWN_PROCESS,
    SANDBOX,
    Ground,
    Outcome,
    attack,
    because,
    by_apache,
    by_php,
    succeeded,
)

TELL = "error_get_last()['message'] ?? 'nothing'"


def reading(ground: Ground, paths: list[str]) -> Outcome:
    """PHP of the attacker reads or includes files, or lists directories."""
    listed = "', '".join(paths)
    answer = ground.php(f"""
    foreach (['{listed}'] as $path) {{
        echo $path, ': ', @file_get_contents($path) ?: @implode(' ', scandir($path) ?: []) ?: {TELL}, '; ';
        @include $path;
    }}
    """)
    return succeeded(answer.body) if ground.secret in answer.body else by_php(answer.body)


@attack("file: read by PHP", "I02, SEC-43")
def read_by_php(ground: Ground) -> Outcome:
    # what PHP itself has made is readable for everybody who gets to it
    return reading(
        ground, [f"{ground.victim.root}/{path}" for path in ("config.php", ".env", "data/upload.txt")]
    )


@attack("file: read by PHP through a link of one's own", "I02")
def read_through_a_link(ground: Ground) -> Outcome:
    answer = ground.php(f"""
    @link('{ground.victim.root}/data/upload.txt', __DIR__ . '/hard');
    symlink('{ground.victim.root}/config.php', __DIR__ . '/link');
    echo @file_get_contents(__DIR__ . '/hard') ?: @file_get_contents(__DIR__ . '/link') ?: {TELL};
    """)
    return succeeded(answer.body) if ground.secret in answer.body else by_php(answer.body)


def linked(ground: Ground, files: dict[str, str]) -> Outcome:
    name = ground.upload(files)
    with ground.account(ground.attacker.user):
        os.symlink(f"{ground.victim.root}/notes.txt", f"{ground.attacker.root}/{name}/link.txt")
    answer = ground.request(ground.attacker, f"/{name}/link.txt")
    return succeeded(answer) if ground.reached(answer) else by_apache(answer)


@attack("file: read through Apache, by a link", "I02, SEC-44")
def link_through_apache(ground: Ground) -> Outcome:
    return linked(ground, {})


@attack("file: read through Apache, by a link and Options +FollowSymLinks", "SEC-27, SEC-44")
def link_with_option(ground: Ground) -> Outcome:
    return linked(ground, {".htaccess": "Options +FollowSymLinks\n"})


@attack("file: written in the victim's document root", "SEC-43")
def write(ground: Ground) -> Outcome:
    answer = ground.php(
        f"echo @file_put_contents('{ground.victim.root}/data/planted.txt', 'x') ? 'planted' : {TELL};"
    )
    return succeeded(answer.body) if answer.body == "planted" else by_php(answer.body)


@attack("file: names of the other sites", "SEC-43")
def names(ground: Ground) -> Outcome:
    parent = ground.victim.root.rpartition("/")[0]
    answer = ground.php(f"echo implode(' ', @scandir('{parent}') ?: [{TELL}]);")
    seen = answer.body.split()
    if ground.victim.name in seen:
        return succeeded(answer.body)
    return because(True, SANDBOX, seen) if ground.attacker.name in seen else by_php(answer.body)


@attack("file: logs, settings and virtual host of the victim", "SEC-43")
def places(ground: Ground) -> Outcome:
    listed = "', '".join(ground.victim.places)
    answer = ground.php(f"""
    foreach (['{listed}'] as $path) {{
        echo $path, ': ', @file_get_contents($path) ? 'was read' : {TELL}, '; ';
    }}
    """)
    return succeeded(answer.body) if "was read" in answer.body else by_php(answer.body)


# ---------------------------------------------------------------- sessions and temporary files


def session_of_victim(ground: Ground) -> str:
    """A visitor logs in at the victim's; the id of the session."""
    unique = uuid.uuid4().hex
    ground.asking_victim("/session.php?in=1", f"Cookie: PHPSESSID={unique}")
    return unique


@attack("session: listed", "I08, SEC-38")
def sessions_listed(ground: Ground) -> Outcome:
    unique = session_of_victim(ground)
    answer = ground.php(f"echo implode(' ', @scandir('{ground.victim.sessions}') ?: [{TELL}]);")
    return succeeded("its id was seen") if unique in answer.body else by_php(answer.body)


@attack("session: read", "I08, SEC-38")
def session_read(ground: Ground) -> Outcome:
    return reading(ground, [f"{ground.victim.sessions}/sess_{session_of_victim(ground)}"])


@attack("session: made for the victim to believe", "I08, SEC-38")
def session_made(ground: Ground) -> Outcome:
    unique = uuid.uuid4().hex
    path = f"{ground.victim.sessions}/sess_{unique}"
    planted = ground.php(f"echo @file_put_contents('{path}', 'user|s:5:\"admin\";') ? 'planted' : {TELL};")
    answer = ground.asking_victim("/session.php", f"Cookie: PHPSESSID={unique}")
    return succeeded(answer.body) if "user=admin;" in answer.body else by_php(planted.body)


@attack("temporary file: read", "I08")
def tmp_read(ground: Ground) -> Outcome:
    return reading(ground, [ground.asking_victim("/tmp.php").body])


@attack("temporary file: planted", "I08")
def tmp_planted(ground: Ground) -> Outcome:
    """Applications look there for what they have cached, under names that everybody knows."""
    answer = ground.php(
        f"echo @file_put_contents('{ground.victim.tmp}/cache.php', '<?php echo \"planted\";') ? 'x' : {TELL};"
    )
    seen = ground.asking_victim("/cache.php")
    return succeeded(seen.body) if "planted" in seen.body else by_php(answer.body)


# ---------------------------------------------------------------- the opcode cache


def apart(ground: Ground) -> str:
    """What keeps sites out of each other's cached scripts; where PHP is in Apache, they have one cache."""
    return CACHE if ground.engine == "mpm_itk" else OWN_PROCESS


@attack("opcache: scripts of the victim listed", "I07, SEC-07")
def cache_listed(ground: Ground) -> Outcome:
    ground.asking_victim("/index.php")
    answer = ground.php("echo 'cached: ', implode(' ', array_keys(opcache_get_status()['scripts'] ?? []));")
    if ground.victim.root + "/" in answer.body:
        return succeeded("listed")
    return because(answer.body.startswith("cached: "), apart(ground), answer)


@attack("opcache: a cached script of the victim included", "I07, SEC-07")
def cache_included(ground: Ground) -> Outcome:
    """Only the victim may read it; from a common cache it comes without being read."""
    ground.asking_victim("/index.php")
    answer = ground.php(f"""
    @include '{ground.victim.root}/private.php';
    echo defined('OF_THE_VICTIM') ? OF_THE_VICTIM : {TELL};
    """)
    if ground.secret in answer.body:
        return succeeded(answer.body)
    return because("Failed opening" in answer.body, apart(ground), answer)


@attack("opcache: emptied for the victim", "I07, SEC-07")
def cache_emptied(ground: Ground) -> Outcome:
    count = ground.asking_victim("/resets.php").body
    done = [ground.php(code).body for code in ("echo opcache_reset() ? 'done' : '';", "echo 'done';")]
    after = ground.asking_victim("/resets.php").body
    if count != after:
        return succeeded(after)
    # nobody may so much as ask a common one
    held = (
        done == ["", "done"] if ground.engine == "mpm_itk" else done == ["done", "done"] and after.isdigit()
    )
    return because(held, apart(ground), f"{done}; {count} resets before, {after} after")
