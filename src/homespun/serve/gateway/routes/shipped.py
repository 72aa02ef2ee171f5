"""The router out of the box: fitted to the recorded answers, in its own process, once a recorded question has come.

The verdicts that ship (``data/verdicts``) become outcomes and a router in some 20 seconds. Until it is there the cheap
target answers. The folder is named after the code, so that another version of the code fits anew, and one process fits
for all: a lock keeps the others waiting, and they find the router made.
"""

import asyncio
import fcntl
import logging
import os
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

import polars as pl

from homespun.data import path
from homespun.router import fit, outcomes_from
from homespun.router.store import fingerprint
from homespun.runs.run import code_hash
from homespun.serve.gateway.config import GatewayConfig, built_in
from homespun.serve.gateway.routes.ask import RouterVersion

log = logging.getLogger("homespun.gateway")


@cache
def place(state: Path) -> Path:
    """Folder of the router that this code fits."""
    return state / "routers" / f"recorded-{code_hash()[:12]}"


def outcomes() -> pl.DataFrame:
    """The long table of outcomes of the recorded answers, as `homespun demo` makes it, from the verdicts that ship."""
    verdicts = pl.read_parquet(path("verdicts/verdicts.parquet"))
    chosen = pl.col("dataset").is_in(verdicts["dataset"].unique().to_list())
    problems, completions = (pl.read_parquet(path(f"recorded/{name}.parquet")) for name in ("problems", "greedy"))
    return outcomes_from(verdicts, problems.filter(chosen), completions.filter(chosen))


def make(folder: Path) -> None:
    """Fits the router into a folder, unless it is there; one process at a time."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if fingerprint(folder) is not None:
            return
        with tempfile.TemporaryDirectory() as scratch:
            table = Path(scratch) / "outcomes.parquet"
            outcomes().write_parquet(table)
            fit.fit(table, folder, progress=lambda done, of: print(f"{done} of {of}", flush=True))  # noqa: T201


class Shipped:
    """The router of one gateway that serves what ships."""

    def __init__(self, config: GatewayConfig) -> None:
        arms = {target.arm_name for target in config.tiers() if target.kind == "recorded"}
        recorded = {target.arm_name for target in built_in() if target.kind == "recorded"}
        self.wanted = config.auto.router is None and recorded <= arms
        self._state = config.server.state
        self._work: asyncio.Task[None] | None = None

    def version(self) -> RouterVersion | None:
        """The router, once it is fitted."""
        if not self.wanted:
            return None
        folder = place(self._state)
        return RouterVersion(folder.name, folder, 1.0) if (folder / "router.json").is_file() else None

    def begin(self) -> None:
        """Starts the fit, if it has not been; at once back."""
        if self.wanted and self._work is None:
            self._work = asyncio.get_running_loop().create_task(self._fit())

    async def close(self) -> None:
        """Stops a fit that is under way."""
        if self._work is not None:
            self._work.cancel()
            with suppress(asyncio.CancelledError):
                await self._work

    async def _fit(self) -> None:
        folder = place(self._state)
        log.info("fitting the router of the recorded answers into %s: some 20 seconds", folder)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            f"from {__name__} import main; main()",
            str(folder.resolve()),
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        assert process.stdout is not None
        try:
            async for line in process.stdout:
                log.info("fitting the router of the recorded answers: %s", line.decode().strip())
            code = await process.wait()
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        log.log(logging.INFO if code == 0 else logging.ERROR, "fitting the router ended with code %s", code)


def main() -> None:
    """What the process of its own does: the folder is its only argument."""
    os.nice(10)
    make(Path(sys.argv[1]))
