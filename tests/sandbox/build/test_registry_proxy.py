"""The proxy between a hostile client and a registry of our own: what is fetched, what never is."""

import asyncio
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from homespun.sandbox.build.cache import Cache, trim
from homespun.sandbox.build.index import Remote, read_npm, read_pypi
from homespun.sandbox.build.proxy import Budget, Proxy
from homespun.sandbox.build.registries import Registries
from homespun.sandbox.build.routes import Asked
from homespun.sandbox.build.upstream import GuardedResolver, Upstream

pytestmark = pytest.mark.slow
BASE = "http://127.0.0.1:8099/npm"


def talk(
    registry: Any,
    folder: Path,
    *requests: bytes,
    budget: Budget | None = None,
    registries: Registries | None = None,
    **bounds: Any,
) -> tuple[list[tuple[int, bytes]], Budget]:
    """Sends each of ``requests`` as it is on a connection of its own; gives status and body of each answer."""
    budget = budget or Budget()

    async def send(path: Path, request: bytes) -> tuple[int, bytes]:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(request)
        said = await reader.read()
        writer.close()
        head, _, body = said.partition(b"\r\n\r\n")
        return int(head.split()[1]) if head else 0, body

    async def all_of_them() -> list[tuple[int, bytes]]:
        upstream = Upstream(registries or registry.registries, BASE, **bounds)
        runner = await Proxy(upstream, Cache(folder / "cache", registry.address)).open(folder / "s", budget)
        try:
            return [await send(folder / "s", request) for request in requests]
        finally:
            await runner.cleanup()
            await upstream.close()

    return asyncio.run(all_of_them()), budget


def get(target: str, *headers: str) -> bytes:
    lines = [f"GET {target} HTTP/1.1", "Host: x", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode()


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("p")


HOSTILE = {
    "another host": (get("http://127.0.0.1:1/npm/good"), 400),
    "a tunnel": (b"CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\nConnection: close\r\n\r\n", 405),
    "a file address": (get("file:///etc/passwd"), 400),
    "two dots": (get("/pypi/simple/../../../etc/passwd"), 400),
    "two dots in code": (get("/npm/%2e%2e/%2e%2e/etc"), 400),
    "an encoded slash": (get("/pypi/simple/a%2fb/"), 400),
    "a query": (get("/npm/good?secret=1"), 400),
    "a long name": (get("/npm/" + "a" * 300), 400),
    "an endless address": (get("/npm/" + "a" * 9000), 400),
    "POST": (b"POST /npm/good HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", 405),
    "PUT": (b"PUT /npm/good HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", 405),
    "GET with a body": (get("/npm/good", "Content-Length: 6") + b"secret", 400),
    "two lengths": (get("/npm/good", "Content-Length: 0", "Transfer-Encoding: chunked") + b"0\r\n\r\n", 400),
    "a folded header": (get("/npm/good", " folded: x"), 400),
    "no HTTP at all": (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
    "a file that no page names": (get("/npm/good/-/other-9.tgz"), 404),
    "the registry's other addresses": (get("/npm/-/user/org.couchdb.user:x"), 404),
}


def test_hostile_requests_fetch_nothing(registry: Any, folder: Path) -> None:
    registry.add_npm("good", "1.0.0", registry.tarball({"package/package.json": b"{}"}))
    talk(registry, folder, get("/npm/good"))  # so that only what these requests fetch is new
    registry.asked.clear()
    answers, _ = talk(registry, folder, *(request for request, _ in HOSTILE.values()))
    assert dict(zip(HOSTILE, (status for status, _ in answers), strict=True)) == {
        name: status for name, (_, status) in HOSTILE.items()
    }
    assert registry.asked == []


def test_nothing_of_the_clients_request_reaches_the_registry(registry: Any, folder: Path) -> None:
    registry.headers.clear()
    registry.add_npm("quiet", "1.0.0", registry.tarball({"package/package.json": b"{}"}))
    headers = ("Cookie: secret=1", "Authorization: Basic c2VjcmV0", "User-Agent: secret", "X-Secret: secret")
    answers, _ = talk(registry, folder, get("/npm/quiet", *headers), get("/npm/quiet/-/quiet-1.0.0.tgz", *headers))
    assert [status for status, _ in answers] == [200, 200]
    assert registry.headers
    assert "secret" not in json.dumps(registry.headers).lower()


def test_pages_name_only_our_own_addresses_and_files_come_through(registry: Any, folder: Path) -> None:
    content = registry.wheel("plain", "1.0", {"plain.py": b"x = 1"})
    filename = registry.add_wheel("plain", "1.0", content)
    registry.add_npm("@own/thing", "2.0.0", registry.tarball({"package/package.json": b"{}"}), scripts={"install": "x"})
    (page, wheel, npm), _ = talk(
        registry,
        folder,
        get("/pypi/simple/plain/"),
        get(f"/pypi/files/plain/{filename}"),
        get("/npm/@own%2fthing"),
    )
    assert wheel == (200, content)
    assert json.loads(page[1])["files"][0]["url"] == f"/pypi/files/plain/{filename}"
    told = json.loads(npm[1])["versions"]["2.0.0"]
    assert told["dist"]["tarball"] == f"{BASE}/@own/thing/-/thing-2.0.0.tgz"
    assert "scripts" not in told
    assert registry.address.encode() not in page[1] + npm[1]


def test_what_was_fetched_is_served_again_without_the_registry(registry: Any, folder: Path) -> None:
    filename = registry.add_wheel("kept", "1.0", registry.wheel("kept", "1.0", {"kept.py": b""}))
    wanted = (get("/pypi/simple/kept/"), get(f"/pypi/files/kept/{filename}"))
    first, _ = talk(registry, folder, *wanted)
    registry.asked.clear()
    second, _ = talk(registry, folder, *wanted)
    assert second == first
    assert registry.asked == []


def test_a_page_is_fetched_anew_when_it_is_old_and_kept_while_the_registry_is_away(registry: Any, folder: Path) -> None:
    registry.add_wheel("away", "1.0", registry.wheel("away", "1.0", {}))
    wanted = get("/pypi/simple/away/")
    (first,), _ = talk(registry, folder, wanted)
    nowhere = Registries(pypi="http://127.0.0.1:1/simple")
    registry.pages["/simple/away/"] = ("text/html", b"")
    for page in (folder / "cache" / "pages").glob("*/*"):
        os.utime(page, (0, 0))
    (while_away,), _ = talk(registry, folder, wanted, registries=nowhere)
    assert while_away == first
    (renewed,), _ = talk(registry, folder, wanted)
    assert json.loads(renewed[1])["files"] == []
    (unknown,), _ = talk(registry, folder, get("/pypi/simple/other/"), registries=nowhere)
    assert unknown[0] == 502


@pytest.mark.parametrize(
    ("target", "status", "why"),
    [
        ("/pypi/files/forged/forged-1.0-py3-none-any.whl", 502, "hash"),
        ("/pypi/files/elsewhere/elsewhere-1.0-py3-none-any.whl", 403, "not allowed"),
        ("/pypi/files/insecure/insecure-1.0-py3-none-any.whl", 403, "not allowed"),
        ("/pypi/files/large/large-1.0-py3-none-any.whl", 413, "larger"),
        ("/pypi/files/endless/endless-1.0-py3-none-any.whl", 413, "larger"),
        ("/pypi/files/moved/moved-1.0-py3-none-any.whl", 502, "302"),
        ("/pypi/files/slow/slow-1.0-py3-none-any.whl", 504, "in time"),
        ("/npm/forged/-/forged-1.0.0.tgz", 502, "hash"),
        ("/pypi/simple/unknown/", 404, "404"),
        ("/npm/broken", 502, "npm registry"),
    ],
)
def test_what_the_registry_itself_does_wrongly_is_refused(
    registry: Any, folder: Path, target: str, status: int, why: str
) -> None:
    wheel = registry.wheel("forged", "1.0", {"forged.py": b""})
    registry.add_wheel("forged", "1.0", wheel, sha="0" * 64)
    registry.add_wheel("elsewhere", "1.0", wheel, url="https://127.0.0.1:1/elsewhere-1.0-py3-none-any.whl")
    registry.add_wheel("insecure", "1.0", wheel, url="http://localhost:1/insecure-1.0-py3-none-any.whl")
    registry.add_wheel("large", "1.0", b"x" * 3_000)
    registry.add_wheel("endless", "1.0", wheel, url="/files/endless")
    registry.add_wheel("moved", "1.0", wheel, url="/simple/moved/x")
    registry.add_wheel("slow", "1.0", wheel, url="/simple/slow/")
    registry.add_npm("forged", "1.0.0", b"x", integrity="sha512-" + "A" * 86 + "==")
    registry.pages["/npm/broken"] = ("application/json", b'{"versions": 7}')
    slow = {} if "/files/slow" not in target else {"file_seconds": 0.2}
    # The page of "slow" is slow too: it is read from the cache, where this puts it.
    if slow:
        page = read_pypi("slow", registry.pages["/simple/slow/"][1], "text/html", f"{registry.address}/simple/slow/")
        Cache(folder / "cache", registry.address).keep_page(Asked("python", "slow"), page)
    (answer,), budget = talk(registry, folder, get(target), file_bytes=2_000, **slow)
    assert answer[0] == status
    assert why in answer[1].decode()
    assert target in budget.refusals[0]
    assert not list((folder / "cache" / "files").iterdir())


def test_a_build_has_a_budget(registry: Any, folder: Path) -> None:
    for name in ("one", "two", "three"):
        registry.add_npm(name, "1.0.0", registry.tarball({"package/package.json": b"{}" * 500}))
    pages = [get(f"/npm/{name}") for name in ("one", "one", "two", "three")]
    answers, _ = talk(registry, folder, *pages, budget=Budget(names=2))
    assert [status for status, _ in answers] == [200, 200, 200, 429]
    answers, _ = talk(registry, folder, *(get(f"/npm/guess{k}") for k in range(4)), budget=Budget(unknown=2))
    assert [status for status, _ in answers] == [404, 404, 429, 429]
    answers, _ = talk(registry, folder, get("/npm/one/-/one-1.0.0.tgz"), budget=Budget(bytes=10))
    assert answers[0][0] == 413


def test_a_host_that_nobody_named_must_have_a_public_address() -> None:
    async def addresses(port: int) -> list[str]:
        guarded = GuardedResolver(Registries(pypi="http://localhost:81/simple"))
        try:
            return [row["host"] for row in await guarded.resolve("localhost", port)]
        finally:
            await guarded.close()

    assert asyncio.run(addresses(81)) == ["127.0.0.1"]
    with pytest.raises(OSError, match="no public address"):
        asyncio.run(addresses(82))


def test_a_password_goes_to_its_own_registry_alone() -> None:
    registries = Registries(pypi="https://me:p%40ss@index.invalid/simple", npm="https://npm.invalid")
    assert registries.password("https://index.invalid/files/a.whl") == ("me", "p@ss")
    assert registries.password("https://npm.invalid/a") is None
    assert registries.password("https://index.invalid.example/a") is None
    assert not registries.trusted("http://index.invalid/simple/a")


def test_the_strongest_hash_is_taken_and_a_file_without_one_is_left_out() -> None:
    both = {
        "tarball": "https://x.invalid/a-1.0.0.tgz",
        "shasum": "0" * 40,
        "integrity": "sha1-AAAA sha512-" + "A" * 86 + "==",
    }
    none = {"tarball": "https://x.invalid/a-2.0.0.tgz"}
    page = {"versions": {"1.0.0": {"dist": both}, "2.0.0": {"dist": none}}, "dist-tags": {"latest": "2.0.0"}}
    index = read_npm("a", json.dumps(page).encode(), BASE)
    assert index.files == {"a-1.0.0.tgz": Remote("https://x.invalid/a-1.0.0.tgz", "sha512", "0" * 128)}
    assert index.page["dist-tags"] == {}


def test_json_and_html_pages_say_the_same() -> None:
    digest = "a" * 64
    row = {"filename": "x-1-py3-none-any.whl", "url": "../f/x.whl", "hashes": {"sha256": digest}}
    row |= {"core-metadata": {"sha256": "b" * 64}, "requires-python": ">=3.8", "yanked": False}
    html = f'<a href="../f/x.whl#sha256={digest}" data-core-metadata="sha256={"b" * 64}" '
    html += 'data-requires-python="&gt;=3.8">x-1-py3-none-any.whl</a><a href="x.tar.gz#sha256=1">x.tar.gz</a>'
    told = json.dumps({"files": [row]}).encode()
    address = "https://i.invalid/simple/x/"
    by_json = read_pypi("x", told, "application/vnd.pypi.simple.v1+json", address)
    assert by_json == read_pypi("x", html.encode(), "text/html", address)
    assert by_json.files["x-1-py3-none-any.whl"].url == "https://i.invalid/simple/f/x.whl"
    assert by_json.page["files"][0]["requires-python"] == ">=3.8"


def test_the_oldest_files_go_first(tmp_path: Path) -> None:
    for age, name in enumerate("abc"):
        (tmp_path / name).write_bytes(b"x" * 100)
        os.utime(tmp_path / name, (age, age))
    trim(tmp_path, 250)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "c"]


def test_a_hash_names_the_file_in_the_cache(tmp_path: Path) -> None:
    cache = Cache(tmp_path, "here")
    content = b"content"
    remote = Remote("https://x.invalid/f", "sha256", hashlib.sha256(content).hexdigest())
    assert cache.file(remote) is None
    fetched = cache.scratch()
    fetched.write_bytes(content)
    assert cache.keep_file(remote, fetched).read_bytes() == content
    assert cache.file(remote) is not None


def test_what_a_killed_process_left_is_swept_away(tmp_path: Path) -> None:
    for name, age in {"old": 0.0, "new": time.time()}.items():
        (tmp_path / "fetching").mkdir(exist_ok=True)
        (tmp_path / "fetching" / name).touch()
        os.utime(tmp_path / "fetching" / name, (age, age))
    Cache(tmp_path, "here")
    assert [path.name for path in (tmp_path / "fetching").iterdir()] == ["new"]
