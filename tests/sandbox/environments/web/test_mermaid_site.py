"""Diagrams: read in the jail, drawn in the page."""

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("web")]

FLOW = "graph TD\n  A[Start] --> B{Choice}\n  B -->|yes| C[End]\n"


def test_a_flow_chart_is_drawn_fitted_and_magnified(run, look):
    page = look(run("mermaid", "diagram.mmd", FLOW))
    expect(page.locator("#drawing svg")).to_contain_text("Choice")
    box = page.locator("#drawing svg").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 1024
    assert box["y"] + box["height"] <= 768
    page.keyboard.press("+")
    assert page.locator("#drawing svg").bounding_box()["width"] == pytest.approx(box["width"] * 1.25, rel=1e-3)
    page.get_by_role("button", name="Fit").click()
    assert page.locator("#drawing svg").bounding_box()["width"] == pytest.approx(box["width"], rel=1e-3)
    assert page.failures == []
    assert page.strangers == []


def test_bad_syntax_fails_with_mermaids_own_message(run):
    ran = run("mermaid", "diagram.mmd", FLOW + "  C --> \n")
    assert (ran.status, ran.app) == ("failed", None)
    assert "Parse error on line" in ran.stderr


def test_a_diagram_runs_no_script(run, look):
    code = (
        FLOW + '  A --> X["<img src=x onerror=\'document.title=1\'>"]\n  click A href "javascript:document.title=1"\n'
    )
    page = look(run("mermaid", "diagram.mmd", code))
    expect(page.locator("#drawing svg")).to_contain_text("Choice")
    assert page.title() == "Mermaid diagram"
    assert page.locator("[onerror]").count() == 0
    addresses = page.eval_on_selector_all("a", "all => all.flatMap(a => [...a.attributes].map(each => each.value))")
    assert not any("javascript:" in each for each in addresses)
