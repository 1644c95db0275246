"""Ask a FastCGI server for one script, as Apache would, and print as JSON what came back.

usage: fastcgi-request SOCKET SCRIPT
"""

import json
import os
import socket
import struct
import sys
import time

HEADER = struct.Struct(">BBHHBx")  # version, type, request, length, padding
BEGIN, END, PARAMS, STDIN, STDOUT, STDERR = 1, 3, 4, 5, 6, 7
RESPONDER = 1


def record(kind, content=b""):
    return HEADER.pack(1, kind, 1, len(content), 0) + content


def pair(name, value):
    name, value = name.encode(), value.encode()
    return struct.pack(">II", len(name) | 1 << 31, len(value) | 1 << 31) + name + value


def request(script):
    params = {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "REQUEST_METHOD": "GET",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SCRIPT_FILENAME": script,
        "SCRIPT_NAME": "/" + os.path.basename(script),
        "REQUEST_URI": "/" + os.path.basename(script),
        "QUERY_STRING": "",
    }
    content = b"".join(pair(name, value) for name, value in params.items())
    begin = record(BEGIN, struct.pack(">HB5x", RESPONDER, 0))
    return begin + record(PARAMS, content) + record(PARAMS) + record(STDIN)


def response(stream):
    """Headers and body, what went to the error stream, and whether the server ended the request itself."""
    output, errors = b"", b""
    while True:
        header = stream.read(HEADER.size)
        if len(header) < HEADER.size:
            return output, errors, False
        _, kind, _, length, padding = HEADER.unpack(header)
        content = stream.read(length + padding)[:length]
        if kind == STDOUT:
            output += content
        elif kind == STDERR:
            errors += content
        elif kind == END:
            return output, errors, True


def main(path, script):
    started, output, errors, ended, failure = time.monotonic(), b"", b"", False, None
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.settimeout(60)
            server.connect(path)
            server.sendall(request(script))
            output, errors, ended = response(server.makefile("rb"))
    except OSError as error:
        failure = error.strerror or str(error)
    head, _, body = output.decode(errors="replace").partition("\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.split("\r\n") if ": " in line)
    answer = {
        "status": int(headers.get("Status", "200").split()[0]) if ended else None,
        "body": body,
        "errors": errors.decode(errors="replace"),
        "ended": ended,
        "failure": failure,
        "seconds": time.monotonic() - started,
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
