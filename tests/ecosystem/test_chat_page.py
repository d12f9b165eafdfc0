"""The chat page, in a real browser without a screen, before a local Atoma."""

import asyncio
import json
import re
import signal
import subprocess
import sys
import threading

import httpx
import pytest
from chat_pages import FOLDER, serve_page
from chromium import BROWSER, DRIVER, chromium, resize
from endless import Endless, hung_up
from scripted import ScriptedEngine
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from atoma_local import FaultSwitch

pytestmark = [
    pytest.mark.skipif(
        not (BROWSER and DRIVER),
        reason="no Chromium here: install Debian's chromium and chromium-driver",
    ),
    # Selenium leaves its pipes to the driver to the collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

QUESTION = "canary-heliotrope-5f1d9c: how much do we offer the museum?"
WORDS = ["We ", "offer ", "canary-heliotrope-5f1d9c ", "and ", "not a ", "cent."]
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")
HTML = "<img src=x onerror=\"document.title='taken'\"><b>bold</b>"


class Stepping(ScriptedEngine):
    """Says one word more each time it is told to."""

    def __init__(self):
        super().__init__()
        self.steps = threading.Semaphore(0)

    async def stream_chat(self, body):
        return self._stepped(body)

    async def _stepped(self, body):
        asked = QUESTION in str(body)  # not the probe of a new key
        for chunk in super().stream_chat(body):
            choices = chunk["choices"]
            if asked and choices and "content" in choices[0]["delta"]:
                await asyncio.to_thread(self.steps.acquire, timeout=20)
            yield chunk


class Page:
    """What a person does there, and sees."""

    def __init__(self, browser, url):
        self.browser = browser
        browser.get(url)

    def find(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def texts(self, selector):
        found = self.browser.find_elements(By.CSS_SELECTOR, selector)
        return [one.get_property("textContent") for one in found]

    def until(self, holds):
        return WebDriverWait(self.browser, 30, poll_frequency=0.02).until(
            lambda _: holds()
        )

    def ask(self, question):
        self.find("#question").send_keys(question, Keys.ENTER)

    def answered(self, question):
        """Ask, and give the answer once its verdict stands there."""
        count = len(self.texts(".verdict")) + 1
        self.ask(question)
        self.until(lambda: len(self.texts(".verdict")) == count)
        return self.texts(".assistant .said")[-1]


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


@pytest.fixture
def open_page(browser):
    opened = []

    def open_(atoma, **options):
        served = serve_page(atoma, **options)
        opened.append(served)
        return Page(browser, served.__enter__())

    yield open_
    browser.get("about:blank")
    for served in opened:
        served.__exit__(None, None, None)
    # A page that broke its own policy, or a script that failed, says so there.
    assert [e for e in browser.get_log("browser") if e["source"] != "network"] == []


def saying(*words):
    engine = ScriptedEngine()
    engine.chunks = [{"delta": {"content": word}} for word in words]
    engine.chunks.append({"delta": {}, "finish_reason": "stop"})
    return engine


def test_tokens_appear_one_by_one(make_atoma, open_page):
    engine = Stepping()
    engine.chunks = saying(*WORDS).chunks
    page = open_page(make_atoma(backend=engine))
    page.ask(QUESTION)
    page.until(lambda: page.texts(".assistant"))
    page.browser.execute_script("""
        window.seen = [];
        const said = document.querySelector(".assistant .said");
        new MutationObserver(() => seen.push(said.textContent))
            .observe(said, { childList: true, characterData: true, subtree: true });
    """)

    for count in range(1, len(WORDS) + 1):
        engine.steps.release()
        so_far = "".join(WORDS[:count])
        # The next word is not said before this one is on the page.
        page.until(lambda so_far=so_far: page.texts(".assistant .said") == [so_far])

    page.until(lambda: page.texts(".verdict"))
    assert page.browser.execute_script("return seen") == [
        "".join(WORDS[:count]) for count in range(1, len(WORDS) + 1)
    ]


def test_a_conversation_its_verdict_and_its_wire(atoma, open_page, recorded):
    page = open_page(atoma)
    fact = "Our offer to the museum, canary-heliotrope-5f1d9c, is 48,000 euros."
    answers = [
        page.answered(f"{fact} What is the offer?"),
        page.answered("How many euros is the offer?"),  # answered from the first
    ]
    assert answers == [fact, fact]

    details = page.find(".verdict")
    assert not details.get_property("open")
    page.find(".verdict summary").click()
    assert details.get_property("open")
    shown = dict(zip(page.texts("dt"), page.texts("dd"), strict=False))
    assert shown["sealed"].startswith("yes")
    assert shown["assurance"].startswith("proxy_asserted")
    assert "node key" in shown["not proven"]
    assert "operator" in shown["signature"]

    page.find("#watch").click()
    page.until(lambda: page.texts("#last dd"))
    wire = page.find("#wire").text
    assert "0 of 4 texts found" in wire
    assert "POST /v1/confidential/chat/completions" in wire
    assert "ciphertext" in page.texts("#last dt")
    assert "canary" not in wire
    assert "offer" not in wire
    assert recorded.opened_canary()


def test_html_stays_text(make_atoma, open_page):
    page = open_page(make_atoma(backend=saying(HTML)))
    assert page.answered(HTML) == HTML
    assert page.texts(".said") == [HTML, HTML]
    assert page.texts("#talk img, #talk b") == []
    assert page.browser.title == "Sealed chat"


def test_stop_hangs_up(make_atoma, open_page):
    engine = Endless()
    page = open_page(make_atoma(backend=engine), stream_mode="live")
    page.ask("Will this ever end?")
    page.until(lambda: "x x x" in "".join(page.texts(".assistant .said")))
    assert not engine.gone.is_set()

    page.find("#stop").click()

    assert hung_up(engine)
    page.until(lambda: page.texts(".note"))
    assert page.texts(".note") == [
        "You stopped this answer; it is not part of the conversation."
    ]
    assert page.texts(".verdict") == []
    assert page.find("#send").is_displayed()


def test_an_error_is_one_sentence_and_the_next_question_is_answered(atoma, open_page):
    page = open_page(atoma)
    page.answered("Which colour has the sky?")
    FaultSwitch(atoma).once("post-402")
    page.ask(QUESTION)
    page.until(lambda: page.texts(".note"))

    [note] = page.texts(".note")
    assert note == (
        "The server answered 402 (BALANCE_ERROR); left this machine: the request, "
        "sealed to the node's key; top up the balance that this endpoint spends."
    )
    assert page.answered("The door is green. Which colour has the door?")


def test_a_real_address_has_no_wire_view(atoma, open_page):
    page = open_page(atoma, wired=False)
    page.find("#watch").click()
    page.until(lambda: "no wire view" in page.find("#wire-note").text)
    assert not page.find("#wire-view").is_displayed()


def test_keys_and_names_are_enough(atoma, open_page):
    page = open_page(atoma)
    assert page.browser.switch_to.active_element.get_property("id") == "question"
    named = page.browser.execute_script("""
        return [...document.querySelectorAll("button, textarea, aside, #room")]
            .map((e) => e.computedName ?? e.labels?.[0]?.textContent ??
                 e.getAttribute("aria-label") ?? e.textContent)
    """)
    assert all(named)
    page.answered("We offer the museum 48,000 euros. How much do we offer?")
    assert page.texts("#news") == ["Answer: We offer the museum 48,000 euros."]
    assert page.browser.switch_to.active_element.get_property("id") == "question"
    # By keyboard from there to the verdict, which opens.
    page.browser.switch_to.active_element.send_keys(Keys.SHIFT, Keys.TAB)
    page.browser.switch_to.active_element.send_keys(Keys.ENTER)
    assert page.find(".verdict").get_property("open")


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_page(make_atoma, open_page, width):
    page = open_page(make_atoma(backend=saying("y" * 400, " ", HTML * 9)))
    resize(page.browser, width, 800)
    page.answered("x" * 300)
    page.find(".verdict summary").click()
    page.find("#watch").click()
    page.until(lambda: page.texts("#last dd"))

    overflow = """
        return [...document.querySelectorAll("body, body *:not(.unseen)")]
            .filter((e) => e.getBoundingClientRect().right > innerWidth + 1)
            .map((e) => e.id || e.className)
    """
    assert page.browser.execute_script(overflow) == []
    page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def said(role, content):
    return {"messages": [{"role": role, "content": content}]}


def test_only_this_page_may_ask(atoma):
    with serve_page(atoma) as url:
        port = url.rpartition(":")[2]
        asked = said("user", QUESTION)
        rebound = httpx.get(url, headers={"host": f"elsewhere.example:{port}"})
        form = httpx.post(f"{url}/chat", content=json.dumps(asked))
        odd = [
            httpx.post(f"{url}/chat", json=body)
            for body in ([], {}, said("system", "x"), said("user", ["x"]))
        ]
        policy = httpx.get(url).headers["content-security-policy"]

    assert rebound.status_code == 400
    assert {answer.status_code for answer in (form, *odd)} == {400}
    assert {answer.json()["error"][-1] for answer in (form, *odd)} == {"."}
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert atoma.exchanges == []


def test_it_starts_in_one_command():
    command = [sys.executable, str(FOLDER / "chat_page.py"), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:  # noqa: S603
        try:
            lines = iter(server.stderr.readline, "")
            url = next(m[0] for m in map(ADDRESS.search, lines) if m)
            told = httpx.get(f"{url}/about").json()
            answer = httpx.post(f"{url}/chat", json=said("user", "Which colour is it?"))
        finally:
            server.send_signal(signal.SIGINT)
        server.communicate(timeout=10)

    assert told["local"]
    assert answer.text.count("event: token") > 5
    assert answer.text.count("event: verdict") == 1
    assert server.returncode == 0
