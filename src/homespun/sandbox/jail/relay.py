"""Runs inside the jail, before the job's own command: ties a port of the loopback to the gate.

``relay.py in PORT -- COMMAND``: keeps some connections to the gate on offer; one that the host has taken (its first
byte has come) is joined to PORT, where the command serves. ``relay.py out PORT -- COMMAND``: listens at PORT and joins
what connects there to the gate. The relay ends with the command, with its exit code.

It runs as the job's user, so a hostile command can do to it whatever it likes: what the relay does is for the job
alone, and nothing outside may rely on it. It uses nothing but the standard library, and neither ``site`` nor any other
file of the job.
"""

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys

GATE = "/run/gate"
LOOPBACK = "127.0.0.1"
OFFERS = 8
"""Connections on offer at a time."""
MOST_PAIRS = 256
"""Connections that are joined at a time; more must wait."""
BLOCK = 1 << 16
MOST_WAITING = 4 * BLOCK
"""Bytes that are read from one side before the other has taken them."""
RETRY_SECONDS = 0.1


def _noticed(_number: int, _frame: object) -> None:
    """A handler must be there for a signal to wake us."""


def _ended(number: int, _frame: object) -> None:
    os._exit(128 + number)


class Pair:
    """Two sockets that are joined: what one says, the other hears, each direction until it is closed."""

    def __init__(self, left: socket.socket, right: socket.socket) -> None:
        self.ends = (left, right)
        self.waiting = (bytearray(), bytearray())  # for left, for right
        self.reading = [True, True]  # from left, from right
        self.writing = [True, True]  # to left, to right

    def move(self, here: int, mask: int) -> None:
        """Moves what can be moved at end ``here`` without waiting; raises OSError when an end is broken."""
        there = 1 - here
        if mask & selectors.EVENT_READ and self.reading[here]:
            with contextlib.suppress(BlockingIOError):
                block = self.ends[here].recv(BLOCK)
                self.waiting[there].extend(block)
                self.reading[here] = bool(block)
        for side in (0, 1):
            if self.waiting[side]:
                with contextlib.suppress(BlockingIOError):
                    del self.waiting[side][: self.ends[side].send(self.waiting[side])]
            if self.writing[side] and not self.waiting[side] and not self.reading[1 - side]:
                self.writing[side] = False
                self.ends[side].shutdown(socket.SHUT_WR)

    def events(self, side: int) -> int:
        """What to wait for at an end."""
        wanted = 0
        if self.reading[side] and len(self.waiting[1 - side]) < MOST_WAITING:
            wanted |= selectors.EVENT_READ
        if self.waiting[side]:
            wanted |= selectors.EVENT_WRITE
        return wanted

    @property
    def done(self) -> bool:
        """Whether both directions are closed."""
        return not any(self.writing)


class Relay:
    """All connections between PORT and the gate, in one thread."""

    def __init__(self, direction: str, port: int) -> None:
        self.port = port
        self.inward = direction == "in"
        self.selector = selectors.DefaultSelector()
        self.pairs: dict[socket.socket, Pair] = {}
        self.offers: set[socket.socket] = set()
        self.listener: socket.socket | None = None
        self.awake, woken = socket.socketpair()  # a signal writes to it: the command's end is seen at once
        for end in (self.awake, woken):
            end.setblocking(False)
        self.selector.register(self.awake, selectors.EVENT_READ)
        signal.signal(signal.SIGCHLD, _noticed)
        signal.set_wakeup_fd(woken.detach(), warn_on_full_buffer=False)
        if not self.inward:
            self.listener = socket.create_server((LOOPBACK, port), backlog=64)
            self.listener.setblocking(False)
            self._watch(self.listener, selectors.EVENT_READ)

    def turn(self) -> None:
        """Waits until something can be moved, and moves it."""
        if self.inward:
            self._offer()
        elif self.listener is not None:
            full = len(self.pairs) >= 2 * MOST_PAIRS
            self._watch(self.listener, 0 if full else selectors.EVENT_READ)
        waits = self.inward and len(self.offers) < OFFERS
        for key, mask in self.selector.select(RETRY_SECONDS if waits else None):
            end = key.fileobj
            assert isinstance(end, socket.socket)
            if end is self.awake:
                with contextlib.suppress(BlockingIOError):
                    self.awake.recv(BLOCK)
            elif end is self.listener:
                self._accept()
            elif end in self.offers:
                self._taken(end)
            elif end in self.pairs:
                self._move(end, mask)

    def _offer(self) -> None:
        while len(self.offers) < OFFERS and len(self.pairs) < 2 * MOST_PAIRS:
            end = self._connected()
            if end is None:
                return
            self.offers.add(end)
            self._watch(end, selectors.EVENT_READ)

    def _connected(self) -> socket.socket | None:
        """A connection to the gate, or None if nobody listens there or too many wait."""
        end = socket.socket(socket.AF_UNIX)
        end.setblocking(False)
        try:
            end.connect(GATE)
        except OSError:
            end.close()
            return None
        return end

    def _taken(self, end: socket.socket) -> None:
        self.offers.discard(end)
        self._watch(end, 0)
        try:
            if not end.recv(1, socket.MSG_PEEK):
                raise ConnectionResetError
            server = socket.socket()
            server.setblocking(False)
            server.connect_ex((LOOPBACK, self.port))  # as long as it is on its way it neither takes nor says anything
            self._join(end, server)
        except BlockingIOError:
            self.offers.add(end)
            self._watch(end, selectors.EVENT_READ)
        except OSError:
            end.close()

    def _accept(self) -> None:
        assert self.listener is not None
        try:
            end, _ = self.listener.accept()
        except OSError:
            return
        gate = self._connected()
        if gate is None:
            end.close()
        else:
            self._join(end, gate)

    def _join(self, left: socket.socket, right: socket.socket) -> None:
        pair = Pair(left, right)
        for end in pair.ends:
            end.setblocking(False)
            self.pairs[end] = pair
            self._watch(end, selectors.EVENT_READ)

    def _move(self, end: socket.socket, mask: int) -> None:
        pair = self.pairs[end]
        try:
            pair.move(pair.ends.index(end), mask)
        except OSError:
            self._close(pair)
            return
        if pair.done:
            self._close(pair)
            return
        for side in (0, 1):
            self._watch(pair.ends[side], pair.events(side))

    def _watch(self, end: socket.socket, events: int) -> None:
        known = self.selector.get_map().get(end)
        if events and known is None:
            self.selector.register(end, events)
        elif events and known is not None and known.events != events:
            self.selector.modify(end, events)
        elif not events and known is not None:
            self.selector.unregister(end)

    def _close(self, pair: Pair) -> None:
        for end in pair.ends:
            self._watch(end, 0)
            self.pairs.pop(end, None)
            end.close()


def main() -> int:
    """Runs the command beside the relay; returns its exit code."""
    direction, port = sys.argv[1], int(sys.argv[2])
    relay = Relay(direction, port)
    # what we were handed (a browser's pipes, say) is the command's; our own descriptors are closed on exec
    child = subprocess.Popen(sys.argv[sys.argv.index("--") + 1 :], close_fds=False)
    while child.poll() is None:
        relay.turn()
    return 128 - child.returncode if child.returncode < 0 else child.returncode


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _ended)
    sys.exit(main())
