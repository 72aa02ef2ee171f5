"""Scripts for the browser: told from scripts for Node, and shown with a console."""

import json
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import expect

from homespun.sandbox.environments import console_page
from homespun.sandbox.environments.web.shell import shown
from homespun.sandbox.jail.system import node_folder
from homespun.sandbox.reply import Found, read_source

TALK = """
interface Point { x: number }
const point: Point = { x: 1 };
console.log('hello %s, %d of %o', 'you', 3, [1, 'a']);
console.log(point, null, [1, , 3], new Map([['k', { deep: new Set([1]) }]]));
console.table([{ a: 1, b: 'two' }, { a: 3, b: 'four' }]);
console.group('inside'); console.warn('careful'); console.groupEnd();
console.count(); console.count(); console.assert(1 > 2, 'sums');
for (let turn = 0; turn < 3; turn++) console.log('again');
document.querySelector('#app')!.innerHTML = '<h1>drawn</h1>';
setTimeout(() => { throw new TypeError('late') }, 10);
Promise.reject(new Error('refused'));
"""


@pytest.mark.slow
@pytest.mark.xdist_group("web")
def test_a_script_talks_draws_and_fails_in_its_page(run, look):
    page = look(run("console_page", "main.ts", TALK))
    log = page.locator("homespun-console [role=log]")
    expect(log).to_contain_text("Uncaught TypeError: late")
    lines = log.locator("li").all_inner_texts()
    assert "hello you, 3 of [ 1, 'a' ]" in lines
    assert "{ x: 1 } null [ 1, <1 empty item>, 3 ] Map(1) { 'k' => { deep: Set(1) { 1 } } }" in lines
    assert {"default: 2", "Assertion failed: sums"} <= set(lines)
    assert log.locator("td").all_inner_texts() == ["0", "1", "'two'", "1", "3", "'four'"]
    assert any("Uncaught (in promise) Error: refused" in line for line in lines)
    assert log.locator("li i").inner_text() == "3"
    expect(page.locator("h1")).to_have_text("drawn")
    assert page.locator("h1").bounding_box()["y"] < page.locator("homespun-console").bounding_box()["y"]


@pytest.mark.slow
@pytest.mark.xdist_group("web")
def test_a_broken_script_fails_and_packages_are_bundled(run, look):
    ran = run("console_page", "main.ts", "const a: number = ;\ndocument.title = 'x';")
    assert ran.status == "failed"
    assert ran.stderr.startswith("main.ts:1:")
    page = look(
        run(
            "console_page",
            "main.js",
            "import { chunk } from 'lodash';\ndocument.title = JSON.stringify(chunk([1, 2, 3], 2));",
        )
    )
    assert page.title() == "[[1,2],[3]]"


VALUES = """[
  1, -0, 1n, 'a', "it's", true, null, undefined, Symbol('s'), NaN, [], {}, [1, 2, 3],
  { a: 1, 'b-c': { d: [1, { e: 2 }] } },
  new Map([[1, { a: 2 }]]), new Set(['x', [1]]), new Date(0), new Date(NaN), /a+/g, () => 1,
  function named() {}, class A {}, class B extends Map {},
  new (class Point { x = 1 })(), Object.create(null), new Uint8Array([1, 2]), [undefined, null],
  { f() {}, get g() { return 1 }, set g(v) {} },
  [1, , 3], [[], [[]]], { [Symbol('k')]: 1 }, new Number(3), new Boolean(false), [['a', 1], ['b', 2]],
  { a: { b: { c: {} } } },
  'line\\nbreak', ['line\\nbreak', "it's", 'say "it\\'s"'], new WeakMap(), Math.max,
  { a: 1n, b: -0 }, [function () {}], Object.assign([1], { more: 2 }),
]"""
FORMATS = [
    ["a", 1, {"b": 2}], ["%s is %d", "x", 4.5], ["%i", 4.9], ["%f", "1.5"], ["100%", 1], ["%% %s", "a"], ["%s"],
    ["%d", "a"], ["%s", "a", "b", 3], [1, "%s", 2], ["%x", 1], ["", "a"], ["%O", {"a": 1}],
]  # fmt: skip


def test_values_read_as_nodes_own_console_prints_them(tmp_path: Path):
    """Node's util is the reference; each is one line, so that only names, brackets and quotes are compared."""
    script = f"""
    import {{ inspect, format }} from 'node:util';
    globalThis.location = {{ origin: 'http://app.test' }};
    (0, eval)({json.dumps(shown("console_values.js").decode())});
    const values = {VALUES};
    const differ = values.flatMap((value) => {{
      const theirs = inspect(value, {{ depth: 4, compact: 100, breakLength: Infinity }});
      const ours = __values.inspect(value);
      return ours === theirs ? [] : [[ours, theirs]];
    }});
    for (const given of {json.dumps(FORMATS)}) {{
      const [ours, theirs] = [__values.format(given).map(({{ text }}) => text).join(''), format(...given)];
      if (ours !== theirs) differ.push([ours, theirs]);
    }}
    const circle = {{ name: 'c' }}; circle.self = circle;
    console.log(JSON.stringify({{ differ, circle: __values.inspect(circle), count: values.length }}));
    """
    (tmp_path / "compare.mjs").write_text(script)
    done = subprocess.run(
        [node_folder() / "bin" / "node", tmp_path / "compare.mjs"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["differ"] == []
    assert told["count"] == 42
    assert told["circle"] == "{ name: 'c', self: [Circular] }"


@pytest.mark.parametrize(
    ("code", "page"),
    [
        ("document.body.innerHTML = 'x'", True),
        ("const canvas = document.createElement('canvas'); requestAnimationFrame(() => {})", True),
        ("alert('hi')", True),
        ("window.addEventListener('keydown', (e) => console.log(e.key))", True),
        ("import * as THREE from 'three'; const scene = new THREE.Scene();", True),
        ("console.log([1, 2, 3].map((x) => x * 2))", False),
        ("const fs = require('fs'); fs.writeFileSync('document', 'window')", False),
        ("import { readFile } from 'node:fs/promises'; document.title", False),
        ("process.stdout.write('x')", False),
        ("const document = { title: 'x' }; console.log(document.title)", False),
        ("function draw(window) { return window.width } console.log(draw({ width: 1 }))", False),
        ("console.log('document and window')", False),
        ("if (typeof window === 'undefined') console.log('node')", False),
        ("const rl = require('readline').createInterface({ input: process.stdin })", False),
        ("interface Item { history: string }\nconst item: Item = { history: 'x' }; item.history", False),
    ],
)  # fmt: skip
def test_where_a_script_runs(code, page):
    found = read_source("main.ts", code, environment="interpreter")
    assert isinstance(found, Found)
    assert console_page.runs_in_page(found) is page
