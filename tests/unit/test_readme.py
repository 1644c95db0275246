"""The README describes the model that there is."""

import re
from pathlib import Path

import pytest
from ansible_collections.webhosting.fastcgi.plugins.module_utils import sites, timeouts

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()


def table_after(heading):
    """The first table after a heading: the first column without its quotes, mapped to the second."""
    rows = re.findall(
        r"^\| `([a-z_]+)` \| (.*?) \|", README.split(heading, 1)[1].split("\n## ", 1)[0], re.MULTILINE
    )
    return dict(rows)


def test_every_field_of_a_site_is_described():
    assert set(table_after("## The list of sites")) == {*sites.FIELDS, *sites.TABLES}


@pytest.mark.parametrize("field", ["htaccess", "engine", "pm", "limits", "writable_paths", "wrapper_root"])
def test_the_defaults_are_the_real_ones(field):
    told = table_after("## The list of sites")[field].strip("`")
    real = sites.DEFAULTS[field]
    shown = (
        "{" + ", ".join(f"{key}: {value}" for key, value in real.items()) + "}"
        if isinstance(real, dict)
        else real
    )
    assert told == str(shown)


def test_every_clock_that_can_be_set_is_described():
    assert set(table_after("## Timeouts")) == set(timeouts.SETTABLE)


def test_the_worked_example_is_right():
    chain = timeouts.derive({"max_execution_time": 300})
    assert "305, 15 (a heartbeat of 5), 315, 310 and 315" in README
    assert chain.as_dict() == {
        "max_execution_time": 300,
        "request_terminate_timeout": 305,
        "request_slowlog_timeout": 15,
        "heartbeat": 5,
        "proxy_timeout": 315,
        "process_control_timeout": 310,
        "stop_timeout": 315,
    }
