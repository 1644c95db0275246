"""Ask for a page of each host in turn until stopped, and note every answer as a line of JSON."""

import http.client
import json
import sys
import time

PAUSE = 0.02


def ask(host):
    """Status and beginning of the body; status 0 is a request that got no answer."""
    connection = http.client.HTTPConnection("127.0.0.1", timeout=20)
    try:
        connection.request("GET", "/whoami.php", headers={"Host": host})
        response = connection.getresponse()
        return response.status, response.read(500).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, repr(error)
    finally:
        connection.close()


with open(sys.argv[1], "w", buffering=1) as out:
    while True:
        for host in sys.argv[2:]:
            status, body = ask(host)
            out.write(json.dumps({"host": host, "status": status, "body": body}) + "\n")
            time.sleep(PAUSE)
