"""From a program to what people see of it: packages, a run in its environment, its page, pictures of the page.

A `Runner` puts the pieces together: `Builder` installs what the warm packages lack, an environment runs the program in
a jail, `AppHost` gives its page an origin of its own, `Browser` looks at it. All that is the program's doing ends in an
`Execution`; only a missing sandbox raises.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from homespun.records import Execution
from homespun.sandbox.apps import AppHost
from homespun.sandbox.browser import Action, Browser, Shot
from homespun.sandbox.build import Builder, Built
from homespun.sandbox.environments import environment
from homespun.sandbox.environments.types import Layers, Picture, Ran, Service, Work
from homespun.sandbox.environments.waiting import Warm
from homespun.sandbox.jail import jail as jail_of
from homespun.sandbox.jail.types import Bounds
from homespun.sandbox.reply import Dependency, Found, fill_placeholders
from homespun.sandbox.templates import layers as warm_layers

LOOKS = (0.0, 2.0, 5.0)
"""Seconds after the page has loaded at which it is looked at."""
SERVED = ("gradio", "streamlit", "pygame")
"""Environments whose app is a process: it lives as long as it is played with."""
PLAY = (Action(kind="click"), Action(kind="key", key="Space"))
"""What wakes a game before its picture is taken (bigcodearena, AutoCodeArena's way)."""

Log = Callable[[str, str], None]
"""Called with a stream (``build``, ``run``, ``stdout``, ``stderr``) and a text."""


@dataclass(frozen=True, kw_only=True)
class Played:
    """One run of a program, and the way to its page while that is open."""

    execution: Execution
    url: str | None = None
    pictures: tuple[Picture, ...] = ()
    shots: tuple[Shot, ...] = ()
    build_log: str = ""
    notes: tuple[str, ...] = ()
    dependencies: tuple[Dependency, ...] = ()


class Runner:
    """Runs programs, at most ``jobs`` at a time.

    Args:
        jail: ``bubblewrap`` or ``gvisor``.
        host: Where pages are served.
        browser: What looks at them, started when there is something to see; None: no pictures are taken.
        cache: Folder of installed packages and of what the registries said.
        bounds: What one program may use.
        app_seconds: How long the process of an app may live.
        jobs: Programs that are built or run at the same time.
        warm: Keep a jail waiting for each kind of app (half a gigabyte of memory), so that it starts at once.
        looks: Seconds after a page has loaded at which it is looked at.
        look_later: Return before the looks; `look` takes them.

    Raises:
        SandboxError: the jail or the warm packages are not there.
    """

    def __init__(
        self,
        *,
        jail: str = "bubblewrap",
        host: AppHost,
        browser: Browser | None,
        cache: Path,
        bounds: Bounds | None = None,
        app_seconds: float = 1800.0,
        jobs: int = 2,
        warm: bool = False,
        looks: Sequence[float] = LOOKS,
        look_later: bool = False,
    ) -> None:
        self._jail = jail_of(jail)
        self._layers: Layers = warm_layers()
        self._builder = Builder(self._layers, cache=cache, jail=self._jail)
        self._host, self._browser = host, browser
        self._bounds = bounds or Bounds()
        self._lasting = replace(self._bounds, seconds=app_seconds)
        self._warm = Warm(self._layers, self._jail, self._lasting) if warm else None
        self._turn = asyncio.Semaphore(jobs)
        self._looking = asyncio.Lock()
        self._open, self._looks, self._look_later = False, looks, look_later
        self._pages: dict[str, tuple[str, Sequence[Action]]] = {}

    async def run(
        self,
        found: Found,
        *,
        run_id: str,
        dependencies: Sequence[Dependency] | None = None,
        on_log: Log | None = None,
    ) -> Played:
        """Runs one program; never raises for what it does. A page stays open until `close_run`.

        Args:
            found: The program.
            run_id: Names the run and the origin of its page: letters, digits and hyphens.
            dependencies: Packages instead of those that were found.
            on_log: Hears what goes on.

        Raises:
            SandboxError: the jail, the browser or what the environment needs is not there.
        """
        wanted = tuple(found.dependencies if dependencies is None else dependencies)
        say: Log = on_log or (lambda stream, text: None)
        async with self._turn:
            say("build", "")
            built = await asyncio.to_thread(self._builder.build, wanted)
            say("build", built.log)
            if built.failed is not None:  # the program may do without, or says itself what it lacks
                say("build", f"packages: {built.failed}")
            say("run", "")
            ran = await self._ran(found, run_id, built)
            played = await self._shown(found, run_id, ran)
        failed = {"packages": built.failed} if built.failed is not None else {}
        notes = tuple(f"{name}: {text}" for name, text in {**failed, **built.notes, **ran.notes}.items())
        return replace(played, build_log=built.log, notes=notes, dependencies=wanted)

    async def look(self, run_id: str) -> Sequence[Shot]:
        """Looks at a run's page with our own browser, once; none where it has no page that is open, or nobody looks.

        Raises:
            SandboxError: the browser is not there or does not start.
        """
        page = self._pages.pop(run_id, None)
        if self._browser is None or page is None:
            return ()
        await self._open_eyes(self._browser)
        url, actions = page
        return await self._browser.look(url, at=self._looks, actions=actions)

    async def close_run(self, run_id: str) -> None:
        """Closes a run's page and ends its process; unknown runs are fine."""
        self._pages.pop(run_id, None)
        await asyncio.to_thread(self._host.withdraw, run_id)

    async def close(self) -> None:
        """Ends what it keeps open; the host and the browser are the caller's."""
        await asyncio.to_thread(self._builder.close)
        if self._warm is not None:
            await asyncio.to_thread(self._warm.close)

    async def _ran(self, found: Found, run_id: str, built: Built) -> Ran:
        serves = found.environment in SERVED
        work = Work(
            id=run_id,
            found=found.model_copy(update={"code": fill_placeholders(found.code)}),
            layers=replace(self._layers, own_python=built.own_python, own_node=built.own_node),
            bounds=self._lasting if serves else self._bounds,
        )
        run = environment(found.environment)
        waiting = {"warm": self._warm} if serves else {}
        running = asyncio.create_task(asyncio.to_thread(run, work, self._jail, **waiting))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            running.add_done_callback(_ended)  # a thread cannot be stopped: what it starts is ended when it comes back
            raise

    async def _shown(self, found: Found, run_id: str, ran: Ran) -> Played:
        execution = _execution(found, run_id, ran)
        if ran.app is None:
            return Played(execution=execution, pictures=ran.pictures)
        url = self._host.publish(run_id, ran.app)
        self._pages[run_id] = (url, PLAY if found.environment == "pygame" else ())
        shots = () if self._look_later else await self.look(run_id)
        if isinstance(ran.app, Service):
            stdout, stderr = ran.app.running.said()
            execution = execution.model_copy(update={"stdout": stdout, "stderr": stderr})
        return Played(execution=execution, url=url, pictures=ran.pictures, shots=tuple(shots))

    async def _open_eyes(self, browser: Browser) -> None:
        async with self._looking:
            if not self._open:
                await browser.start(self._host.socket)
                self._open = True


@asynccontextmanager
async def open_runner(
    *,
    jail: str = "bubblewrap",
    cache: Path,
    apps_port: int = 0,
    pattern: str = "http://{run}.localhost:{port}",
    parents: Sequence[str] = (),
    look: bool = True,
    bounds: Bounds | None = None,
    jobs: int = 2,
    warm: bool = False,
) -> AsyncGenerator[Runner]:
    """A runner with a host and a browser of its own; all of it ends with the block.

    Raises:
        SandboxError: a piece of it is missing; says what to install.
    """
    host = AppHost()
    await host.start(port=apps_port, pattern=pattern, parents=parents)
    browser = Browser() if look else None
    runner = None
    try:
        runner = Runner(jail=jail, host=host, browser=browser, cache=cache, bounds=bounds, jobs=jobs, warm=warm)
        yield runner
    finally:
        if runner is not None:
            await runner.close()
        if browser is not None:
            await browser.close()
        await host.close()


def _ended(running: "asyncio.Task[Ran]") -> None:
    """Ends the app of a run that nobody waits for any more."""
    if not running.cancelled() and running.exception() is None and isinstance(app := running.result().app, Service):
        running.get_loop().run_in_executor(None, _end, app)


def _end(app: Service) -> None:
    app.running.kill()
    app.inlet.close()


def _execution(found: Found, run_id: str, ran: Ran) -> Execution:
    return Execution(
        sample_id=run_id,
        language=found.language,
        environment=found.environment,
        status=ran.status,
        exit_code=ran.exit_code,
        stdout=ran.stdout,
        stderr=ran.stderr,
        seconds=ran.seconds,
        files=ran.files,
    )
