"""A Chromium without a screen, and without a network of its own."""

import contextlib
import shutil
import tempfile

from selenium.webdriver import Chrome, ChromeOptions, ChromeService

_NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, _NAMES)), None)
DRIVER = shutil.which("chromedriver")
# Without these it looks up hosts of its maker at every start.
_QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextlib.contextmanager
def chromium():
    """Open a browser; it and its profile are gone afterwards."""
    options = ChromeOptions()
    options.binary_location = BROWSER
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in (*_QUIET, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        browser = Chrome(options, ChromeService(DRIVER))
        try:
            yield browser
        finally:
            browser.quit()


def resize(browser, width, height, *, scale=1):
    """Give the page a size; Chromium's window has a least width, the page has none."""
    metrics = {
        "width": width,
        "height": height,
        "deviceScaleFactor": scale,
        "mobile": width < 600,
    }
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
