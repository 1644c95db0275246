"""Pages about the server, and names of uploads that run although they should not (I09, M01)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable

from .ground import MAPPING, MODULES, WHO, Ground, Outcome, attack, because, by_apache, succeeded

PAGES = {
    "server-status": "Server uptime",
    "server-info": "Server Settings",
    "balancer-manager": "Load Balancer Manager",
}


def about_the_server(handler: str) -> Callable[[Ground], Outcome]:
    def run(ground: Ground) -> Outcome:
        """By a handler of one's own."""
        answer = ground.page({".htaccess": f"SetHandler {handler}\n", "page.html": "page"}, "page.html")
        return succeeded(PAGES[handler]) if PAGES[handler] in answer.body else by_apache(answer)

    return run


for handler in PAGES:
    attack(f"server: {handler} by SetHandler", "I09, SEC-28")(about_the_server(handler))


@attack("server: its own pages, asked for from the host", "I09, SEC-28")
def from_the_host(ground: Ground) -> Outcome:
    """A tenant's PHP is on the host, so what is for local clients is for it."""
    ports = ground.attacker.port
    code = f"""
    foreach (['server-status', 'server-info', 'balancer-manager'] as $page) {{
        foreach (['{ground.attacker.host}', '{ground.victim.host}', 'localhost', 'no.invalid'] as $host) {{
            $connection = fsockopen('127.0.0.1', {ports}, $number, $refusal, 5);
            fwrite($connection, "GET /$page HTTP/1.0\\r\\nHost: $host\\r\\n\\r\\n");
            $answer = stream_get_contents($connection);
            echo strtok($answer, "\\n"), preg_match('/Server uptime|Server Settings|Load Balancer/', $answer)
                ? " told by $page of $host" : '', '; ';
        }}
    }}
    """
    answer = ground.php(code)
    if "told by" in answer.body:
        return succeeded(answer.body)
    return because(answer.body.count("404 Not Found") == 12, MODULES, answer)


# What is uploaded, and what is asked for.
NAMES: dict[str, Sequence[tuple[str, str]]] = {
    "upload: something behind .php": (
        ("evil.php.jpg", "evil.php.jpg"),
        ("evil.php.bak", "evil.php.bak"),
        ("evil.php~", "evil.php~"),
        ("evil.php.", "evil.php."),
        ("evil.php ", "evil.php%20"),
        ("line.php\n", "line.php%0a"),
        ("line.php\n.jpg", "line.php%0a.jpg"),
        ("x.jpg", "x.php%00.jpg"),
        ("x.jpg", "x.jpg%00.php"),
    ),
    "upload: other suffixes of PHP": (
        ("x.phtml", "x.phtml"),
        ("x.phar", "x.phar"),
        ("x.php5", "x.php5"),
        ("x.pht", "x.pht"),
        ("x.phps", "x.phps"),
    ),
    "upload: other spellings": (("UP.PHP", "UP.PHP"), ("Mixed.Php", "Mixed.Php"), (".php", ".php")),
    "upload: an image with a script's name behind it": (
        ("evil.jpg", "evil.jpg/x.php"),
        ("evil.jpg", "evil.jpg/.php"),
        ("evil.jpg", "evil.jpg/%2e%2e/x.php"),
    ),
}


def upload(names: Sequence[tuple[str, str]]) -> Callable[[Ground], Outcome]:
    def run(ground: Ground) -> Outcome:
        """As an application takes it from a visitor; none of them may run."""
        answers = []
        for name, path in names:
            answers.append(ground.page({name: f"<?php {WHO}"}, path))
            if "ran-as=" in answers[-1].body and "<?php" not in answers[-1].body:
                return succeeded(f"{path!r}: {answers[-1]}")
        told = "; ".join(f"{path!r}: {answer.status}" for (_, path), answer in zip(names, answers))
        return because(all(answer.status in (200, 403, 404) for answer in answers), MAPPING, told)

    return run


for name, names in NAMES.items():
    attack(name, "M01, SEC-19, SEC-21, SEC-23")(upload(names))


@attack("file: dotfiles, copies and directories shown", "SEC-25, SEC-48")
def shown(ground: Ground) -> Outcome:
    """What an application left lying about in the victim's document root."""
    answers = {
        path: ground.asking_victim(path) for path in ("/.git/config", "/.env", "/config.php.bak", "/data/")
    }
    for path, answer in answers.items():
        if ground.secret in answer.body or "Index of" in answer.body:
            return succeeded(f"{path}: {answer}")
    told = "; ".join(f"{path}: {answer.status}" for path, answer in answers.items())
    return because(all(answer.status in (403, 404) for answer in answers.values()), MAPPING, told)


@attack("path info: access rule of the victim walked around", "M06, SEC-22")
def around_the_rule(ground: Ground) -> Outcome:
    """The victim has denied one script; the request names it in other ways."""
    paths = (
        "/denied.php",
        "/denied.php/x",
        "/denied.php/index.php",
        "//denied.php",
        "/./denied.php",
        "/denied%2ephp",
    )
    answers = {path: ground.asking_victim(path) for path in paths}
    for path, answer in answers.items():
        if ground.secret in answer.body:
            return succeeded(f"{path}: {answer}")
    return by_apache(answers["/denied.php"])
