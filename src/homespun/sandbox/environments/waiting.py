"""Apps of Python programs: a jail that has loaded its library and waits, the program's way in, and the word "ready".

A job is started before its program is known. It imports the library (Gradio takes seconds) and listens at the port
at which the app will be; the program comes over that port, once (`environments/python/hand_over.py` is the other end).
`Warm` keeps such jobs at hand. Each serves one program and is gone with it: no program meets another's process.
"""

import json
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from homespun.errors import SandboxError
from homespun.sandbox.environments.types import OWN_PYTHON, PYTHON_PACKAGES, Layers, Ran, Service, Work
from homespun.sandbox.jail import system
from homespun.sandbox.jail.inlet import Inlet
from homespun.sandbox.jail.types import Bind, Bounds, Jail, Job, Outcome
from homespun.sandbox.reply import Found

INSIDE = Path(__file__).with_name("python")
RUNNER = "/sandbox"
IDLE_SECONDS = 3600.0
"""How long a job may wait for its program, beside the time that it may serve it."""
LONGEST_WORD = 1 << 16
REST_SECONDS = 2.0
"""Between a job's being taken and the start of the next: loading a library takes a processor for a second or two, just
when the page of the app that was taken is being drawn."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One library whose programs are apps."""

    name: str
    module: str
    port: int
    start_seconds: float = 30.0
    """An app that has not answered by then never will."""
    memory_mb: int = 1024
    """What the library needs at least, MiB."""
    shipped: Mapping[str, str] = field(default_factory=dict[str, str])
    """Where what it ships for browsers lies among the packages, by the start of the addresses."""

    def folders(self, layers: Layers) -> dict[str, Path]:
        """The same as folders; none for a program that brought a version of its own."""
        if layers.own_python is not None and (layers.own_python / self.name).exists():
            return {}
        return {start: layers.python / place for start, place in self.shipped.items()}


STREAMLIT = Kind(name="streamlit", module="streamlit_app", port=8501, shipped={"/static/": "streamlit/static/static"})
GRADIO = Kind(
    name="gradio",
    module="gradio_app",
    port=7860,
    start_seconds=60.0,
    shipped={f"/{name}/": f"gradio/templates/frontend/{name}" for name in ("assets", "static")},
)
PYGAME = Kind(name="pygame", module="pygame_app", port=8080, memory_mb=512)


def variables(**further: str) -> dict[str, str]:
    """The environment variables of every Python program, and ``further`` ones."""
    return {
        "PYTHONPATH": f"{RUNNER}:{OWN_PYTHON}:{PYTHON_PACKAGES}",
        "PYTHONUTF8": "1",
        "MPLBACKEND": "agg",
        "MPLCONFIGDIR": "/tmp/matplotlib",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        **further,
    }


def binds(layers: Layers) -> tuple[Bind, ...]:
    """Where a Python program finds its packages and our runner."""
    found = [Bind(outside=layers.python, inside=PYTHON_PACKAGES), Bind(outside=INSIDE, inside=f"{RUNNER}/inside")]
    if layers.own_python is not None:
        found.append(Bind(outside=layers.own_python, inside=OWN_PYTHON))
    return tuple(found)


class Waiting:
    """A job that loads its library and waits for a program. Closes its inlet and ends the job unless it was served."""

    def __init__(self, kind: Kind, layers: Layers, jail: Jail, bounds: Bounds, *, preload: bool = False) -> None:
        """Starts the job.

        Raises:
            SandboxError: the jail cannot be had.
        """
        self.kind, self._folders = kind, kind.folders(layers)
        self.inlet = Inlet()
        life = replace(
            bounds,
            seconds=bounds.seconds + (IDLE_SECONDS if preload else 0.0),
            cpu_seconds=max(bounds.cpu_seconds, int(bounds.seconds)),
            memory_mb=max(bounds.memory_mb, kind.memory_mb),
        )
        words = (system.PYTHON, "-P", "-m", f"inside.{kind.module}", str(kind.port))
        job = Job(
            argv=(*words, "--preload") if preload else words,
            binds=binds(layers),
            variables=variables(PYTHONUNBUFFERED="1"),
            bounds=life,
            gate=self.inlet.gate(kind.port),
        )
        try:
            self.running = jail.start(job)
        except BaseException:
            self.inlet.close()
            raise

    def serve(self, found: Found, seconds: float) -> Ran:
        """Hands the program over and waits until its app can be looked at, has failed, or has taken too long.

        Args:
            found: The program.
            seconds: How long to wait, unless the kind gives up earlier.
        """
        seconds = min(seconds, self.kind.start_seconds)
        started = time.monotonic()
        word = self._hand_over(found, started + seconds)
        passed = time.monotonic() - started
        if word is not None:
            out, error = self.running.said()
            app = Service(inlet=self.inlet, running=self.running, shipped=self._folders)
            return Ran(status="ok", stdout=out, stderr=error, seconds=passed, app=app, notes=word)
        if self.running.alive and passed >= seconds:
            outcome = self.close()
            text = f"stopped: no app answered within {seconds:g} s"
            return _told(replace(outcome, status="timeout", exit_code=None), passed, text)
        outcome = self.running.wait() if not self.running.alive else self.close()
        self.inlet.close()
        return _told(outcome, passed, "the program ended before its app answered" if outcome.exit_code == 0 else "")

    def close(self) -> Outcome:
        """Ends the job, closes the inlet."""
        outcome = self.running.kill()
        self.inlet.close()
        return outcome

    def _hand_over(self, found: Found, deadline: float) -> dict[str, str] | None:
        sent = json.dumps({"name": found.filename, "code": found.code}).encode() + b"\n"
        pause = 0.005
        while (left := deadline - time.monotonic()) > 0 and self.running.alive:
            try:
                with self.inlet.dial_now(min(left, 0.5)) as line:
                    line.settimeout(max(0.001, deadline - time.monotonic()))
                    line.sendall(sent)
                    word = _word(line)
                if word is not None:
                    return word
            except (TimeoutError, OSError):
                pass
            time.sleep(pause)  # nobody listens yet: the library is being loaded
            pause = min(0.03, pause * 1.5)
        return None


class Warm:
    """Waiting jobs, one per kind, each replaced `REST_SECONDS` after it is taken.

    Only programs that need no packages of their own, in the same jail and within the same bounds, can have one.

    Args:
        layers: The warm packages.
        jail: Where the jobs wait.
        bounds: What each may use; ``seconds`` counts from when a program is served.
        kinds: Which libraries wait. All three take about half a gigabyte of memory.
    """

    def __init__(
        self, layers: Layers, jail: Jail, bounds: Bounds, kinds: tuple[Kind, ...] = (STREAMLIT, GRADIO, PYGAME)
    ) -> None:
        self._layers, self._jail, self._bounds = layers, jail, bounds
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._waiting: dict[str, Waiting] = {}
        self._starting: list[threading.Thread] = []
        for kind in kinds:
            self._put(kind)

    def take(self, kind: Kind, work: Work, jail: Jail) -> Waiting | None:
        """A job that waits for a program such as this, and is now the caller's; None if there is none."""
        if jail.name != self._jail.name or work.layers != self._layers or work.bounds != self._bounds:
            return None
        with self._lock:
            waiting = self._waiting.pop(kind.name, None)
        if waiting is None:
            return None
        self._replace(kind)
        if waiting.running.alive:
            return waiting
        waiting.close()
        return None

    def close(self) -> None:
        """Ends all that wait."""
        with self._lock:
            self._closed.set()
            starting, self._starting = self._starting, []
        for thread in starting:
            thread.join()
        with self._lock:
            waiting, self._waiting = list(self._waiting.values()), {}
        for one in waiting:
            one.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _replace(self, kind: Kind) -> None:
        thread = threading.Thread(target=self._put_later, args=(kind,), daemon=True)
        with self._lock:
            if not self._closed.is_set():
                self._starting = [*(one for one in self._starting if one.is_alive()), thread]
                thread.start()

    def _put_later(self, kind: Kind) -> None:
        if not self._closed.wait(REST_SECONDS):
            self._put(kind)

    def _put(self, kind: Kind) -> None:
        try:
            waiting = Waiting(kind, self._layers, self._jail, self._bounds, preload=True)
        except SandboxError:
            return
        with self._lock:
            if not self._closed.is_set() and kind.name not in self._waiting:
                self._waiting[kind.name] = waiting
                return
        waiting.close()


def run_app(kind: Kind, work: Work, jail: Jail, warm: Warm | None = None) -> Ran:
    """Runs a program of this kind in a waiting job, or in one started for it.

    Args:
        kind: The program's library.
        work: The program; ``bounds.seconds`` is how long its app may live.
        jail: Where to run it.
        warm: Jobs that wait for a program.

    Raises:
        SandboxError: the jail cannot be had.
    """
    waiting = warm.take(kind, work, jail) if warm is not None else None
    if waiting is None:
        waiting = Waiting(kind, work.layers, jail, work.bounds)
    try:
        return waiting.serve(work.found, work.bounds.seconds)
    except BaseException:
        waiting.close()
        raise


def _word(line: socket.socket) -> dict[str, str] | None:
    """The notes that come with the word "ready"; None if the line ends without it."""
    told = b""
    while not told.endswith(b"\n"):
        block = line.recv(4096)
        if not block or len(told) > LONGEST_WORD:
            return None
        told += block
    try:
        notes = json.loads(told)["notes"]
        return {str(key)[:100]: str(value)[:1000] for key, value in notes.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}  # a program that spoke in our place: it has an app to show, or a page that says it has none


def status_of(outcome: Outcome) -> Outcome:
    """The outcome, with the status ``memory`` where Python itself ran out of it."""
    last = outcome.stderr.rstrip().rsplit("\n", 1)[-1]
    if outcome.status == "failed" and ("MemoryError" in last.split(":")[0] or last.startswith("MemoryError")):
        return replace(outcome, status="memory")
    return outcome


def _told(outcome: Outcome, seconds: float, why: str) -> Ran:
    outcome = status_of(outcome)
    stderr = "\n".join(part for part in (outcome.stderr.rstrip("\n"), why) if part)
    status = "failed" if outcome.status == "ok" else outcome.status
    return Ran(
        status=status, exit_code=outcome.exit_code, stdout=outcome.stdout, stderr=stderr, seconds=seconds, notes={}
    )
