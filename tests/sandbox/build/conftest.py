"""A registry of our own on loopback, with wheels and tarballs that are made here: it counts what it is asked for."""

import asyncio
import base64
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from homespun.sandbox.build import Registries
from homespun.sandbox.build.proxy import Loop


@dataclass
class Registry:
    """What it has, and what it was asked for."""

    pages: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    address: str = ""

    @property
    def registries(self) -> Registries:
        return Registries(pypi=f"{self.address}/simple", npm=f"{self.address}/npm")

    def add_wheel(
        self, name: str, version: str, content: bytes, *, url: str | None = None, sha: str | None = None
    ) -> str:
        """A wheel on a PEP 503 page; several versions share it."""
        filename = f"{name}-{version}-py3-none-any.whl"
        self.files[f"/files/{filename}"] = content
        digest = sha or hashlib.sha256(content).hexdigest()
        link = f'<a href="{url or f"/files/{filename}"}#sha256={digest}">{filename}</a>'.encode()
        before = self.pages.get(f"/simple/{name}/", ("", b""))[1]
        self.pages[f"/simple/{name}/"] = ("text/html", before + link)
        return filename

    def add_npm(
        self, name: str, version: str, content: bytes, *, integrity: str | None = None, **fields: object
    ) -> str:
        """A package of one version."""
        filename = f"{name.rpartition('/')[2]}-{version}.tgz"
        self.files[f"/npm/{name}/-/{filename}"] = content
        given = integrity or "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
        dist = {"tarball": f"{self.address}/npm/{name}/-/{filename}", "integrity": given}
        versions = {version: {"name": name, "version": version, "dist": dist, **fields}}
        page = {"name": name, "dist-tags": {"latest": version}, "versions": versions}
        self.pages[f"/npm/{name}"] = ("application/json", json.dumps(page).encode())
        return filename

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.raw_path)
        self.headers.append(dict(request.headers))
        if request.path == "/simple/slow/":
            await asyncio.sleep(5)
        if request.path.startswith("/simple/moved/"):
            raise web.HTTPFound("http://127.0.0.1:1/")
        if request.path == "/files/endless":
            endless = web.StreamResponse()  # chunked: no length is told beforehand
            await endless.prepare(request)
            for _ in range(100):
                await endless.write(b"x" * 1_000)
            return endless
        if request.path in self.pages:
            kind, body = self.pages[request.path]
            return web.Response(body=body, content_type=kind)
        if request.path in self.files:
            return web.Response(body=self.files[request.path])
        return web.Response(status=404)

    @staticmethod
    def wheel(name: str, version: str, files: dict[str, bytes], requires: tuple[str, ...] = ()) -> bytes:
        info = f"{name}-{version}.dist-info"
        needs = "".join(f"Requires-Dist: {need}\n" for need in requires)
        files = files | {
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}".encode(),
            f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: here\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"]).encode()
        written = io.BytesIO()
        with zipfile.ZipFile(written, "w") as archive:
            for path, content in {**files, f"{info}/RECORD": record}.items():
                archive.writestr(path, content)
        return written.getvalue()

    @staticmethod
    def tarball(files: dict[str, bytes], members: tuple[tarfile.TarInfo, ...] = ()) -> bytes:
        written = io.BytesIO()
        with tarfile.open(fileobj=written, mode="w:gz") as archive:
            for path, content in files.items():
                told = tarfile.TarInfo(path)
                told.size = len(content)
                archive.addfile(told, io.BytesIO(content))
            for told in members:
                archive.addfile(told)
        return written.getvalue()


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    made = Registry()
    loop = Loop()

    async def start() -> web.ServerRunner:
        runner = web.ServerRunner(web.Server(made.answer, access_log=None), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        made.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    runner = loop.run(start())
    yield made
    loop.run(runner.cleanup())
    loop.close()
