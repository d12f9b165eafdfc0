"""Replies that were recorded once, replayed on a plain socket: whole, cut, or in two.

What the node seals to depends on the request's ephemeral key, so these are fixed here,
and only here: the same reply then answers every request.
"""

import contextlib
import re
import socket
import threading
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from plain_socket import SECONDS

from atoma_confidential.envelope import _seal

_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


def sealed_alike(recipient, plaintext):
    """Seal as `seal` does, but under the same keys each time."""
    return _seal(
        recipient,
        plaintext,
        private_key=X25519PrivateKey.from_private_bytes(bytes(range(32))),
        salt=bytes(range(16)),
        nonce=bytes(range(12)),
    )


@dataclass(frozen=True)
class Sent:
    """What is written in answer to one request, and whether that is the end.

    The next is written when the client has read the one before.
    """

    writes: tuple[bytes, ...]
    hang_up: bool = False


def whole(reply):
    return Sent((reply,))


def cut(reply, at):
    """The reply ends in the middle, and the connection with it, in good order."""
    return Sent((reply[:at],), hang_up=True)


def split(reply, at):
    """The client is given one part of the reply, and then the other."""
    return Sent((reply[:at], reply[at:]))


def ended(reply, at):
    """The body ends after so many bytes, with all that HTTP wants of an end."""
    head, body = parted(reply)
    if is_chunked(head):
        part = payload(reply)[:at]
        return Sent((head + (chunk(part) if part else b"") + b"0\r\n\r\n",))
    return Sent((_LENGTH.sub(b"content-length: %d" % at, head) + body[:at],))


def unframed(reply, at):
    """The body ends after so many bytes where the connection ends, as HTTP allows."""
    head, _ = parted(reply)
    lines = [
        line
        for line in head.split(b"\r\n")
        if not line.lower().startswith((b"content-length", b"transfer-encoding"))
    ]
    return Sent((b"\r\n".join(lines) + payload(reply)[:at],), hang_up=True)


def parted(reply):
    """The head with its blank line, and the body as it was framed."""
    head, end, body = reply.partition(_HEAD_END)
    return head + end, body


def is_chunked(head):
    return b"transfer-encoding: chunked" in head.lower()


def payload(reply):
    """The body without the framing of chunks."""
    head, rest = parted(reply)
    if not is_chunked(head):
        return rest
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        body += rest[: int(size, 16)]
        rest = rest[int(size, 16) + 2 :]
    return body


def chunk(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


def replies_of(received):
    """What came on one connection, reply by reply; a stream is the last."""
    replies = []
    while received:
        head, rest = parted(received)
        length = len(rest) if is_chunked(head) else int(_LENGTH.search(head)[1])
        replies.append(head + rest[:length])
        received = rest[length:]
    return replies


class Replay:
    """A server that answers each request with what is next in its script.

    Attributes:
        script: What is still to be sent.
        asked: The requests as they came.
        read: Released when the client has read something.
    """

    def __init__(self):
        self.script = []
        self.asked = []
        self.read = threading.Semaphore(0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._talks = []
        self._door = threading.Thread(target=self._accept)
        self._door.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self):
        _shut(self._listener)
        self._door.join()
        self._listener.close()
        for peer, thread in self._talks:
            _shut(peer)
            thread.join()
            peer.close()

    def _accept(self):
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._converse, args=(peer,))
            thread.start()
            self._talks = [talk for talk in self._talks if talk[1].is_alive()]
            self._talks.append((peer, thread))

    def _converse(self, peer):
        with peer, contextlib.suppress(OSError):
            while request := _request(peer):
                self.asked.append(request)
                if self._answer(peer, self.script.pop(0)).hang_up:
                    peer.shutdown(socket.SHUT_WR)
                    return

    def _answer(self, peer, sent):
        while self.read.acquire(blocking=False):
            pass  # what was read of replies before this one
        first, *others = sent.writes
        peer.sendall(first)
        for data in others:
            if not self.read.acquire(timeout=SECONDS):
                raise TimeoutError("nobody reads")  # and hang up: the test will tell
            peer.sendall(data)
        return sent


def _shut(one):
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)


def _request(peer):
    """One request, whole; nothing if the client has hung up."""
    data = b""
    while _HEAD_END not in data:
        if not (more := peer.recv(65536)):
            return b""
        data += more
    head, body = parted(data)
    missing = int(_LENGTH.search(head)[1]) - len(body)
    while missing > 0:
        more = peer.recv(65536)
        data, missing = data + more, missing - len(more)
    return data
