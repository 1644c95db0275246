"""Both sides of every comparison: what the module foretells, and what suEXEC then does."""

import json
import shlex
from pathlib import Path

import pytest

CONVERGE = Path(__file__).resolve().parents[1] / "converge.yml"


@pytest.fixture(scope="module")
def shell(host):
    """Run a script on the host under test, as root."""
    return lambda script: host.check_output(f"bash -eu -c {shlex.quote(script)}")


@pytest.fixture(scope="module")
def choose(shell):
    """Make one of Debian's two suexec the one that Apache uses."""
    return lambda flavour: shell(f"update-alternatives --set suexec /usr/lib/apache2/suexec-{flavour}")


@pytest.fixture(scope="module")
def tell(host):
    """Ask a program on the host under test in JSON."""

    def tell(program, question):
        given = shlex.quote(json.dumps(question))
        return json.loads(host.check_output(f"bash -c {shlex.quote(f'python3 {program} <<< {given}')}"))

    return tell


@pytest.fixture(scope="module")
def ask(play, tmp_path_factory):
    """What the module says of wrappers, in one run; without any, of those that it finds."""

    def ask(wrappers=None):
        file = tmp_path_factory.mktemp("answer") / "verdicts.json"
        question = {"fail": False} if wrappers is None else {"fail": False, "wrappers": wrappers}
        done = play(CONVERGE, {"question": question, "answer_file": str(file)})
        assert done.returncode == 0, done.stdout
        return json.loads(file.read_text())

    return ask


@pytest.fixture(scope="module")
def observe(tell):
    """What suEXEC does with them, called as Apache calls it."""
    return lambda calls: tell("/opt/call_suexec.py", calls)


@pytest.fixture(scope="module")
def foretold():
    """The part of a verdict that can be observed."""
    return lambda verdict: {"exit_code": verdict["exit_code"], "log": verdict["log"]}
