"""Pages: as they were written, with what they load from delivery networks served from packages."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import expect

from homespun.sandbox.environments.cdn_pages import Address, address, elements, import_map

PAGE = """<!DOCTYPE html>
<html lang="en"><head><title>shop</title>
<script src="https://cdn.tailwindcss.com?plugins=forms"></script>
<script>tailwind.config = { theme: { extend: { colors: { brand: '#ff00aa' } } } }</script>
<link rel="stylesheet" href="https://cdnjs.cloudflare.com/ajax/libs/font-awesome/6.5.0/css/all.min.css"
 integrity="sha512-x">
<link href="https://fonts.googleapis.com/css2?family=Inter" rel="stylesheet">
<script src="https://cdn.jsdelivr.net/npm/chart.js"></script>
<script src="https://code.jquery.com/jquery-3.7.1.min.js"></script>
<script src="https://cdnjs.cloudflare.com/ajax/libs/three.js/r150/three.min.js"></script>
<script src="https://unpkg.com/react@18/umd/react.production.min.js" crossorigin></script>
<!-- <script src="https://unpkg.com/never@1"></script> -->
<script type="importmap">{"imports": {"three": "https://unpkg.com/three@0.160.0/build/three.module.js",
 "three/addons/": "https://unpkg.com/three@0.160.0/examples/jsm/"}}</script>
</head><body class="bg-brand p-8"><i class="fa-solid fa-house"></i><p id="module"></p><p id="script"></p>
<script type="module">
import * as THREE from 'three';
import { OrbitControls } from 'three/addons/controls/OrbitControls.js';
import { useState } from 'https://esm.sh/react@18';
document.getElementById('module').textContent = [THREE.REVISION, typeof OrbitControls, typeof useState].join(' ');
</script>
<script>document.getElementById('script').textContent =
  [typeof Chart, typeof $, typeof THREE.Scene, typeof React.useState, typeof tailwind].join(' ')</script>
</body></html>"""


@pytest.mark.slow
@pytest.mark.xdist_group("web")
def test_a_page_of_delivery_networks_stands_on_its_own(run, look):
    ran = run("core_web", "index.html", PAGE)
    page = look(ran)
    expect(page.locator("#module")).to_have_text(re.compile(r"^\d+ function function$"))
    expect(page.locator("#script")).to_have_text("function function function function object")
    expect(page.locator("body")).to_have_css("background-color", "rgb(255, 0, 170)")
    page.evaluate("document.fonts.ready")
    assert page.evaluate("document.fonts.check('900 16px \"Font Awesome 6 Free\"')")
    assert page.strangers == []
    assert "left out" in ran.notes["https://fonts.googleapis.com/css2?family=Inter"]


@pytest.mark.slow
@pytest.mark.xdist_group("web")
def test_what_cannot_be_had_is_left_out_and_said(run, look):
    code = """<!doctype html><script src="https://unpkg.com/no-such-thing-here@1"></script>
    <link rel="stylesheet" href="style.css"><p>here</p><script type="py">print(1)</script>
    <script type="module">import { a } from 'https://esm.sh/no-such-module-here'; document.title = a;</script>"""
    ran = run("core_web", "index.html", code)
    page = look(ran)
    expect(page.locator("p")).to_have_text("here")
    assert page.failures == ["The package no-such-module-here could not be loaded"]
    assert page.strangers == []
    assert set(ran.notes) == {
        "https://unpkg.com/no-such-thing-here@1", "style.css", "no-such-module-here", "Python in the page",
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.xdist_group("web")
def test_a_page_that_needs_nothing_is_shown_as_it_is(run, look):
    code = "<!doctype html><title>t</title><canvas id=c></canvas><script>document.title = 'ran'</script>"
    ran = run("core_web", "index.html", code)
    assert ran.seconds == 0  # nothing was built
    assert look(ran).title() == "ran"
    body = ran.app.files["index.html"].decode()
    assert body.endswith(code.removeprefix("<!doctype html>") + "\n")
    picture = look(run("core_web", "index.html", '<svg xmlns="http://www.w3.org/2000/svg"><circle r="9"/></svg>'))
    expect(picture.locator("circle")).to_have_count(1)


@pytest.mark.slow
@pytest.mark.xdist_group("web")
def test_an_empty_page_says_so_and_a_picture_of_boxes_is_none(run, look):
    box = '<div style="width:9px;height:9px;background:red"></div>'
    pages = [
        look(run("core_web", "index.html", f"<!doctype html><body>{inside}</body>")) for inside in (box, "<div></div>")
    ]
    expect(pages[1].locator("homespun-fault")).to_have_count(1, timeout=10_000)
    assert pages[0].locator("homespun-fault").count() == 0


@pytest.mark.parametrize(
    ("text", "name", "path"),
    [
        ("https://unpkg.com/vue@3/dist/vue.global.js", "vue", "dist/vue.global.js"),
        ("//cdn.jsdelivr.net/npm/@scope/name@1.2/a/b.js", "@scope/name", "a/b.js"),
        ("https://cdn.jsdelivr.net/npm/chart.js", "chart.js", ""),
        ("https://cdn.jsdelivr.net/npm/d3@7/+esm", "d3", ""),
        ("https://esm.sh/v135/react-dom@18/client?dev", "react-dom", "client"),
        ("https://cdnjs.cloudflare.com/ajax/libs/three.js/r128/three.min.js", "three", "three.min.js"),
        (
            "https://stackpath.bootstrapcdn.com/bootstrap/4.5.2/css/bootstrap.min.css",
            "bootstrap",
            "css/bootstrap.min.css",
        ),
        ("https://d3js.org/d3.v7.min.js", "d3", "d3.v7.min.js"),
    ],
)
def test_an_address_is_a_package_and_a_file_of_it(text, name, path):
    read = address(text, "script")
    assert isinstance(read, Address)
    assert (read.package.name, read.path) == (name, path)


WORDS = st.text(alphabet="<>/ scriptlnkye='\"!-=a\n", max_size=120)


@given(WORDS, WORDS)
def test_elements_lie_in_the_text_in_order_and_apart(before, body):
    text = f"{before}<script type=module>{body}</script><LINK rel=stylesheet href='x'>"
    at = 0
    for element in elements(text):
        assert at <= element.start < element.body_start <= element.end <= len(text)
        assert text[element.start : element.start + 1 + len(element.name)].lower() == f"<{element.name}"
        assert text[element.body_start : element.end] == (element.body if element.name != "link" else "")
        at = element.end


def test_the_import_map_of_a_page():
    found = elements('<script type="importmap">{"imports": {"a": "b"}}</script><script type="importmap">[1</script>')
    assert import_map(found) == {"a": "b"}
