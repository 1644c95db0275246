"""phpMyAdmin behind a php-cgi of its own: the package's code, and the database of the host."""

import json
import re
import uuid
from urllib.parse import urlencode

import pytest


class Keeper:
    """Somebody who is logged in, and does what phpMyAdmin's own scripts do in a browser."""

    def __init__(self, browser, page):
        self.browser = browser
        self.token = re.search(r'name="token" value="([^"]+)"', page.body)[1]

    def ask(self, route, **fields):
        fields = {"ajax_request": "true", "server": "1", "token": self.token, **fields}
        page = self.browser.get(f"/index.php?route={route}", "--data", urlencode(fields))
        assert page.status == 200, page
        return json.loads(page.body)


def log_in(browser, password):
    form = browser.get("/")
    return browser.submit(form, {"pma_username": "keeper", "pma_password": password})


@pytest.fixture(scope="module")
def keeper(browse):
    browser = browse("database")
    page = log_in(browser, "only-for-this-test")
    assert "route=/logout" in page.body, page
    return Keeper(browser, page)


def test_a_wrong_password_is_refused(browse):
    page = log_in(browse("database"), "a guess")
    assert "route=/logout" not in page.body
    assert "Access denied" in page.body


def test_a_query_is_answered(keeper):
    answer = keeper.ask("/sql", db="store", sql_query="SELECT CURRENT_USER() AS me, 6 * 7 AS product")
    assert answer["success"], answer
    assert "keeper@localhost" in answer["message"]
    assert ">42<" in re.sub(r"\s+", "", answer["message"])


def test_a_file_of_statements_is_imported(host, keeper):
    """One of more than a megabyte."""
    table = f"t{uuid.uuid4().hex[:8]}"
    path = f"/tmp/{table}.sql"
    script = f"""
print("CREATE TABLE {table} (number INT, words TEXT);")
for number in range(1500):
    print(f"INSERT INTO {table} VALUES ({{number}}, '{{'words ' * 150}}');")
"""
    host.check_output("python3 -c %s > %s", script, path)
    form = keeper.browser.get("/index.php?route=/database/import&db=store")
    keeper.browser.submit(form, {"db": "store", "format": "sql"}, import_file=path)
    found = host.check_output(f"mariadb -N store -e 'SELECT COUNT(*), SUM(number) FROM {table}'")
    assert found.split() == ["1500", str(sum(range(1500)))]


@pytest.mark.parametrize(
    "path", ["/js/vendor/jquery/jquery.min.js", "/themes/pmahomme/css/theme.css", "/favicon.ico"]
)
def test_its_static_files_come_from_apache(browse, path):
    """Some are links to what other packages have."""
    answer = browse("database").get(path, "--output", "/dev/null")
    assert (answer.status, answer.runs_as) == (200, "")


@pytest.mark.parametrize(
    "path",
    ["/libraries/vendor_config.php", "/libraries/", "/templates/home/index.twig", "/sql/create_tables.sql"],
)
def test_its_inside_is_not_served(browse, path):
    answer = browse("database").get(path)
    assert (answer.status, answer.runs_as) == (403, "")


def test_its_settings_and_the_other_sites_databases_are_closed_to_it(host):
    """The account of PHP is what the database knows a site by."""
    asking = "runuser -u %s -- mariadb %s -e 'SHOW TABLES'"
    assert host.run(asking, "blog", "blog").rc == 0
    assert host.run(asking, "blog", "knowledge").rc != 0
    assert host.run(asking, "database", "blog").rc != 0
