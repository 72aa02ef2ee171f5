"""Claim: the gateway passes at least 12 times the requests of LiteLLM's proxy, and adds under 1.5 ms.

Both stand before the same stub upstream (nginx, so that it takes next to nothing of the two cores that all share), one
after the other, on this machine, in this run; medians over rounds.
homespun runs with everything on: keys, a budget in dollars, rate limits, ledger, metrics. LiteLLM runs with its master
key alone, since its keys and budgets need a database that its wheel cannot set up without a download.

Needs `wrk` and `nginx` (apt-get install wrk nginx-light). LiteLLM goes into an environment of its own, made at the
first run.
Run with `--rounds 5`; prints JSON. `--peer PATH` names a Python that has litellm[proxy].
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent
LITELLM = "litellm[proxy]==1.105.0"
STUB, HOMESPUN, PEER = 18801, 18802, 18803
QUESTION = {
    "model": "stub",
    "messages": [{"role": "user", "content": "Hello, who are you and what can you do for me?"}],
    "max_tokens": 100,
}
CONFIG = f"""
[server]
port = {HOMESPUN}

[[target]]
name = "stub"
url = "http://127.0.0.1:{STUB}/v1"
model = "stub"
private = true
price = {{ input = 1.0, output = 2.0 }}
"""
PEER_CONFIG = f"""
model_list:
  - model_name: stub
    litellm_params: {{model: openai/stub, api_base: "http://127.0.0.1:{STUB}/v1", api_key: none}}
general_settings: {{master_key: sk-bench}}
litellm_settings: {{telemetry: false}}
"""
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1700000000,
    "model": "stub",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello there, how can I help you today?"},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30},
}
STUB_CONFIG = f"""
daemon off;
worker_processes 1;
pid stub.pid;
error_log stub-error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 100000000;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path u; scgi_temp_path s;
  server {{
    listen 127.0.0.1:{STUB};
    location / {{ default_type application/json; return 200 '{json.dumps(ANSWER)}'; }}
  }}
}}
"""
SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer %s"
wrk.body = '%s'
"""


class Server:
    """A process that answers on a port; knows how long it took and how much memory it holds."""

    def __init__(self, name, command, port, folder, **environment):
        self.name, self.port = name, port
        self.log = open(folder / f"{name}.log", "w")  # noqa: SIM115
        started = time.perf_counter()
        environment = {**os.environ, **environment}
        self.process = subprocess.Popen(
            command, stdout=self.log, stderr=self.log, cwd=folder, env=environment, start_new_session=True
        )
        while not self.answers():
            if self.process.poll() is not None or time.perf_counter() - started > 180:
                raise SystemExit(f"{name} did not start: {(folder / f'{name}.log').read_text()[-1500:]}")
            time.sleep(0.02)
        self.start_seconds = time.perf_counter() - started

    def answers(self):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=1).close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    def megabytes(self):
        """Resident memory of all its processes (private and shared parts, shared ones split)."""
        total = 0
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if os.getpgid(int(folder.name)) == self.process.pid:
                    total += int(re.search(r"Pss:\s+(\d+)", (folder / "smaps_rollup").read_text())[1])
            except (OSError, TypeError):
                continue
        return total / 1024

    def stop(self):
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.log.close()


def closed_loop(port, key, connections, seconds, folder):
    """Requests per second and latency (ms) with a number of connections that ask as soon as they are answered."""
    script = folder / "post.lua"
    script.write_text(SCRIPT % (key, json.dumps(QUESTION)))
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script), url]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if bad := re.search(r"Non-2xx or 3xx responses: (\d+)", text):
        raise SystemExit(f"{bad[1]} requests to port {port} failed")
    units = {"us": 1e-3, "ms": 1.0, "s": 1e3}
    found = {
        f"p{q}": float(value) * units[unit] for q, value, unit in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s)", text)
    }
    return {"rps": float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]), **found}


async def _open_loop(port, key, rate, seconds):
    """Latencies (ms) at a fixed rate, counted from when each request was due, so that waiting is not hidden."""
    body = json.dumps(QUESTION).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
    request = f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    free, times = [], []

    async def one(due):
        pair = free.pop() if free else await asyncio.open_connection("127.0.0.1", port)
        reader, writer = pair
        writer.write(request)
        lines = (await reader.readuntil(b"\r\n\r\n")).lower()
        assert lines.startswith(b"http/1.1 200"), lines[:80]
        await reader.readexactly(int(re.search(rb"content-length: (\d+)", lines)[1]))
        times.append((time.perf_counter() - due) * 1e3)
        free.append(pair)

    started, tasks = time.perf_counter() + 0.2, []
    for number in range(rate * seconds):
        due = started + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(one(due)))
    await asyncio.gather(*tasks)
    for _, writer in free:
        writer.close()
    cuts = statistics.quantiles(times, n=100)
    return {"p50": cuts[49], "p99": cuts[98]}


def open_loop(port, key, rate=100, seconds=10):
    return asyncio.run(_open_loop(port, key, rate, seconds))


def measure(port, key, folder, seconds, open_seconds):
    closed_loop(port, key, 16, 2, folder)  # warm
    shapes = {f"c{c}": closed_loop(port, key, c, seconds, folder) for c in (1, 16, 64)}
    return {**shapes, "open100": open_loop(port, key, seconds=open_seconds)}


def upstream(folder):
    (folder / "nginx.conf").write_text(STUB_CONFIG)
    return Server("stub", ["nginx", "-p", str(folder), "-c", "nginx.conf"], STUB, folder)


def homespun(folder, workers):
    state = folder / f"homespun-{workers}-{time.monotonic_ns()}"
    state.mkdir()
    config = state / "homespun.toml"
    config.write_text(CONFIG.replace("[server]", f"[server]\nworkers = {workers}"))
    limits = ["--budget", "1000", "--period", "month", "--rpm", "100000000", "--tpm", "100000000000"]
    made = subprocess.run(
        [BIN / "homespun", "keys", "create", "bench", *limits, "--config", str(config), "--json"],
        capture_output=True, text=True, check=True, cwd=state,
    )  # fmt: skip
    server = Server("homespun", [BIN / "homespun", "serve", "--config", str(config)], HOMESPUN, state)
    return server, json.loads(made.stdout)["key"]


def litellm(folder, workers, python):
    config = folder / "litellm.yaml"
    config.write_text(PEER_CONFIG)
    command = [python.parent / "litellm", "--config", str(config), "--port", str(PEER), "--num_workers", str(workers)]
    environment = {"LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    server = Server("litellm", [*command, "--host", "127.0.0.1"], PEER, folder, **environment)
    return server, "sk-bench"


def peer_python():
    folder = HERE / ".peers" / "litellm"
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", LITELLM], check=True, stdout=sys.stderr)
    return python


def medians(rounds):
    """The median over rounds of every number in nested dictionaries of one shape."""
    first = rounds[0]
    if isinstance(first, dict):
        return {name: medians([one[name] for one in rounds]) for name in first}
    return round(statistics.median(rounds), 3)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5, help="of each closed-loop measurement")
    parser.add_argument("--open-seconds", type=int, default=10)
    parser.add_argument("--peer", type=Path, help="a Python that has litellm[proxy]")
    parser.add_argument("--alone", action="store_true", help="measure homespun and the stub only")
    options = parser.parse_args()
    os.environ["PATH"] += ":/usr/sbin"
    for tool, package in (("wrk", "wrk"), ("nginx", "nginx-light")):
        if not shutil.which(tool):
            raise SystemExit(f"{tool} is needed: apt-get install {package}")
    python = None if options.alone else options.peer or peer_python()
    results = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stub = upstream(folder)
        try:
            for _ in range(options.rounds):
                one = measure(STUB, "none", folder, options.seconds, options.open_seconds)
                results.setdefault("stub", []).append(one)
                for workers in (1, 2):
                    makers = {"homespun": lambda w=workers: homespun(folder, w)}
                    if python is not None:
                        makers["litellm"] = lambda w=workers: litellm(folder, w, python)
                    for product, make in makers.items():
                        server, key = make()
                        try:
                            idle = server.megabytes()
                            one = measure(server.port, key, folder, options.seconds, options.open_seconds)
                            one |= {"start_seconds": server.start_seconds, "idle_mb": idle}
                            one["busy_mb"] = server.megabytes()
                        finally:
                            server.stop()
                        results.setdefault(f"{product}_{workers}", []).append(one)
                        print(f"{product}, {workers}: {json.dumps(one)}", file=sys.stderr)
        finally:
            stub.stop()
    told = medians([dict(zip(results, row, strict=True)) for row in zip(*results.values(), strict=True)])
    told["added_p50_ms_c1"] = told["homespun_1"]["c1"]["p50"] - told["stub"]["c1"]["p50"]
    told["added_p99_ms_open100"] = told["homespun_1"]["open100"]["p99"] - told["stub"]["open100"]["p99"]
    told["growth_1_to_2"] = told["homespun_2"]["c64"]["rps"] / told["homespun_1"]["c64"]["rps"]
    if python is not None:
        for shape in ("c16", "c64"):
            for workers in (1, 2):
                ours, theirs = told[f"homespun_{workers}"], told[f"litellm_{workers}"]
                told[f"times_{shape}_{workers}"] = round(ours[shape]["rps"] / theirs[shape]["rps"], 2)
    print(json.dumps({"rounds": options.rounds, **told}, indent=1))


if __name__ == "__main__":
    main()
