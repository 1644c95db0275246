"""Which modules of Apache change for MPM ITK, and what there is to give back; no Apache takes part."""

import json

import pytest
from ansible_collections.webhosting.fastcgi.plugins.module_utils import apache_mpm, services

ALL = "CapInh:\t0000000000000000\nCapBnd:\t000001ffffffffff\n"
DOCKER = "CapBnd:\t00000000a80425fb\n"
UNIT = "cap_chown cap_dac_read_search cap_setgid cap_setuid cap_sys_nice"

CAPABILITIES = [
    (ALL, "", []),
    (ALL, UNIT, []),
    (DOCKER, "", ["DAC_READ_SEARCH", "SYS_NICE"]),
    (ALL, UNIT.replace(" cap_sys_nice", ""), ["SYS_NICE"]),
    (DOCKER, UNIT.replace(" cap_setuid", ""), ["DAC_READ_SEARCH", "SETUID", "SYS_NICE"]),
    ("CapBnd:\t0000000000000000\n", "", ["DAC_READ_SEARCH", "SETGID", "SETUID", "SYS_NICE"]),
]


@pytest.mark.parametrize(("status", "unit", "missing"), CAPABILITIES)
def test_capability_counts_where_host_and_unit_both_have_it(status, unit, missing):
    assert apache_mpm.missing_capabilities(status, unit) == missing


# what is enabled, then: the way there, off and on; and back again
WAYS = [
    (["mpm_event"], (["mpm_event"], ["mpm_prefork", "mpm_itk", "php8.2"])),
    (["mpm_worker", "ssl"], (["mpm_worker"], ["mpm_prefork", "mpm_itk", "php8.2"])),
    (["mpm_prefork"], ([], ["mpm_itk", "php8.2"])),
    (["mpm_prefork", "php8.2"], ([], ["mpm_itk"])),
    (["mpm_prefork", "php7.4"], (["php7.4"], ["mpm_itk", "php8.2"])),
    (["mpm_itk", "mpm_prefork", "php8.2"], ([], [])),
]


@pytest.mark.parametrize(("enabled", "way"), WAYS)
def test_what_there_was_comes_back(enabled, way):
    assert apache_mpm.way_there(enabled, "php8.2") == way
    record = json.loads(json.dumps(apache_mpm.record(enabled, "php8.2")))
    off, on = way
    there = sorted({*enabled, *on} - {*off})
    off, on = apache_mpm.way_back(there, record)
    assert sorted({*there, *on} - {*off}) == sorted(enabled)


def test_apache_that_came_with_the_first_site_gets_the_distributions_mpm():
    record = apache_mpm.record([], "php8.2")
    assert apache_mpm.way_back(["mpm_itk", "mpm_prefork", "php8.2"], record) == (
        ["mpm_itk", "php8.2", "mpm_prefork"],
        ["mpm_event"],
    )
    assert apache_mpm.way_back([], record) == ([], [])


def test_another_version_of_php_is_given_back_as_well():
    first = apache_mpm.record(["mpm_event"], "php8.2")
    now = ["mpm_itk", "mpm_prefork", "php8.2"]
    assert apache_mpm.record(now, "php8.2", first) == first
    second = apache_mpm.record(now, "php8.4", first)
    assert apache_mpm.way_there(now, "php8.4") == (["php8.2"], ["php8.4"])
    assert apache_mpm.way_back(["mpm_itk", "mpm_prefork", "php8.4"], second) == (
        ["mpm_itk", "php8.4", "mpm_prefork"],
        ["mpm_event"],
    )


def test_modules_are_as_before_where_apache_does_not_take_them(monkeypatch):
    """Also where that comes out half way."""
    enabled = {"mpm_event"}

    def run(argv):
        name = argv[-1]
        if argv[0] == "a2dismod":
            enabled.discard(name)
        elif argv[0] == "a2enmod":
            if name == "php8.2":
                raise services.ServiceError("there is no such module")
            enabled.add(name)
        return ""

    apache = apache_mpm.Apache("php8.2", run)
    monkeypatch.setattr(apache, "enabled", lambda: sorted(enabled))
    monkeypatch.setattr(apache_mpm.services, "managed", lambda: False)
    off, on = apache_mpm.way_there(sorted(enabled), "php8.2")
    with pytest.raises(services.ServiceError, match="no such module\nEverything is as it was before"):
        apache.change(off, on)
    assert enabled == {"mpm_event"}
