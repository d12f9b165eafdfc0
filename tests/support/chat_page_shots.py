"""Take the pictures of docs/how-to/chat-page.md again.

`python tests/support/chat_page_shots.py` in the environment of `make ecosystem`, with
Chromium, its driver and the fonts Inter and DejaVu Sans Mono (Debian's fonts-inter and
fonts-dejavu); pngquant makes them small.
"""

import shutil
import subprocess
from base64 import b64decode
from pathlib import Path

from chat_pages import serve_page
from chromium import chromium, resize
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from atoma_local import LocalAtoma

SHOTS = Path(__file__).parents[2] / "docs" / "how-to" / "img"
QUESTIONS = (
    "We offer the museum 48,000 euros. How much do we offer?",
    "The archive moves into the old mill in June. When does the archive move?",
)
COLOURS = 128


def ask(browser, question):
    field = browser.find_element(By.ID, "question")
    field.send_keys(question, Keys.ENTER)
    answered = len(browser.find_elements(By.CSS_SELECTOR, ".verdict")) + 1
    WebDriverWait(browser, 20).until(
        lambda b: len(b.find_elements(By.CSS_SELECTOR, ".verdict")) == answered
    )


def shoot(browser, name):
    shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
    path = SHOTS / f"chat-page-{name}.png"
    path.write_bytes(b64decode(shot["data"]))
    if quant := shutil.which("pngquant"):
        command = [quant, "--force", "--ext=.png", "--strip", str(COLOURS), str(path)]
        subprocess.run(command, check=True)  # noqa: S603
    print(path, path.stat().st_size)  # noqa: T201


def take(browser, url):
    resize(browser, 1280, 800)
    light = [{"name": "prefers-color-scheme", "value": "light"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": light})
    browser.get(url)
    for question in QUESTIONS:
        ask(browser, question)
    browser.find_element(By.ID, "watch").click()
    WebDriverWait(browser, 20).until(
        lambda b: b.find_element(By.ID, "last").text.startswith("ciphertext")
    )
    browser.find_element(By.ID, "question").click()
    shoot(browser, "desktop")

    browser.find_element(By.ID, "watch").click()
    resize(browser, 390, 844, scale=2)
    browser.find_elements(By.CSS_SELECTOR, ".verdict summary")[-1].click()
    browser.execute_script(
        "document.activeElement.blur(); talk.lastChild.previousSibling.scrollIntoView()"
    )
    shoot(browser, "phone")


def main():
    SHOTS.mkdir(exist_ok=True)
    atoma = LocalAtoma(wiretap=True)
    with atoma, serve_page(atoma) as url, chromium() as browser:
        take(browser, url)


if __name__ == "__main__":
    main()
