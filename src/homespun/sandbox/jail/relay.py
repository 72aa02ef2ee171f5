"""Runs inside the jail, before the job's own command: ties a port of the loopback to the gate.

``relay.py in PORT -- COMMAND``: keeps connections to the gate on offer; one that the host has taken (its first byte
has come) is joined to PORT, where the command serves. ``relay.py out PORT -- COMMAND``: listens at PORT and joins what
connects there to the gate. The relay ends with the command, with its exit code.
"""

import os
import selectors
import signal
import socket
import subprocess
import sys

GATE = "/run/gate"
OFFERS = 8
BLOCK = 1 << 16


class Pair:
    """Two sockets, what has been read from each and is still to be written to the other."""

    def __init__(self, left: socket.socket, right: socket.socket) -> None:
        self.ends = (left, right)
        self.waiting = (bytearray(), bytearray())  # for left, for right
        self.open = [True, True]  # may still be read


class Relay:
    def __init__(self, direction: str, port: int) -> None:
        self.port = port
        self.selector = selectors.DefaultSelector()
        self.pairs: dict[socket.socket, Pair] = {}
        self.offers: set[socket.socket] = set()
        self.direction = direction
        if direction == "out":
            self.listener = socket.create_server(("127.0.0.1", port), backlog=64)
            self.listener.setblocking(False)
            self.selector.register(self.listener, selectors.EVENT_READ)

    def turn(self) -> None:
        if self.direction == "in":
            self._offer()
        for key, mask in self.selector.select(0.25):
            end = key.fileobj
            if self.direction == "out" and end is self.listener:
                self._accept()
            elif end in self.offers:
                self._taken(end)
            elif end in self.pairs:
                self._move(end, mask)

    def _offer(self) -> None:
        while len(self.offers) < OFFERS:
            end = socket.socket(socket.AF_UNIX)
            try:
                end.connect(GATE)
            except OSError:
                end.close()
                return
            end.setblocking(False)
            self.offers.add(end)
            self.selector.register(end, selectors.EVENT_READ)

    def _taken(self, end: socket.socket) -> None:
        self.offers.discard(end)
        self.selector.unregister(end)
        try:
            if not end.recv(1, socket.MSG_PEEK):
                raise OSError
            self._join(end, socket.create_connection(("127.0.0.1", self.port), 5))
        except OSError:
            end.close()

    def _accept(self) -> None:
        try:
            end, _ = self.listener.accept()
        except OSError:
            return
        gate = socket.socket(socket.AF_UNIX)
        try:
            gate.connect(GATE)
        except OSError:
            end.close()
            gate.close()
            return
        self._join(end, gate)

    def _join(self, left: socket.socket, right: socket.socket) -> None:
        pair = Pair(left, right)
        for end in pair.ends:
            end.setblocking(False)
            self.pairs[end] = pair
            self.selector.register(end, selectors.EVENT_READ)

    def _move(self, end: socket.socket, mask: int) -> None:
        pair = self.pairs[end]
        here = pair.ends.index(end)
        there = 1 - here
        try:
            if mask & selectors.EVENT_READ:
                block = end.recv(BLOCK)
                if block:
                    pair.waiting[there].extend(block)
                else:
                    pair.open[here] = False
            for side in (here, there):
                if pair.waiting[side]:
                    try:
                        del pair.waiting[side][: pair.ends[side].send(pair.waiting[side])]
                    except BlockingIOError:
                        pass
                if not pair.waiting[side] and not pair.open[1 - side]:
                    pair.ends[side].shutdown(socket.SHUT_WR)
                    pair.open[1 - side] = None
        except BlockingIOError:
            pass
        except OSError:
            self._close(pair)
            return
        if all(state is None for state in pair.open):
            self._close(pair)
            return
        for side in (0, 1):
            events = 0
            if pair.open[side] and len(pair.waiting[1 - side]) < BLOCK * 4:
                events |= selectors.EVENT_READ
            if pair.waiting[side]:
                events |= selectors.EVENT_WRITE
            self._watch(pair.ends[side], events)

    def _watch(self, end: socket.socket, events: int) -> None:
        known = end in self.selector.get_map()
        if events and known:
            self.selector.modify(end, events)
        elif events:
            self.selector.register(end, events)
        elif known:
            self.selector.unregister(end)

    def _close(self, pair: Pair) -> None:
        for end in pair.ends:
            self._watch(end, 0)
            self.pairs.pop(end, None)
            end.close()


def main() -> int:
    direction, port = sys.argv[1], int(sys.argv[2])
    command = sys.argv[sys.argv.index("--") + 1 :]
    relay = Relay(direction, port)
    child = subprocess.Popen(command, close_fds=False)  # a browser's pipes are its own; ours do not outlive exec
    while child.poll() is None:
        relay.turn()
    code = child.returncode
    return 128 - code if code < 0 else code


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
    sys.exit(main())
