"""The tree keeps its promises: every role is documented, and every scenario tests something."""

import ast
import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.webhosting.fastcgi.plugins.module_utils import sites as model

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path for path in ROOT.glob("roles/*") if path.is_dir())
SCENARIOS = sorted(path.parent for path in ROOT.glob("molecule/*/molecule.yml"))


def by_name(paths):
    """Parametrize over paths, each shown by its last part."""
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.name)


def test_functions(scenario):
    """Names of the test functions that pytest would collect from a scenario."""
    return [
        node.name
        for file in scenario.glob("tests/**/test_*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]


test_functions.__test__ = False


def main_options(role):
    """The options in the argument specification of a role's main entry point."""
    specs = yaml.safe_load((role / "meta/argument_specs.yml").read_text())
    return specs["argument_specs"]["main"].get("options", {})


def defaults(role):
    """The defaults of a role; a role without the file has none."""
    file = role / "defaults/main.yml"
    return (yaml.safe_load(file.read_text()) or {}) if file.exists() else {}


def is_expression(value):
    """Whether a default is computed, so that the specification cannot hold its value."""
    return "{{" in yaml.safe_dump(value, width=float("inf"))


@by_name(SCENARIOS)
def test_scenario_has_a_test(path):
    # Molecule passes in silence over a scenario without one.
    assert test_functions(path), f"molecule/{path.name}/tests holds no test function"


@by_name(ROLES)
def test_role_has_a_scenario_of_its_name(path):
    assert ROOT / "molecule" / path.name in SCENARIOS


@by_name(ROLES)
def test_every_default_is_documented(path):
    undocumented = set(defaults(path)) - set(main_options(path))
    assert not undocumented, "in defaults/main.yml, not in meta/argument_specs.yml"


@by_name(ROLES)
def test_every_documented_default_is_real(path):
    """An option says its default where defaults/main.yml gives one; a computed one is left to prose."""
    real = defaults(path)
    for name, option in main_options(path).items():
        if "default" in option:
            assert name in real, (
                f"{name}: a default in meta/argument_specs.yml alone has no effect on the role"
            )
            assert option["default"] == real[name], f"{name}: the two files disagree about the default"
        elif name in real:
            assert is_expression(real[name]), f"{name}: its default is missing in meta/argument_specs.yml"


@by_name(ROLES)
def test_no_option_is_both_required_and_has_a_default(path):
    contradictory = [
        name
        for name, option in main_options(path).items()
        if option.get("required") and name in defaults(path)
    ]
    assert not contradictory


@pytest.mark.parametrize("engine", model.ENGINES)
@pytest.mark.parametrize("role", ["site_accounts", "apache_vhost"])
def test_role_for_all_sites_names_only_fields_that_each_engine_has(role, engine):
    (site,) = model.resolve([{"name": "a", "server_name": "a.example", "engine": engine}])
    files = [*ROOT.glob(f"roles/{role}/vars/*.yml"), *ROOT.glob(f"roles/{role}/tasks/*.yml")]
    named = {field for file in files for field in re.findall(r"(?<!\{)\{([a-z_]+)\}", file.read_text())}
    assert named
    assert named <= set(site)
