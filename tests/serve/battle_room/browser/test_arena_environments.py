"""In each of the eight environments: a battle whose programs run, take clicks and keys, tell of them, and a vote."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import FrameLocator, Page, expect

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("arena-browser")]
BASKET = """(canvas) => {
  const { width, height } = canvas;
  const row = canvas.getContext("2d").getImageData(0, height - 30, width, 28).data;
  const wanted = (r, g, b) => (r > 130 && r < 165 && g > 70 && g < 100 && b < 60) || (r > 240 && g > 240 && b > 240);
  let sum = 0, number = 0;
  for (let i = 0; i < row.length; i += 4) {
    if (wanted(row[i], row[i + 1], row[i + 2])) { sum += (i / 4) % width; number += 1; }
  }
  return number ? sum / number / width : -1;
}"""


def react(page: Page, frame: FrameLocator) -> None:
    frame.locator("input:not([type=checkbox])").click()
    page.keyboard.type("Dye")
    frame.get_by_role("button", name="Add").click()
    expect(frame.locator("li")).to_contain_text(["Dye"])


def vue(page: Page, frame: FrameLocator) -> None:
    frame.locator("input[type=number]").first.click(click_count=3)
    page.keyboard.type("96")
    expect(frame.locator("body")).to_contain_text(re.compile(r"53\.76|106"))


def core_web(page: Page, frame: FrameLocator) -> None:
    page.wait_for_timeout(100)
    frame.locator("#digits, #t").click()
    page.keyboard.press("a")
    expect(frame.locator("#digits, #t")).to_contain_text(re.compile("AM|PM"))


def gradio(page: Page, frame: FrameLocator) -> None:
    frame.get_by_role("button", name=re.compile("^(Throw|Submit)$")).click()
    page.keyboard.press("Shift")
    expect(frame.locator("textarea").last).to_have_value(re.compile(r"expected|\d: \d"), timeout=20_000)


def streamlit(page: Page, frame: FrameLocator) -> None:
    frame.locator("h1, h2").first.wait_for(timeout=20_000)
    before = frame.locator("body").inner_text()
    handle, button = frame.get_by_role("slider").first, frame.get_by_role("button", name="Compute")
    expect(handle.or_(button)).to_be_visible()
    if button.count():
        button.click()
    else:
        frame.locator("h1").first.click()
        handle.focus()
    page.keyboard.press("ArrowRight")
    expect(frame.locator("body")).not_to_have_text(before)
    expect(frame.locator("body")).to_contain_text(re.compile("Monthly payment|You pay"))


def pygame(page: Page, frame: FrameLocator) -> None:
    canvas = frame.locator("canvas")
    canvas.click()
    before = canvas.evaluate(BASKET)
    for _ in range(4):
        page.keyboard.down("ArrowRight")
        page.wait_for_timeout(120)
        page.keyboard.up("ArrowRight")
    until = 40
    while (after := canvas.evaluate(BASKET)) <= before + 0.05 and until:
        page.wait_for_timeout(100)
        until -= 1
    assert 0 <= before < after - 0.05


def mermaid(page: Page, frame: FrameLocator) -> None:
    drawing = frame.locator("svg").first
    expect(drawing).to_be_visible()
    before = drawing.bounding_box()
    frame.get_by_role("button", name="+").or_(frame.get_by_label(re.compile("zoom in|larger", re.I))).first.click()
    page.keyboard.press("Shift")
    page.wait_for_timeout(300)
    after = drawing.bounding_box()
    assert before
    assert after
    assert after["width"] > before["width"] * 1.05


FRAMED: dict[str, tuple[str, Callable[[Page, FrameLocator], None]]] = {
    "react": ("todo", react),
    "vue": ("tip", vue),
    "core_web": ("clock", core_web),
    "gradio": ("dice", gradio),
    "streamlit": ("loan", streamlit),
    "pygame": ("catch", pygame),
    "mermaid": ("order", mermaid),
}


@pytest.fixture(scope="module")
def rounds(visitor: Callable[[], Any]) -> Iterator[dict[str, Any]]:
    """All battles, begun at once, so that they wait for each other's programs together."""
    begun = {environment: visitor() for environment in FRAMED}
    for environment, at in begun.items():
        at.ask(FRAMED[environment][0])
    yield begun
    for at in begun.values():
        at.close()


@pytest.mark.parametrize("environment", FRAMED)
def test_a_battle_is_run_played_with_and_voted_on(environment: str, rounds: dict[str, Any], names: set[str]) -> None:
    at, play = rounds[environment], FRAMED[environment][1]
    page = at.opened()
    for side in "ab":
        expect(page.locator(f"#pane-{side} iframe")).to_be_visible()
        expect(at.frame(side).locator("body")).not_to_be_empty()
        expect(page.locator(f"#panel-output-{side} .facts")).to_contain_text(re.compile(environment[:4], re.I))
    play(page, at.frame("a"))
    at.picture(environment)
    wanted = {"click", "keydown"}
    for _ in range(50):
        if wanted <= {record["type"] for record in at.sent}:
            break
        page.wait_for_timeout(100)
    assert wanted <= {record["type"] for record in at.sent}
    assert set(at.vote("a")) == names
    expect(page.locator(".who.won .name")).to_have_text(page.locator("#pane-a h2 .name").inner_text())


def test_printed_and_drawn_results(visit: Any, names: set[str]) -> None:
    at = visit()
    page = at.battle("primes")
    expect(page.locator(".panel.output .printed").first).to_be_visible()
    figure = page.locator(".panel.output img.picture")
    expect(figure).to_have_count(1)
    expect(figure).to_have_js_property("complete", value=True)
    assert figure.evaluate("(image) => image.naturalWidth") > 200
    expect(page.locator(".panel.output")).to_contain_text(["largest gap", "largest gap"])
    at.picture("interpreter")
    assert set(at.vote("both_bad")) == names
    expect(page.locator(".verdict")).to_have_text("You found both bad")
