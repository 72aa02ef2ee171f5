"""Claim: a program's page shows its first frame soon after the program is known.

Bars: Core Web, Mermaid, React, Vue, Streamlit and PyGame under 2 s, Gradio under 6 s. From `Runner.run` to the moment
at which a warm Chromium has painted what belongs to the program (a heading, a chart, a pixel of the game), with the
jails that the battle room keeps waiting. Beside it, for the apps that are servers: the same program started by its
own command without a jail, until the same thing is painted.

Run with `--repeats 5`; prints JSON with the median, the fastest and the slowest of each.
"""

import argparse
import asyncio
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from playwright.async_api import Browser, async_playwright

from homespun import data
from homespun.sandbox.reply import Found, read_reply
from homespun.sandbox.runner import SERVED, Runner, open_runner
from homespun.sandbox.templates import layers

PIXEL = """() => { const c = document.querySelector('canvas'); if (!c || !c.width) return false;
  const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
  for (let i = 0; i < d.length; i += 4) if (d[i] !== d[0] || d[i + 1] !== d[1]) return true; return false; }"""
SEEN = {
    "core_web": ("clock", "() => document.querySelector('#second')?.getAttribute('transform')"),
    "react": ("todo", "() => document.querySelector('h1')?.innerText === 'To do'"),
    "vue": ("tip", "() => document.querySelector('h1')?.innerText === 'Tip'"),
    "mermaid": ("order", "() => document.querySelector('svg text')"),
    "streamlit": ("loan", "() => document.querySelector('[data-testid=stMetric]')"),
    "gradio": ("dice", "() => [...document.querySelectorAll('button')].some((b) => b.innerText === 'Throw')"),
    "pygame": ("catch", PIXEL),
}
"""Environment → example prompt, and what shows that its program has painted."""
SETTLE = 10.0
"""Seconds between two runs: a waiting jail is replaced by then, which begins two seconds after it is taken."""


def program(prompt: str) -> Found:
    """The careful contestant's program for a prompt."""
    found = read_reply(data.path(f"battles/replies/{prompt}.loom.1.md").read_text())
    assert isinstance(found, Found)
    return found


async def painted(browser: Browser, url: str, sign: str) -> None:
    """Until a fresh page shows the sign, and one more frame."""
    page = await browser.new_page()
    await page.goto(url, wait_until="commit")
    await page.wait_for_function(sign, polling=10, timeout=60_000)
    await page.evaluate("() => new Promise((done) => requestAnimationFrame(done))")
    await page.close()


async def jailed(runner: Runner, browser: Browser, environment: str, number: int) -> float:
    """Seconds from the program to its first frame."""
    prompt, sign = SEEN[environment]
    found, run = program(prompt), f"{environment.replace('_', '-')}-{number}"
    started = time.perf_counter()
    played = await runner.run(found, run_id=run)
    if played.url is None:
        raise SystemExit(f"{environment}: {played.execution.status}: {played.execution.stderr[-300:]}")
    await painted(browser, played.url, sign)
    took = time.perf_counter() - started
    await runner.close_run(run)
    return took


async def bare(browser: Browser, environment: str, _: int) -> float:
    """The same without a jail, by the library's own command."""
    prompt, sign = SEEN[environment]
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        file = Path(folder, "program.py")
        file.write_text(program(prompt).code)
        flags = ["--server.headless", "true", "--server.port", str(port), "--global.developmentMode", "false"]
        words = ["-m", "streamlit", "run", str(file), *flags] if environment == "streamlit" else [str(file)]
        settings = {
            "PYTHONPATH": str(layers().python),
            "GRADIO_SERVER_PORT": str(port),
            "GRADIO_ANALYTICS_ENABLED": "0",
        }
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *words],
            env={**os.environ, **settings},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            deadline = time.monotonic() + 60
            while True:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"{environment} without a jail did not start")
                try:
                    socket.create_connection(("127.0.0.1", port), 0.2).close()
                    break
                except OSError:
                    await asyncio.sleep(0.02)
            await painted(browser, f"http://127.0.0.1:{port}", sign)
            return time.perf_counter() - started
        finally:
            process.terminate()
            process.wait()


async def repeated(take: Callable[[int], Awaitable[float]], repeats: int, pause: float) -> dict[str, float]:
    """Median, fastest, slowest; the first does not count."""
    taken: list[float] = []
    for number in range(repeats + 1):
        taken.append(await take(number))
        await asyncio.sleep(pause)
    counted = taken[1:]
    names = {"median_s": statistics.median(counted), "fastest_s": min(counted), "slowest_s": max(counted)}
    return {name: round(value, 3) for name, value in names.items()}


async def measure(repeats: int, chosen: list[str]) -> dict[str, object]:
    """All environments, one after the other."""
    result: dict[str, object] = {}
    chromium = shutil.which("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        with tempfile.TemporaryDirectory() as cache:
            async with open_runner(cache=Path(cache), look=False, warm=True) as runner:
                await asyncio.sleep(SETTLE)
                for name in chosen:
                    row = await repeated(
                        lambda n, name=name: jailed(runner, browser, name, n),
                        repeats,
                        SETTLE if name in SERVED else 0.5,
                    )
                    print(name, row, file=sys.stderr)
                    result[name] = {"jail": row}
            for name in {"streamlit", "gradio"} & set(chosen):
                result[name]["bare"] = await repeated(lambda n, name=name: bare(browser, name, n), repeats, 0.5)  # type: ignore[index]
        await browser.close()
    return result


def main() -> None:
    """Measures and prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--environments", nargs="*", default=list(SEEN), choices=list(SEEN))
    given = parser.parse_args()
    print(json.dumps({"repeats": given.repeats, "frames": asyncio.run(measure(given.repeats, given.environments))}))


if __name__ == "__main__":
    main()
