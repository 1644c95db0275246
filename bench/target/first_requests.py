"""Ask sites that sleep for their first page: prints the milliseconds of each, as JSON.

usage: first_requests.py SITE...
"""

import http.client
import json
import sys
import time


def milliseconds(name):
    """How long the page took, connection included."""
    started = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=30)
    connection.request("GET", "/", headers={"Host": f"{name}.bench.test"})
    answer = connection.getresponse()
    body = answer.read().decode()
    spent = (time.perf_counter() - started) * 1000
    connection.close()
    if answer.status != 200 or body.strip() != name:
        sys.exit(f"{name}: {answer.status} {body!r}, where the site's own account should answer")
    return spent


print(json.dumps([milliseconds(name) for name in sys.argv[1:]]))
