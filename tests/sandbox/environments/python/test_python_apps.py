"""Streamlit and Gradio programs served, looked at in Chromium, and jobs that wait for their program."""

import asyncio
import http.client
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from playwright.async_api import Page, async_playwright, expect

from homespun.sandbox.apps import AppHost
from homespun.sandbox.environments import gradio, python_program, streamlit
from homespun.sandbox.environments.types import Ran, Service, Work
from homespun.sandbox.environments.waiting import GRADIO, STREAMLIT, Warm
from homespun.sandbox.jail import jail as jail_called
from homespun.sandbox.jail.types import Jail

pytestmark = pytest.mark.slow

COUNTING = """
import streamlit as st
st.title("Counting")
number = st.number_input("How many", value=2)
if st.button("Double"):
    st.write(f"twice is {number * 2}")
"""
GREETS = """
import gradio as gr
demo = gr.Interface(lambda name: "Hello " + name, "text", "text", title="Greets")
if __name__ == "__main__":
    demo.queue().launch(server_name="0.0.0.0", server_port=1234, share=True, inbrowser=True, ssl_verify=False)
"""
PLOTLY = "import plotly.express as px\npx.line(x=[1, 2], y=[3, 4], title='Rising').show()\n"


def get(service: Service, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("localhost")
    connection.sock = service.inlet.dial_now(5)
    with closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def close(ran: Ran) -> None:
    if isinstance(ran.app, Service):
        ran.app.running.kill()
        ran.app.inlet.close()


async def in_chromium(apps: dict[str, Ran]) -> None:
    host = AppHost()
    await host.start()
    try:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            for name, check in (("streamlit", _doubles), ("gradio", _greets), ("plotly", _rises)):
                app = apps[name].app
                assert app is not None, apps[name].stderr
                page = await browser.new_page()
                await page.goto(host.publish(name, app))
                await check(page)
                await page.close()
            await browser.close()
    finally:
        await host.close()


async def _doubles(page: Page) -> None:
    await page.get_by_role("button", name="Double").click(timeout=20_000)
    await expect(page.get_by_text("twice is 4")).to_be_visible(timeout=20_000)


async def _greets(page: Page) -> None:
    await page.get_by_label("name").fill("Ada", timeout=20_000)
    await page.get_by_role("button", name="Submit").click()
    await expect(page.get_by_label("output")).to_have_value("Hello Ada", timeout=20_000)


async def _rises(page: Page) -> None:
    await expect(page.get_by_text("Rising")).to_be_visible(timeout=20_000)


def test_apps_work_in_a_browser(work: Callable[..., Work], jail: Jail) -> None:
    with ThreadPoolExecutor(3) as pool:
        started = {
            "gradio": pool.submit(gradio.run, work(GREETS, "gradio"), jail),
            "streamlit": pool.submit(streamlit.run, work(COUNTING, "streamlit"), jail),
            "plotly": pool.submit(python_program.run, work(PLOTLY), jail),
        }
    apps = {name: ran.result() for name, ran in started.items()}
    try:
        asyncio.run(in_chromium(apps))
    finally:
        for ran in apps.values():
            close(ran)


def test_a_waiting_job_serves_one_program_and_is_replaced(work: Callable[..., Work], jail: Jail) -> None:
    wanted = work("import streamlit as st\nprint('one')\nst.write(1)\n1/0\n", "streamlit")
    with Warm(wanted.layers, jail, wanted.bounds, (STREAMLIT,)) as warm:
        assert warm.take(STREAMLIT, work("", "streamlit", memory_mb=77), jail) is None
        assert warm.take(GRADIO, wanted, jail) is None
        ran = streamlit.run(wanted, jail, warm)
        try:
            assert isinstance(ran.app, Service), ran.stderr
            assert get(ran.app, "/_stcore/health")[0] == 200
            assert ran.stdout == "one\n"
            assert ran.stderr.startswith("Traceback")  # an app that shows its error is still an app
            assert 'File "main.py", line 4' in ran.stderr
            assert "streamlit/runtime" not in ran.stderr
            deadline = time.monotonic() + 20
            while (second := warm.take(STREAMLIT, wanted, jail)) is None and time.monotonic() < deadline:
                time.sleep(0.01)
            assert second is not None
            assert second.running is not ran.app.running
            second.close()
        finally:
            close(ran)
        last = warm.take(STREAMLIT, wanted, jail)
        running = last.running if last is not None else second.running
        if last is not None:
            last.close()
        assert not running.alive


@pytest.mark.parametrize(
    ("environment", "code", "told"),
    [
        ("streamlit", "import streamlit as st\nst.write(", "SyntaxError"),
        ("gradio", "import gradio as gr\nprint('x')", "makes no Gradio app"),
    ],
)
def test_what_is_no_app_has_failed(
    work: Callable[..., Work], jail: Jail, environment: str, code: str, told: str
) -> None:
    run = {"streamlit": streamlit.run, "gradio": gradio.run}[environment]
    ran = run(work(code, environment), jail)
    assert (ran.status, ran.exit_code, ran.app) == ("failed", 1, None)
    assert told in ran.stderr


def test_an_app_that_nobody_launches_is_launched_under_gvisor_too(work: Callable[..., Work]) -> None:
    code = "import gradio as gr\nwith gr.Blocks() as page:\n    gr.Markdown('quiet')\n"
    ran = gradio.run(work(code, "gradio"), jail_called("gvisor"))
    try:
        assert isinstance(ran.app, Service), ran.stderr
        assert "quiet" in get(ran.app, "/config")[1]
        assert ran.notes["gradio"] == "the program does not launch its app: done for it"
    finally:
        close(ran)
