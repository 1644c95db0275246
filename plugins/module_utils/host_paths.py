# Copyright: the webhosting.fastcgi authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where things are on a host: the one place that spells out a directory of the collection."""

from __future__ import annotations

SITES_ROOT = "/var/www/sites"
STATE_ROOT = "/var/lib/fastcgi"
LOG_ROOT = "/var/log/fastcgi"
SOCKET_ROOT = "/run/fastcgi"
WAY_ROOT = f"{SOCKET_ROOT}/way"
"""For root alone, with a link for each site to where Apache finds its socket."""
BIND_ROOT = f"{SOCKET_ROOT}/bind"
"""Where systemd makes the sockets: for root alone, and the only names of them that the kernel tells."""
STATUS_ROOT = f"{SOCKET_ROOT}/status"
CONFIG_ROOT = "/etc/fastcgi"
PHP_CGI_ROOT = f"{CONFIG_ROOT}/php-cgi"
"""What php-cgi behind a socket reads of each site: its settings, and the script that answers the probe."""

MOD_PHP_ROOT = f"{CONFIG_ROOT}/mod_php"
"""Where that script is for sites whose PHP is a part of Apache."""

PHP_ROOT = "/etc/php"
APACHE_ROOT = "/etc/apache2"
UNIT_ROOT = "/etc/systemd/system"
WRAPPER_ROOT = "/var/www/wrapper"
VIRTUAL_ROOT = "/var/www/fastcgi"
"""Paths by which mod_fastcgi knows the PHP behind a socket: no files, or links to document roots."""

PREPEND = "/usr/local/lib/fastcgi/virtual.php"
"""What runs before each script of a site with a virtual directory."""

SUEXEC_ROOT = "/var/www"
"""Where the distribution's suEXEC runs programs. That of the package apache2-suexec-custom can be told."""

PING_PATH = "/fastcgi-ping"
"""What Apache answers by asking a site's PHP whether it is there, for config_set's probe alone."""

PHP_PATH = "/fastcgi-php"
"""Where mod_actions sends requests for scripts on to, for mod_fastcgi to take them. Nobody can ask there."""


def within(inner: str, outer: str) -> bool:
    """Whether a path is another one or lies below it."""
    return (inner + "/").startswith(outer.rstrip("/") + "/")
