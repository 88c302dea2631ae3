"""Coverage-guided fuzzing of the wire format and the server (not part of pytest; needs ``pip install atheris``).

    python tests/fuzz_wire.py -runs=1000000 -max_len=4096

Each input is a client's whole stream, cut into pieces; it goes through the codec and, over a socket pair, through
a pool with another client in it. An input is a failure if anything but a `ProtocolError` is raised by the codec, if
anything at all is raised by the pool, if the parser keeps more than a message, or if the other client is harmed.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(
    include=["tempest_gym.protocol", "tempest_gym.server.pool", "tempest_gym.server.episodes"]
):
    from test_protocol import sample

    from tempest_gym.protocol import (
        PROTOCOL_VERSION,
        FrameDecoder,
        Hello,
        MessageParser,
        ProtocolError,
        encode_frame,
        encode_hello,
    )
    from tempest_gym.server.pool import ClientPool

LARGEST = 4096 + 2
HELLO, PACKET = encode_hello(Hello(PROTOCOL_VERSION)), encode_frame(sample())
STARTS = [b"", b"\0\0", HELLO, b"\0\0" + PACKET, HELLO + PACKET]


def pieces_of(data: bytes) -> list[bytes]:
    """Turn an input into the pieces of a stream: perhaps a known start, then cuts chosen by the input."""
    provider = atheris.FuzzedDataProvider(data)
    stream = provider.PickValueInList(STARTS)
    pieces = [stream] if stream else []
    while provider.remaining_bytes():
        pieces.append(provider.ConsumeBytes(provider.ConsumeIntInRange(1, 900)))
    return pieces


def codec(pieces: list[bytes]) -> None:
    """Feed the parser and decode its messages."""
    parser, decoder = MessageParser(), FrameDecoder()
    parser.response_limit = 64
    try:
        for piece in pieces:
            for message in parser.feed(piece):
                if isinstance(message, bytes):
                    decoder.decode(message)
            assert len(parser._pending) <= LARGEST, "the parser keeps more than a message"
    except ProtocolError:
        return


class Server:
    """A pool with a well-behaved client in it."""

    def __init__(self) -> None:
        self.pool = ClientPool(port=0, count=2, hello_deadline=3600, deadline=3600)
        self.good = self.join()
        self.good.sendall(HELLO + PACKET)
        self.serve()
        assert len(self.pool.clients()) == 1

    def join(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        self.pool._adopt(theirs, "127.0.0.1")
        ours.settimeout(5)
        return ours

    def serve(self) -> None:
        arrivals = self.pool.recv(0)
        self.pool.send(arrivals.ids, [33] * len(arrivals.ids))

    def run(self, pieces: list[bytes]) -> None:
        stranger = self.join()
        for piece in pieces:
            try:
                stranger.sendall(piece)
            except OSError:
                break
            self.serve()
        stranger.close()
        for _ in range(6):
            if len(self.pool._clients) == 1:
                break
            self.serve()
        assert len(self.pool._clients) == 1, "the stranger stays"
        self.good.recv(64)
        self.good.sendall(PACKET)
        self.serve()
        assert len(self.pool.clients()) == 1, "another client was harmed"


def main() -> None:
    """Fuzz until ``-runs`` is reached."""
    logging.disable(logging.CRITICAL)
    server = Server()
    runs = 0

    def one(data: bytes) -> None:
        nonlocal runs
        pieces = pieces_of(data)
        codec(pieces)
        server.run(pieces)
        runs += 1
        if runs % 50_000 == 0:
            resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20
            files = len(os.listdir("/proc/self/fd"))
            sys.stderr.write(f"{runs} inputs, {resident} MiB, {files} files, {dict(server.pool.dropped)}\n")

    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
