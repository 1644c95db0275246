"""What holds for the whole server, also in virtual hosts of the operator's own."""

import pytest

VHOST = r"""
<VirtualHost *:80>
    ServerName plain.example
    DocumentRoot /var/www/plain
</VirtualHost>
"""


@pytest.fixture(scope="module", autouse=True)
def plain(host):
    """A virtual host that says nothing of its own."""
    host.check_output(
        "mkdir -p /var/www/plain && cd /var/www/plain && mkdir -p list .git .well-known/acme-challenge && "
        "echo x | tee list/a .git/config .env .well-known/acme-challenge/token .well-known/security.txt && "
        "printf %%s %s > /etc/apache2/sites-enabled/plain.conf && systemctl reload apache2",
        VHOST,
    )
    yield
    host.check_output(
        "rm -r /var/www/plain /etc/apache2/sites-enabled/plain.conf && systemctl reload apache2"
    )


def test_answers_do_not_say_which_apache_it_is(get):
    """SEC-48."""
    answer = get("http://plain.example/nothing")
    assert answer.headers["server"] == "Apache"
    assert "Apache/" not in answer.body
    assert "<address>" not in answer.body


def test_no_request_is_sent_back(get):
    """SEC-48."""
    assert get("http://plain.example/", "--request", "TRACE").status == 405


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("list/", 403),
        ("list/a", 200),
        (".git/config", 403),
        (".git/", 403),
        (".env", 403),
        ("%2egit/config", 403),
        ("list/../.git/config", 403),
        (".well-known/acme-challenge/token", 200),
        (".well-known/security.txt", 200),
    ],
)
def test_files_with_a_dot_and_lists_are_refused(get, path, status):
    """SEC-25, SEC-48."""
    assert get(f"http://plain.example/{path}").status == status
