"""docs/htaccess.md tells of each directive that a tenant may use, and of no other."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/htaccess.md").read_text()
ALLOWED = yaml.safe_load((ROOT / "roles/apache_vhost/vars/main.yml").read_text())


def names_in(text):
    return re.findall(r"`(<?[A-Z][A-Za-z]+)`", text)


def test_each_directive_of_safe_has_its_reason():
    rows = re.findall(r"^\| (`[^|]*) \| ([^|]+) \|$", TEXT.split("\n## ", 1)[0], re.MULTILINE)
    told = [name for names, _reason in rows for name in names_in(names)]
    assert sorted(told) == ALLOWED["__apache_vhost_safe"]


def test_each_directive_of_trusted_is_told():
    (paragraph,) = re.findall(r"^## With `htaccess: trusted`\n\n(.+?)\n\n", TEXT, re.MULTILINE | re.DOTALL)
    told = [name for name in names_in(paragraph) if name.startswith("Rewrite")]
    assert sorted(told) == ALLOWED["__apache_vhost_rewriting"]
