"""A server and its clients on plain sockets: which bytes come, and how they end."""

import contextlib
import socket
import threading

import pytest

SECONDS = 20  # until a test gives up on what must come
MOMENT = 0.05  # for what must not come

BODY = b"hello " * 20
EVENTS = [b'data: {"n":%d,"text":"abcdef"}\n\n' % n for n in range(4)]


def chunk(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


class Server:
    """Answers each request with the same bytes, and notes what arrived, and when."""

    def __init__(self, answer):
        self.answer = answer
        self.seen = []
        self.arrived = threading.Semaphore(0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._peers = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self):
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self._peers.append(peer)
            thread = threading.Thread(target=self._serve, args=(peer,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, peer):
        request = b""
        while data := _received(peer):
            self.seen.append(data)
            self.arrived.release()
            request += data
            if request.endswith(b"END"):
                peer.sendall(self.answer)
                request = b""
        self.seen.append(b"")
        self.arrived.release()

    def close(self):
        for open_socket in (self._listener, *self._peers):
            _shut(open_socket)
        for thread in self._threads:
            thread.join()


def _received(peer):
    try:
        return peer.recv(65536)
    except OSError:
        return b""


def _shut(open_socket):
    with contextlib.suppress(OSError):
        open_socket.shutdown(socket.SHUT_RDWR)
    open_socket.close()


def request(path="/v1/x"):
    return b"POST %b HTTP/1.1\r\nContent-Length: 3\r\n\r\nEND" % path.encode()


def whole(body=BODY):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def stream(*events):
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    # Cut without regard to where events end, as a network may.
    body = b"".join((b": keep-alive\n\n", *events))
    pieces = [body[start : start + 20] for start in range(0, len(body), 20)]
    return head + b"".join(map(chunk, pieces)) + b"0\r\n\r\n"


CLOSED, RESET, OPEN = "closed", "reset", "open"
LAST_CHUNK = b"0\r\n\r\n"


def read(one, *, count=0, until=None):
    """Return what comes, until there is enough of it or it ends; and how it ended."""
    data = b""
    one.settimeout(SECONDS)
    while len(data) < count or (until and not data.endswith(until)):
        try:
            piece = one.recv(65536)
        except ConnectionResetError:
            return data, RESET
        if not piece:
            return data, CLOSED
        data += piece
    return data, OPEN


def expect(one, data, end):
    """Check that these bytes come, and then this end, or for a moment nothing."""
    assert read(one, count=len(data)) == (data, OPEN)
    if end is not OPEN:
        assert read(one, count=1) == (b"", end)
        return
    one.settimeout(MOMENT)
    with pytest.raises(TimeoutError):
        one.recv(1)


def ask(one, data, end, path="/v1/x"):
    one.sendall(request(path))
    expect(one, data, end)


def arrived(server, expected):
    """Check that the server gets this and then the end."""
    while b"" not in server.seen:
        assert server.arrived.acquire(timeout=SECONDS)
    assert b"".join(server.seen) == expected


def events_of(data):
    """The body with its chunks undone, without the comment; and whether it ended."""
    body, rest, ended = b"", data.partition(b"\r\n\r\n")[2], False
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        ended = length == 0
        body += rest[:length]
        rest = rest[length + 2 :]
    return body.replace(b": keep-alive\n\n", b""), ended
