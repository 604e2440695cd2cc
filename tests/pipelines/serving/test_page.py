"""The page at `/`: its policy, and in Chromium what it sends, shows, and never runs."""

from __future__ import annotations

import base64
import io
import re
import shutil
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from pipelines.serving.page import FOLDER, routes

EVIL = "<img src=x onerror=document.title='run'>"


def webp() -> str:
    out = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(out, "webp")
    return base64.b64encode(out.getvalue()).decode()


def answer(**verdict: Any) -> dict[str, Any]:
    segment = {"label": "Violence/Weapons", "form": "Image", "start_ms": 15_000, "end_ms": 30_000, "score": 0.9}
    segment |= {"evidence_ms": 20_000, "text": EVIL, "reference_id": None}
    said = {"suggestion": "block", "labels": [{"label": "Violence/Weapons", "form": "Image", "score": 0.9}]}
    said |= {"segments": [segment], "duration_ms": 60_000, "complete": True, "bundle": "lite@1+ab", "policy": "p@1"}
    lines = [{"start_ms": 61_000, "end_ms": 62_000, "text": EVIL, "form": "Voice"}]
    match = {"reference_id": EVIL, "form": "Audio", "score": 0.8, "start_ms": 0, "end_ms": 5000}
    match |= {"ref_start_ms": 60_000, "ref_end_ms": 65_000}
    return {**said, **verdict, "signals": [], "transcript": lines, "matches": [match], "evidence": {"20000": webp()}}


class Service:
    """The page, and a check that answers what it is told to and remembers what it was asked."""

    def __init__(self) -> None:
        self.said: tuple[int, dict[str, Any], dict[str, str]] = (200, answer(), {})
        self.asked: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.app = Starlette(routes=[*routes(), Route("/v1/check", self.check, methods=["POST"])])

    async def check(self, request: Request) -> JSONResponse:
        if request.headers["content-type"].startswith("multipart/"):
            async with request.form() as form:
                file = form["file"]
                body = {**form, "file": (file.filename, await file.read())}
        else:
            body = await request.json()
        self.asked.append((dict(request.headers), body))
        status, content, headers = self.said
        return JSONResponse(content, status, headers)


class TestFiles:
    @pytest.mark.parametrize("path", ["/", "/page.js", "/page.css"])
    def test_each_comes_under_the_policy(self, path):
        found = TestClient(Service().app).get(path)

        assert found.status_code == 200
        policy = found.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert found.headers["x-content-type-options"] == "nosniff"

    def test_nothing_is_inline_and_nothing_comes_from_elsewhere(self):
        page = (FOLDER / "page.html").read_text("utf-8")

        assert re.findall(r"(?:src|href)=\"([^\"]*)\"", page) == ["data:,", "/page.css", "/page.js"]
        assert not re.search(r"<style|style=|\son\w+=|<script>", page)
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|https?://(?!www\.w3\.org/2000)",
            (FOLDER / "page.js").read_text("utf-8"),
        )

    def test_every_id_that_the_script_asks_for_is_there(self):
        page, script = ((FOLDER / name).read_text("utf-8") for name in ("page.html", "page.js"))
        parts = [f"part-{name}" for name in re.findall(r"part\(\"(\w+)\"", script)]

        assert set(re.findall(r"at\(\"([\w-]+)\"\)", script)) | set(parts) <= set(re.findall(r" id=\"([\w-]+)\"", page))


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service as Driver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    quiet = ("--disable-background-networking", "--no-first-run", "--disable-component-update", "--disable-sync")
    profile = f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", *quiet, profile):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Driver(shutil.which("chromedriver")))
    yield browser
    browser.quit()


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Service, str]]:
    service = Service()
    server = uvicorn.Server(uvicorn.Config(service.app, port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        threading.Event().wait(0.01)
    yield service, f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    server.should_exit = True
    thread.join()


@pytest.fixture
def page(driver, served):
    """A fresh page over a service that says block, and an empty console afterwards unless a test read it."""
    service, url = served
    service.said, service.asked = (200, answer(), {}), []
    driver.get_log("browser")
    driver.get(url)
    yield service, driver
    assert driver.get_log("browser") == []


def find(browser, selector):
    return browser.find_element("css selector", selector)


def wait_for(browser, selector):
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, 10).until(lambda _: (found := find(browser, selector)).is_displayed() and found)


def write_and_check(browser, text="some words"):
    find(browser, "#text").send_keys(text)
    find(browser, "#check").click()


@pytest.mark.browser
class TestPage:
    def test_a_text_is_sent_with_its_key_and_the_verdict_is_read_out(self, page):
        service, browser = page
        find(browser, "#key").send_keys("nj_key")
        write_and_check(browser)
        verdict = wait_for(browser, "#verdict")

        ((headers, body),) = service.asked
        assert body == {"title": "some words"}
        assert headers["authorization"] == "Bearer nj_key"
        assert (verdict.text, verdict.get_attribute("class")) == ("Block", "block")
        assert browser.switch_to.active_element.get_attribute("id") == "verdict"
        assert browser.execute_script("return [localStorage.length, sessionStorage.length, document.cookie]") == [
            0,
            0,
            "",
        ]

    def test_a_file_is_sent_without_its_name(self, page, tmp_path):
        service, browser = page
        path = tmp_path / "my private name.png"
        Image.new("RGB", (8, 8)).save(path)
        find(browser, "#file").send_keys(str(path))
        assert "my private name.png" in find(browser, "#chosen").text
        find(browser, "#check").click()
        wait_for(browser, "#verdict")

        ((headers, body),) = service.asked
        assert body == {"file": ("upload", path.read_bytes())}
        assert "authorization" not in headers

    def test_a_dropped_file_is_taken(self, page):
        service, browser = page
        browser.execute_script(
            "const data = new DataTransfer(); data.items.add(new File(['abc'], 'a.png'));"
            "document.getElementById('drop').dispatchEvent(new DragEvent('drop', "
            "{dataTransfer: data, bubbles: true, cancelable: true}))"
        )
        find(browser, "#check").click()
        wait_for(browser, "#verdict")

        assert service.asked[0][1] == {"file": ("upload", b"abc")}

    def test_segments_lie_on_a_timeline_and_in_a_table(self, page):
        _, browser = page
        write_and_check(browser)
        wait_for(browser, "#verdict")

        mark = find(browser, "#timeline .mark")
        assert (mark.get_attribute("x"), mark.get_attribute("width")) == ("25%", "25%")
        assert find(browser, "#timeline svg").accessible_name == "Violence/Weapons: 0:15 to 0:30, of 1:00"
        cells = [cell.text for cell in browser.find_elements("css selector", "#segments tr *")]
        assert cells == ["Violence/Weapons", "Image", "0:15", "0:30", "0.90", EVIL]

    def test_pictures_are_blurred_until_asked_for(self, page):
        _, browser = page
        write_and_check(browser)
        wait_for(browser, "#verdict")
        blur = "return getComputedStyle(document.querySelector('#evidence img')).filter"

        assert browser.execute_script("return document.querySelector('#evidence img').naturalWidth") == 40
        assert browser.execute_script(blur) == "blur(14px)"
        find(browser, "#pictures").click()
        assert browser.execute_script(blur) == "none"
        assert find(browser, "#pictures").get_attribute("aria-pressed") == "true"
        assert find(browser, "#evidence img").accessible_name == "Evidence at 0:20"

    def test_what_came_is_text_and_never_runs(self, page):
        _, browser = page
        write_and_check(browser, EVIL)
        wait_for(browser, "#verdict")

        assert EVIL in find(browser, "#transcript").text
        assert EVIL in find(browser, "#matches").text
        assert browser.title == "Nightjar: check an upload"
        assert browser.execute_script("return document.querySelectorAll('main img').length") == 1

    def test_the_policy_keeps_a_foreign_script_from_running(self, page):
        _, browser = page
        browser.execute_script(
            "const script = document.createElement('script'); script.textContent = \"document.title = 'run'\";"
            "document.body.append(script)"
        )

        assert browser.title == "Nightjar: check an upload"
        assert any("Content Security Policy" in entry["message"] for entry in browser.get_log("browser"))

    @pytest.mark.parametrize(
        ("said", "sentence"),
        [
            (
                (429, {"error": {"code": "rate", "message": "this key has asked too often"}}, {"retry-after": "7"}),
                "this key has asked too often. Try again in 7 s.",
            ),
            ((401, {"error": {"message": "a key is wanted"}}, {}), "a key is wanted."),
            ((502, {"odd": True}, {}), "The service answered 502."),
        ],
    )
    def test_an_error_is_a_sentence(self, page, said, sentence):
        service, browser = page
        service.said = said
        write_and_check(browser)

        assert wait_for(browser, "#error").text == sentence
        assert find(browser, "#error").aria_role == "alert"
        assert not find(browser, "#result").is_displayed()
        browser.get_log("browser")  # Chromium notes every status from 400 on

    def test_nothing_to_check_is_said_before_anything_is_sent(self, page):
        service, browser = page
        find(browser, "#check").click()

        assert wait_for(browser, "#error").text == "Choose a file or write a text first."
        assert service.asked == []

    def test_a_keyboard_is_enough(self, page):
        from selenium.webdriver import ActionChains, Keys

        service, browser = page
        browser.execute_script("document.getElementById('file').focus()")
        ActionChains(browser).send_keys(Keys.TAB, "words", Keys.TAB, "nj_key", Keys.TAB, Keys.ENTER).perform()
        wait_for(browser, "#verdict")

        assert service.asked[0][1] == {"title": "words"}

    def test_clearing_takes_everything_back(self, page):
        _, browser = page
        find(browser, "#key").send_keys("nj_key")
        write_and_check(browser)
        wait_for(browser, "#verdict")
        find(browser, "#clear").click()

        assert not find(browser, "#result").is_displayed()
        assert [find(browser, field).get_attribute("value") for field in ("#text", "#key")] == ["", ""]

    def test_every_field_has_a_name(self, page):
        _, browser = page
        names = [found.accessible_name for found in browser.find_elements("css selector", "input, textarea, button")]

        assert all(names[:5])
        assert names[1:3] == ["Title or text", "API key (kept in this tab's memory only)"]

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_it_is_readable_by_day_and_by_night(self, page, scheme):
        """WCAG 2.2's contrast of 4.5 to 1 for what is read."""
        _, browser = page
        browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        )
        read = "const seen = getComputedStyle(document.querySelector(arguments[0]));"
        read += "return [seen.color, seen.backgroundColor]"
        pairs = [browser.execute_script(read, selector) for selector in ("html", "#check")]

        assert all(contrast(*pair) >= 4.5 for pair in pairs), pairs


def contrast(one: str, other: str) -> float:
    lights = sorted(_luminance(colour) for colour in (one, other))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
