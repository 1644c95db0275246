"""docs/timeouts.md says what the rules say."""

import re
from pathlib import Path

from ansible_collections.webhosting.fastcgi.plugins.module_utils.timeout_rules import RULES

TEXT = (Path(__file__).resolve().parents[2] / "docs/timeouts.md").read_text()


def test_every_rule_is_in_the_table_as_it_is():
    rows = [tuple(row.split(" | ")[:3]) for row in re.findall(r"^\| ([A-Z]+.*) \|$", TEXT, re.MULTILINE)]
    told = [row for row in rows if re.fullmatch(r"[A-Z]{3}-\d+|BODY", row[0])]
    assert told == [
        (rule.id, rule.severity + (" *" if rule.at_restart else ""), rule.title) for rule in RULES.values()
    ]
