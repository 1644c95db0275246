"""One call for all sites: no task of a role or a playbook repeats itself per site."""

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(
    [*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("roles/*/handlers/*.yml"), *ROOT.glob("playbooks/*.yml")]
)


def tasks_in(node):
    """Every task in a file, those in plays and blocks included."""
    for task in node or []:
        yield task
        for part in ("tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always"):
            yield from tasks_in(task.get(part))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_loops_run_over_fixed_lists_alone(file):
    for task in tasks_in(yaml.safe_load(file.read_text())):
        for key, value in task.items():
            if key == "loop" or key.startswith("with_"):
                assert isinstance(value, list), f"{task.get('name')}: {key} runs over {value}"
