"""A refit in a process of its own: niced, on one core, so that it takes nothing from those who are served."""

import asyncio
import json
import logging
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homespun.router.store import RouterFolder
from homespun.serve.gateway.learning.evidence import Evidence
from homespun.serve.gateway.learning.versions import Version

log = logging.getLogger("homespun.gateway")

ONE_CORE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass
class Job:
    """A refit under way."""

    version: str
    parent: str
    out: Path
    folder: Path
    process: asyncio.subprocess.Process

    def result(self) -> dict[str, Any] | None:
        """The report once it is there; that of a process which failed says so. ``None``: not yet."""
        code = self.process.returncode
        if code is None:
            return None
        try:
            report = json.loads((self.folder / "report.json").read_text())
        except (OSError, ValueError):
            error = (self.folder / "stderr").read_text(errors="replace").strip().splitlines()[-1:]
            report = {"promote": False, "reasons": [f"the refit failed with code {code}: {''.join(error)[:300]}"]}
        shutil.rmtree(self.folder, ignore_errors=True)
        return report

    async def stop(self) -> None:
        """Ends the process, and leaves nothing half done."""
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


async def start(
    router: RouterFolder, live: Version, evidence: Evidence, prompts: list[str] | None, root: Path, version: str
) -> Job:
    """Starts a refit.

    Args:
        router: The live router.
        live: Its version.
        evidence: What to learn from.
        prompts: Texts, where all are kept.
        root: Folder of routers.
        version: Of the candidate.
    """
    folder, out = root / f".job-{version}", root / version
    folder.mkdir(parents=True, mode=0o700)
    await asyncio.to_thread(evidence.save, folder / "evidence.npz")
    if prompts is not None:
        (folder / "prompts.json").write_text(json.dumps(prompts))
    told = {"parent": str(router.path), "out": str(out), "version": version}
    (folder / "job.json").write_text(json.dumps(told))
    command = [sys.executable, "-m", "homespun.serve.gateway.learning.refit", str(folder)]
    with (folder / "stderr").open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=errors, stderr=errors, env=os.environ | ONE_CORE
        )
    return Job(version, live.version, out, folder, process)
