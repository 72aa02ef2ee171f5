"""React programs as models write them, built and played with."""

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import expect

from homespun.sandbox.build.lacking import lacking
from homespun.sandbox.reply import Dependency

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("web")]

COUNTER = """
import React, { useState } from 'react';
import { Camera } from 'lucide-react';
interface Props { start?: number }
export default function App({ start = 3 }: Props) {
  const [count, setCount] = useState<number>(start);
  return <main className="p-4 bg-blue-500"><Camera />
    <button onClick={() => setCount(count + 1)}>count {count}</button></main>;
}
"""


def test_a_typed_component_with_tailwind_and_icons_counts(run, look):
    page = look(run("react", "App.tsx", COUNTER))
    page.get_by_role("button").click()
    expect(page.get_by_role("button")).to_have_text("count 4")
    expect(page.locator("main")).to_have_css("background-color", "rgb(59, 130, 246)")  # Tailwind's blue-500
    expect(page.locator("main")).to_have_css("padding", "16px")
    expect(page.locator("svg.lucide-camera")).to_have_count(1)
    assert page.failures == []
    assert page.strangers == []


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("const App = () => <p>never exported</p>;", "never exported"),
        ("export const Widget = () => <p>by its name</p>;", "by its name"),
        ("const { useState } = React; function App() { const [n] = useState(7); return <p>global {n}</p>; }\n"
         "ReactDOM.createRoot(document.getElementById('app')).render(<App />);", "global 7"),
        ("import { createRoot } from 'react-dom/client'; const App = () => <p>mounted</p>; export default App;\n"
         "const at = document.getElementById('root'); if (at) createRoot(at).render(<App />);", "mounted"),
    ],
    ids=["none", "named", "globals", "mounts itself"],
)  # fmt: skip
def test_a_component_is_found_however_it_is_offered(run, look, code, shown):
    page = look(run("react", "App.jsx", code))
    expect(page.locator("p")).to_have_text(shown)
    assert page.failures == []


def test_what_a_single_file_cannot_have_is_stood_in_for(run, look):
    code = """'use client';
    import Link from 'next/link'; import Image from 'next/image'; import dynamic from 'next/dynamic';
    import { useRouter } from 'next/navigation'; import { Inter } from 'next/font/google';
    import './App.css'; import logo from './logo.svg';
    const inter = Inter({ subsets: ['latin'] });
    const Late = dynamic(() => Promise.resolve({ default: () => <b>late</b> }));
    export default function Page() { const router = useRouter();
      return <div style={inter.style}><Link href="/there">go</Link><Image src={logo} alt="logo" width={9} height={9} />
        <Late /><i>{typeof router.push}</i></div>; }"""
    ran = run("react", "App.jsx", code)
    page = look(ran)
    expect(page.get_by_role("link", name="go")).to_have_attribute("href", "/there")
    expect(page.locator("b")).to_have_text("late")
    expect(page.locator("i")).to_have_text("function")
    assert page.evaluate("document.querySelector('img').naturalWidth") > 0
    assert set(ran.notes) == {"./App.css", "./logo.svg"}


def test_a_broken_program_fails_at_its_own_line(run):
    ran = run("react", "App.tsx", COUNTER.replace("</main>", "</mein>"))
    assert (ran.status, ran.app) == ("failed", None)
    assert ran.stderr.startswith("App.tsx:7:")
    assert '"mein"' in ran.stderr
    assert "useState" not in ran.stderr.split("\n")[0]


def test_a_package_that_is_not_there_is_named(run):
    ran = run("react", "App.jsx", "import thing from 'no-such-thing-here';\nexport default () => <p>{thing}</p>;")
    assert ran.status == "failed"
    assert ran.stderr.startswith('App.jsx:1:19: Could not resolve "no-such-thing-here": no such package is installed')


def test_an_error_at_run_time_is_shown_and_an_empty_page_never_silent(run, look):
    page = look(
        run("react", "App.jsx", "export default function App() { const user = null; return <p>{user.name}</p>; }")
    )
    expect(page.locator("homespun-fault")).to_have_count(1)
    assert page.failures == ["Cannot read properties of null (reading 'name')"]
    page = look(run("react", "App.jsx", "export const settings = { colour: 'red' };"))
    expect(page.locator("homespun-fault")).to_have_count(1)
    assert page.failures == ["The program exports no component"]


def test_a_version_of_its_own_is_the_only_one(run, look, layers, tmp_path: Path):
    """Hooks of a warm package work with a React that the program brought: two copies would fail."""
    tmp_path.chmod(0o755)  # the job's user is nobody's
    for name in ("react", "react-dom"):
        shutil.copytree(layers.node / name, tmp_path / name)
    module = tmp_path / "react" / "cjs" / "react.production.min.js"
    module.write_text(module.read_text().replace('exports.version="18.3.1"', 'exports.version="18.3.1-own"'))
    code = """import React from 'react'; import { create } from 'zustand';
    const useCount = create((set) => ({ count: 0, add: () => set((state) => ({ count: state.count + 1 })) }));
    export default function App() { const { count, add } = useCount();
      return <button onClick={add}>{React.version} {count}</button>; }"""
    page = look(run("react", "App.jsx", code, own=tmp_path))
    page.get_by_role("button").click()
    expect(page.get_by_role("button")).to_have_text("18.3.1-own 1")


def test_the_build_reads_no_file_of_the_host(run):
    for path in ("/etc/shadow", "/root/.bashrc", "../../../../proc/1/environ"):
        ran = run(
            "react",
            "App.jsx",
            f"import text from '{path}' with {{ type: 'text' }};\nexport default () => <p>{{text}}</p>;",
        )
        assert ran.status == "failed"
        assert "root:" not in ran.stderr


def test_what_comes_with_the_build_is_not_installed(layers):
    assert lacking([Dependency(kind="npm", name="next")], layers).npm == ()
    assert lacking([Dependency(kind="npm", name="nuxt")], layers).npm == ("nuxt@latest",)
