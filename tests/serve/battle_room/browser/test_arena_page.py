"""The battle room's page in a real browser: rounds, edits, votes, sharing, ranking, keys, reload, lost lines."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("arena-browser")]
FIRST, SECOND = "Turn 1", "Turn 2"


def editor(page: Page, side: str) -> Any:
    return page.locator(f"#panel-code-{side} .cm-content")


def write(page: Page, code: Any, text: str) -> None:
    code.focus()
    page.keyboard.press("Control+a")
    page.keyboard.press(
        "Delete"
    )  # text put in place of other text gets that one's style from Chromium, which the policy refuses
    page.keyboard.insert_text(text)


def test_a_battle_hides_names_until_the_vote_then_is_shared_and_ranked(visit: Any, names: set[str]) -> None:
    at = visit()
    page = at.ask("change")
    for button in page.locator(".vote").all():
        expect(button).to_have_attribute("aria-disabled", "true")
    page.keyboard.press("Escape")
    assert not any(name in page.content() for name in names)
    at.opened()
    assert not any(name in page.content() for name in names)
    expect(page.locator("#panel-output-a .facts")).not_to_contain_text(" s")  # how fast it was would sway the vote
    page.get_by_role("button", name="Say more").click()
    page.locator(".aspect", has_text="Correctness").get_by_text("A", exact=True).click()
    page.fill("#reason", "A prints less.")
    page.locator("#vote-hint").click()
    watched = visit().goto("/#leaderboard").locator(".heading [role=status]")
    expect(watched).to_contain_text("vote")
    before = watched.inner_text()
    page.wait_for_timeout(1100)
    with page.expect_request(re.compile("/votes$")) as sent:
        page.locator("body").press("1")
    assert sent.value.post_data_json["winner"] == "a"
    assert sent.value.post_data_json["aspects"] == {"correctness": "a"}
    assert sent.value.post_data_json["reason"] == "A prints less."
    expect(page.locator(".verdict")).to_have_text("You preferred A")
    at.picture("vote")
    shown = page.locator(".pane h2 .name").all_inner_texts()
    assert set(shown) == names
    expect(page.locator("#spoken")).to_contain_text(f"A was {shown[0]}, B was {shown[1]}")
    expect(page.locator("#composer")).to_be_hidden()
    expect(watched).not_to_have_text(before)  # who looks at the leaderboard sees the vote come in
    share(at, visit, shown)
    ranked(at, names)


def share(at: Any, visit: Any, shown: list[str]) -> None:
    page = at.page
    page.locator("body").press("s")
    link = page.locator("#link")
    expect(link).to_be_focused()
    expect(page.locator(".card-picture")).to_have_js_property("complete", value=True, timeout=20_000)
    assert page.locator(".card-picture").evaluate("(image) => image.naturalWidth") > 300
    address = link.input_value()
    page.keyboard.press("Escape")
    other = visit()
    looked = other.goto(address.removeprefix(other.url))
    expect(looked.locator("#pane-a .turn")).to_have_count(1)
    assert looked.locator(".pane h2 .name").all_inner_texts() == shown
    expect(looked.locator("#panel-output-a .printed, #panel-output-a .problem").first).to_be_visible()
    expect(looked.locator("#composer")).to_be_hidden()
    expect(looked.get_by_role("button", name="Regenerate")).to_have_count(0)
    assert looked.locator("#tab-code-a").is_visible()


def ranked(at: Any, names: set[str]) -> None:
    page = at.page
    page.get_by_role("button", name="Leaderboard").click()
    expect(page.locator(".ranks tbody tr")).to_have_count(len(names), timeout=20_000)
    rows = page.locator(".ranks tbody tr")
    assert set(page.locator(".ranks tbody th").all_inner_texts()) == names
    expect(rows.first.locator("svg.interval")).to_be_visible()
    expect(page.locator(".ranks thead th")).to_have_text(
        ["Rank", "Model", "Rating", "95 % interval", "Votes", "Organization", "Licence"]
    )
    at.picture("leaderboard")
    page.select_option("#by", "environment")
    expect(page.locator("#value")).to_be_visible()
    page.select_option("#setting", "environment")
    page.check("#control")
    expect(page.locator(".board [aria-busy=false]")).to_be_visible()
    expect(page.locator(".board .problem")).to_have_count(0)
    page.go_back()
    expect(page.locator("#room")).to_be_visible()


def test_code_is_edited_and_run_again(visit: Any) -> None:
    at = visit(color_scheme="dark")
    page = at.battle("clock")
    at.tab("a", "code")
    code = editor(page, "a")
    expect(code).to_contain_text("<!DOCTYPE html>")
    write(page, code, "<!doctype html><p id=mine>Edited &amp; run</p>")
    expect(page.locator("#panel-code-a .quiet")).to_have_text("changed, not run yet")
    page.get_by_role("button", name="Undo changes").click()
    expect(code).to_contain_text("<!DOCTYPE html>")
    write(page, code, "<!doctype html><p id=mine>Edited &amp; run</p>")
    at.picture("editor-dark")
    page.keyboard.press("Control+Enter")
    expect(at.frame("a").locator("#mine")).to_have_text("Edited & run", timeout=40_000)
    expect(page.locator("#tab-output-a")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#panel-code-a .quiet")).to_have_text("your change 1")
    expect(page.locator("#pane-b iframe")).to_be_visible()
    expect(page.locator(".vote.a")).to_have_attribute("aria-disabled", "false")
    page.evaluate(
        "window.postMessage({homespun: 'log', run: 'x', records: [{type: 'click', time: 'now', payload: {}}]})"
    )
    page.wait_for_timeout(1700)
    assert not any(record["time"] == "now" for record in at.sent)  # only a program's own frame is believed


def test_packages_are_edited_checked_and_run_again(visit: Any) -> None:
    at = visit()
    page = at.ask("primes", mode="named")
    page.wait_for_selector(".votes.open", timeout=60_000)
    panel = page.locator("#panel-packages-a")
    at.tab("a", "packages")
    expect(panel.get_by_label("Package", exact=True)).to_have_count(2)
    panel.get_by_role("button", name="Add").click()
    row = panel.locator("tbody tr").last
    expect(row.get_by_label("Package", exact=True)).to_be_focused()
    page.keyboard.type("pandas")
    row.get_by_label("Version").fill("2 or so")
    at.expected += 1
    panel.get_by_role("button", name="Run").click()
    expect(panel.get_by_role("alert")).to_contain_text("2 or so")
    row.get_by_label("Version").fill("latest")
    panel.get_by_role("button", name="Run").click()
    expect(page.locator("#tab-output-a")).to_have_attribute("aria-selected", "true")
    at.tab("a", "packages")
    expect(panel.locator(".bar [role=status]")).to_have_text("", timeout=60_000)
    expect(page.locator("#pane-a .chip")).to_contain_text("ready")
    expect(panel.get_by_label("Package", exact=True)).to_have_count(3)
    expect(panel.locator("tbody tr", has=page.locator("input[value=pandas]"))).to_contain_text("yours")


def test_turns_to_both_to_one_and_again(visit: Any) -> None:
    at = visit()
    page = at.battle("change")
    expect(page.locator("#environment")).to_be_disabled()
    at.tab("b", "reply")
    page.select_option("#target", "a")
    page.fill("#text", "Do it in Rust.")
    page.keyboard.press("Enter")
    expect(page.locator("#pane-a .turn")).to_have_count(2)
    at.opened()
    expect(page.locator("#pane-b .turn")).to_have_count(1)
    expect(page.locator("#panel-code-a .file")).to_have_text(re.compile(r"\.rs$"))
    page.locator("#pane-b").get_by_role("button", name="Regenerate").click()
    expect(page.locator("#pane-b .chip")).not_to_contain_text("failed")
    at.opened()
    expect(page.locator("#pane-b .turn")).to_have_count(1)
    expect(page.locator("#pane-b .turn .reply")).not_to_be_empty()
    page.locator("body").click(position={"x": 2, "y": 2})
    expect(page.locator("#send")).to_be_disabled()


def test_direct_chat_has_one_side_and_no_vote(visit: Any) -> None:
    at = visit()
    page = at.goto()
    page.check("input[name=mode][value=direct]", force=True)
    page.select_option("#left", label="Loom")
    page.locator(".example", has_text="Coins for change").click()
    page.keyboard.press("Enter")
    expect(page.locator("#pane-a .chip")).to_contain_text("ready", timeout=60_000)
    expect(page.locator(".pane")).to_have_count(1)
    expect(page.locator("#pane-a h2 .name")).to_have_text("Loom")
    expect(page.locator("#votes")).to_be_hidden()


def test_a_reload_and_a_lost_line_lose_nothing(visit: Any) -> None:
    at = visit()
    page = at.ask("change")
    page.route("**/events?*", lambda route: route.abort())
    page.reload()
    page.wait_for_selector("body[data-ready]")
    expect(page.locator("#pane-a .turn")).to_have_count(1)
    expect(page.locator("#link-state")).to_be_visible(timeout=10_000)
    page.unroute("**/events?*")
    expect(page.locator("#link-state")).to_be_hidden(timeout=20_000)
    at.opened()
    code = page.locator("#pane-a .reply pre code").first
    whole = code.text_content()
    assert "main" in (whole or "")
    before = page.locator(".transcript").all_text_contents()
    page.reload()
    at.opened()
    assert page.locator(".transcript").all_text_contents() == before
    at.complaints.clear()  # the lost line itself is written to the console


FOCUSED = """() => {
  const at = document.activeElement;
  return (at.ariaLabel || at.innerText || at.value).trim().split("\\n")[0];
}"""


def test_the_keyboard_alone_is_enough(visit: Any) -> None:
    at = visit()
    page = at.goto()
    names = []
    for _ in range(9):
        page.keyboard.press("Tab")
        names.append(page.evaluate(FOCUSED))
    assert names[:7] == [
        "Skip to the prompt",
        "homespun arena",
        "Battle room",
        "Leaderboard",
        "Theme: system",
        "Keyboard and help",
        "battle",
    ]
    assert names[7:] == ["A to-do list", "A tip calculator"]
    page.keyboard.press("?")
    expect(page.locator("#help-dialog")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.locator("#text")).to_be_focused()
    page.keyboard.type("1 a b ? /")
    assert page.input_value("#text") == "1 a b ? /"
    assert page.evaluate("getComputedStyle(document.querySelector('#composer')).borderColor") != "rgba(0, 0, 0, 0)"
    at.ask("change")
    at.opened()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("b")
    expect(page.locator("#tab-output-b")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#tab-code-b")).to_be_focused()
    expect(page.locator("#panel-code-b")).to_be_visible()
    expect(page.locator("#panel-output-b")).not_to_be_visible()
    page.keyboard.press("End")
    expect(page.locator("#tab-log-b")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("e")
    expect(page.locator("#pane-a")).to_be_hidden()
    page.keyboard.press("e")
    expect(page.locator("#pane-a")).to_be_visible()
    page.wait_for_timeout(1100)
    page.keyboard.press("2")
    expect(page.locator(".verdict")).to_have_text("You called it a tie")
    page.keyboard.press("n")
    expect(page.locator("#start")).to_be_visible()
    expect(page.locator("#text")).to_be_focused()


HOSTILE = """# <img src=x onerror="window.struck=1">

<script>window.struck=1</script> [click](javascript:window.struck=1) [data](data:text/html,x)

![pic](https://example.org/a.png) [click](javascript:window.struck=1) [data](data:text/html,x)

[ok](https://example.org/) <b onclick="x">bold</b> &lt;i&gt; **fine**

```html
<script>window.struck=1</script>
```
"""


def test_a_hostile_reply_stays_text(visit: Any) -> None:
    page = visit().goto()
    made = page.evaluate(
        """async (text) => {
          const { Reply } = await import("/static/markdown.js");
          const place = document.createElement("div");
          document.body.append(place);
          const reply = new Reply(place);
          for (let end = 0; end <= text.length; end += 7) reply.show(text.slice(0, end), false);
          reply.show(text, true);
          await new Promise((after) => setTimeout(after, 300));
          const links = [...place.querySelectorAll("a")].map((link) => link.getAttribute("href"));
          const tags = [...new Set([...place.querySelectorAll("*")].map((node) => node.localName))];
          return { links, tags, struck: window.struck ?? null, text: place.innerText };
        }""",
        HOSTILE,
    )
    assert made["links"] == ["https://example.org/a.png", "https://example.org/"]
    assert not {"img", "script", "b"} & set(made["tags"])
    assert made["struck"] is None
    assert '<b onclick="x">bold</b> <i> fine' in made["text"]


CONTRAST = """(pairs) => {
  const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const probe = document.createElement("span");
  document.body.append(probe);
  const light = (name) => {
    probe.style.color = `var(--${name})`;
    paint.fillStyle = getComputedStyle(probe).color;
    paint.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...paint.getImageData(0, 0, 1, 1).data].slice(0, 3).map((v) => v / 255)
      .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return pairs.map(([front, back]) => {
    const [high, low] = [light(front), light(back)].sort((x, y) => y - x);
    return (high + 0.05) / (low + 0.05);
  });
}"""
TEXTS = ("ink", "soft", "accent", "a", "b", "good", "bad", "warn")
CODE = tuple(f"code-{name}" for name in ("keyword", "string", "number", "comment", "type", "name"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_can_be_read(scheme: str, visit: Any) -> None:
    page = visit(color_scheme=scheme).goto()
    pairs = [(name, "card") for name in TEXTS] + [("soft", "ground"), ("ink", "weak"), ("soft", "weak")]
    pairs += [(name, "well") for name in CODE] + [("accent-ink", "accent"), ("badge-ink", "a"), ("badge-ink", "b")]
    found = dict(zip(pairs, page.evaluate(CONTRAST, [list(pair) for pair in pairs]), strict=True))
    assert {pair: ratio for pair, ratio in found.items() if ratio < 4.5} == {}
    lines = page.evaluate(CONTRAST, [["edge", "card"], ["focus", "ground"]])
    assert min(lines) >= 3


def test_narrow_screens_swipe_between_the_sides(visit: Any) -> None:
    at = visit(viewport={"width": 390, "height": 800}, has_touch=True)
    page = at.goto()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    at.ask("change")
    at.opened()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    expect(page.locator("#pane-a")).to_be_in_viewport(ratio=0.9)
    page.get_by_role("button", name="Side B").click()
    expect(page.locator("#pane-b")).to_be_in_viewport(ratio=0.9)
    expect(page.get_by_role("button", name="Side B")).to_have_attribute("aria-pressed", "true")
    for button in page.locator(".vote").all():
        assert button.evaluate("(node) => node.scrollWidth <= node.clientWidth")
    at.picture("narrow")


def test_the_theme_is_kept(visit: Any) -> None:
    at = visit(color_scheme="light")
    page = at.goto()
    at.picture("start")
    for _ in range(2):
        page.click("#theme")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert page.get_attribute("html", "data-theme") == "dark"
    page.reload()
    page.wait_for_selector("body[data-ready]")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark == "rgb(22, 21, 18)"


def test_what_is_not_there_is_said(visit: Any) -> None:
    at = visit()
    at.expected = 1  # the browser itself writes refusals to its console
    page = at.goto("/s/AAAAAAAAAAAAAAAAAAAAAA")
    expect(page.locator("#problem")).to_be_visible()
    expect(page.locator("#start")).to_be_visible()
    assert page.url == at.url + "/"
