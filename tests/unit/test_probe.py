"""The FastCGI probe behind real sockets, with nobody there who speaks FastCGI."""

import contextlib
import socket

import pytest
from ansible_collections.webhosting.fastcgi.plugins.module_utils import probe


@pytest.fixture
def listener(tmp_path, monkeypatch):
    """A socket with room for connections that wait, and its path."""
    monkeypatch.setattr(probe, "PATIENCE", 0.2)
    path = str(tmp_path / "a.sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen(8)
        yield server, path


def client(path):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    return contextlib.closing(connection)


def test_nobody_takes_a_connection(listener):
    _server, path = listener
    with pytest.raises(socket.timeout):
        probe.answered([path])


def test_all_workers_are_busy_with_others(listener):
    """Somebody has taken a connection, and ours waits behind it."""
    server, path = listener
    with client(path), contextlib.closing(server.accept()[0]):
        probe.answered([path])


def test_our_connection_is_taken_and_not_answered(listener):
    server, path = listener
    with client(path):
        taken = [server.accept()[0]]
        server.settimeout(1)
        try:
            with socket.socket(socket.AF_UNIX) as ours:
                ours.connect(path)
                taken.append(server.accept()[0])
                assert not probe.busy(path)
        finally:
            for connection in taken:
                connection.close()


def test_busy_workers_are_no_excuse_for_the_address_that_has_its_own(listener):
    server, path = listener
    with client(path), contextlib.closing(server.accept()[0]), pytest.raises(socket.timeout):
        probe.answered([path, path])
