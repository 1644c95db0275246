"""What the tests of this scenario share: PHP code run by a site, asked for over its socket."""

import base64
import functools
import json
import shlex
import time
from dataclasses import dataclass

import pytest

ROOTS = {name: f"/srv/{name}/htdocs" for name in ("stranger", "host")}


@dataclass(frozen=True)
class Answer:
    """What fastcgi_request.py printed. Without `ended` the connection broke, and there is no status."""

    status: int | None
    body: str
    errors: str
    ended: bool
    failure: str | None
    seconds: float

    @property
    def json(self):
        return json.loads(self.body)


class Site:
    """A site on the host under test."""

    def __init__(self, host, name):
        self.host, self.name = host, name
        self.root = ROOTS.get(name, f"/var/www/sites/{name}")
        self.service = f"fastcgi-{name}.service"
        self.log = f"/var/log/fastcgi/{name}"

    @functools.cached_property
    def socket(self):
        """What Apache connects to, which root alone can look up."""
        return self.host.check_output(f"realpath /run/fastcgi/way/{self.name}/{self.name}.sock")

    def writing(self, script, code):
        """The command by which the tenant puts a script into its document root."""
        content = base64.b64encode(f"<?php {code}".encode()).decode()
        path = f"{self.root}/{script}"
        return f"echo {content} | base64 -d | runuser -u {self.name} -- tee {path} > /dev/null"

    def asking(self, script, user="www-data"):
        """The command by which Apache asks for a script."""
        client = "python3 /usr/local/lib/fastcgi-request.py"
        return f"runuser -u {user} -- {client} {self.socket} {self.root}/{script}"

    def run(self, code, script="test.php"):
        """Put a script into the document root, ask for it, and return the answer."""
        # its own name each time, so that no opcache has seen it
        script = f"{time.monotonic_ns()}-{script}"
        written, asked = self.writing(script, code), self.asking(script)
        return Answer(**json.loads(self.host.check_output(f"{written} && {asked}")))

    def together(self, *commands):
        """Run shell commands that ask for something at the same time; their answers in the same order."""
        each = "".join(f"({command}) > /run/answer-{number} & " for number, command in enumerate(commands))
        output = self.host.check_output(f"rm -f /run/answer-*; {each} wait; cat /run/answer-*")
        return [Answer(**json.loads(line)) for line in output.splitlines()]

    def one_after_another(self, *commands):
        """The answers of shell commands that ask for something."""
        return [Answer(**json.loads(self.host.check_output(command))) for command in commands]

    def show(self, property):
        return self.host.check_output("systemctl show --value --property %s %s", property, self.service)

    @property
    def master(self):
        return int(self.show("MainPID"))


@pytest.fixture(scope="module")
def site(host):
    """A site by its name."""
    return lambda name: Site(host, name)


@pytest.fixture(scope="module")
def alpha(host):
    return Site(host, "alpha")


@pytest.fixture(scope="module")
def beta(host):
    return Site(host, "beta")


@pytest.fixture(scope="module")
def cgi(host):
    """The one with php-cgi."""
    return Site(host, "cgi")


@pytest.fixture(scope="module")
def stranger(host):
    return Site(host, "stranger")


@pytest.fixture(scope="module")
def observed(host):
    """What side_effect.yml wrote down."""
    return lambda name: host.file(f"/var/lib/observed/{name}").content_string


@pytest.fixture(scope="module")
def as_user(host):
    """Run a shell command under an account, whatever its login shell."""
    return lambda user, command: host.run(f"runuser -u {user} -- sh -c {shlex.quote(command)}")
