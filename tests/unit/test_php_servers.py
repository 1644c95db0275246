"""What stands behind an address: the corpus has a host's files for each case, and beside them what is found.

`host` of a case holds the files, expected.json what is asked and what is the answer, each with its line. What
is asked is an address or a wrapper, and after it perhaps a document root and a server name.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.webhosting.fastcgi.plugins.module_utils.php_servers import PhpServers
from ansible_collections.webhosting.fastcgi.plugins.module_utils.source import Tree

CORPUS = Path(__file__).resolve().parents[1] / "corpus" / "php"
CASES = sorted(path.name for path in CORPUS.iterdir())


def expected_of(case):
    return json.loads((CORPUS / case / "expected.json").read_text())


def test_each_case_expects_something():
    assert CASES
    for case in CASES:
        assert (CORPUS / case / "host").is_dir()
        assert expected_of(case)["behind"]


@pytest.mark.parametrize("case", CASES)
def test_corpus(case):
    expected = expected_of(case)
    servers = PhpServers(Tree(str(CORPUS / case / "host")))
    for question, answers in expected["behind"].items():
        address, _, site = question.partition(" ")
        document_root, _, server_name = site.partition(" ")
        backend = servers.wrapper(address) if address.startswith("/var/www/") else servers.behind(address)
        if answers is None:
            assert backend is None, question
            continue
        assert backend is not None, question
        php = {name: value for name, value in answers.items() if name.startswith("php ")}
        found = {name: str(getattr(backend, name)) for name in answers if name not in php}
        assert found == {name: value for name, value in answers.items() if name not in php}, question
        for name, value in php.items():
            setting = backend.php(name[len("php ") :], document_root, server_name)
            assert f"{setting.setting}{', locked' if setting.locked else ''}" == value, f"{question}: {name}"
    assert sorted(str(problem) for problem in servers.problems) == expected["problems"]
