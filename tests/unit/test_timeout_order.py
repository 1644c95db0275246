"""Whole hosts, as trees of files: what timeout_order finds on each."""

import json
from pathlib import Path

import pytest
from ansible_collections.webhosting.fastcgi.plugins.module_utils import (
    apache_config,
    apache_handlers,
    timeout_report,
)
from ansible_collections.webhosting.fastcgi.plugins.module_utils.php_servers import PhpServers
from ansible_collections.webhosting.fastcgi.plugins.module_utils.source import Tree
from ansible_collections.webhosting.fastcgi.plugins.module_utils.timeout_chains import chains
from ansible_collections.webhosting.fastcgi.plugins.module_utils.timeout_rules import judge

CORPUS = Path(__file__).resolve().parents[1] / "corpus" / "timeouts"
CASES = sorted(path.parent for path in CORPUS.glob("*/expected.json"))


def verdicts(case):
    tree = Tree(str(case))
    apache = apache_handlers.analyse(apache_config.read(tree))
    return [judge(chain) for chain in chains(apache, PhpServers(tree))]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_host_has_these_findings_and_no_other(case):
    found = {
        verdict.chain.server: {
            "findings": [finding.rule for finding in verdict.findings],
            "undecided": bool(verdict.undecided),
            "ok": verdict.ok,
        }
        for verdict in verdicts(case)
    }
    assert found == json.loads((case / "expected.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_value_in_a_finding_has_a_place_or_a_default(case):
    for verdict in verdicts(case):
        for finding in verdict.findings:
            for clock in finding.clocks.values():
                assert clock.setting.source or clock.setting.default_of


def test_a_page_that_fpm_answers_itself_is_no_way_to_php():
    """Its ping and its status wait for no script, however little patience Apache has with them."""
    ways = [verdict.chain.holds for verdict in verdicts(CORPUS / "ping_of_fpm")]
    assert ways == ["ProxyPassMatch ^/app$", ""]


def test_what_stands_for_the_ping_of_php_cgi_is_none_either():
    (verdict,) = verdicts(CORPUS / "php_cgi_behind_a_socket")
    clocks = {name: clock.setting.value for name, clock in verdict.chain.clocks.items()}
    assert (clocks["max_execution_time"], clocks["max_execution_time_locked"]) == (30, True)
    assert (clocks["default_socket_timeout"], clocks["proxy_timeout"], clocks["stop_timeout"]) == (34, 35, 35)
    assert (clocks["max_children"], clocks["backlog"]) == (10, 4096)


def test_the_classical_configuration_is_told_in_full():
    """TMO-03, with both values, where they stand, and what would do."""
    text = "\n".join(timeout_report.table(verdicts(CORPUS / "classical_margins")))
    for part in (
        "request_terminate_timeout + heartbeat (305 s + 101.67 s) is 406.67 s and exceeds",
        "request_terminate_timeout 305 (/etc/php/8.2/fpm/pool.d/0.conf:7)",
        "worker timeout 310 (/etc/apache2/sites-enabled/sites.conf:8)",
        "what would do: worker timeout of at least 407, or request_slowlog_timeout of at most 15",
    ):
        assert part in text
