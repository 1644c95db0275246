"""What the tests of this scenario share."""

import pytest


@pytest.fixture
def run_as(host, get):
    """Have a site run some PHP, and return the answer."""
    roots = {"uk": "/var/www/sites/uk", "de": "/srv/de/htdocs"}

    def run_as(name, code):
        script = f"{roots[name]}/try.php"
        host.check_output(f"printf '<?php %%s' %s > {script} && chown {name}:www-data {script}", code)
        return get(f"http://{name}.example/try.php")

    return run_as
