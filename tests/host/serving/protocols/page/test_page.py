"""The page in a real Chromium: it shows classes and boxes, takes keys, and loads nothing from elsewhere."""

import base64
import json
import re
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asking
import numpy as np
import onnx
import pytest
import serving
from detectors import planted_model, yolov8_rows
from PIL import Image

from arrayloom.host.models import digits
from arrayloom.host.serving.core.keys import Keys
from arrayloom.host.serving.protocols.page.protocol import HTML

DRIVER, CHROMIUM = shutil.which("chromedriver"), shutil.which("chromium") or shutil.which("google-chrome")
in_a_browser = pytest.mark.skipif(not (DRIVER and CHROMIUM),
                                  reason="needs chromium and chromedriver (Debian's chromium-driver)")
PICTURE = digits.IMAGES / "digit_3_0705.png"
KEY = "typed-by-a-person-0123456789"
WAIT_SECONDS = 60
NAMES = "{0: '<b>cat</b>', 1: 'dog'}"
BOX = [0.25, 0.125, 0.75, 0.625]      # ymin, xmin, ymax, xmax in a picture of 100x200


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[serving.Server]:
    """Digits and a detector with a known box, with keys."""
    folder = tmp_path_factory.mktemp("page")
    rows = yolov8_rows({3: [14.0, 16, 8, 16, 0.875, 0]})
    onnx.save(planted_model({"output0": (rows, 1 / 8)}, NAMES), folder / "detector.onnx")
    serving_of = {"digits": digits.MODEL, "detector": folder / "detector.onnx"}
    from arrayloom.host.cli.main import main

    for name, recipe in (("digits", "digits"), ("detector", "yolo")):
        assert main(["bundle", str(serving_of[name]), "-o", str(folder / name), "--name", name, "--preprocess", recipe,
                     "--config", "tiny"]) == 0
    Image.fromarray(np.full((200, 100, 3), 90, np.uint8)).save(folder / "portrait.png")
    Keys(KEY, KEY[::-1]).save(folder / "keys.json")
    with serving.Server(folder, folder / "digits", folder / "detector", "--keys-file", folder / "keys.json") as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, Service(str(DRIVER)))
    driver.set_page_load_timeout(WAIT_SECONDS)
    yield driver
    driver.quit()


def _until(driver: Any, condition: Callable[[], Any]) -> Any:
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(driver, WAIT_SECONDS).until(lambda _: condition())


def _text(driver: Any, identifier: str) -> str:
    return driver.find_element("id", identifier).text


def _type_key(driver: Any, key: str) -> None:
    field = driver.find_element("id", "key")
    field.clear()
    field.send_keys(key + "\n")
    driver.execute_script("document.activeElement.blur()")


@in_a_browser
def test_a_person_sees_classes_and_boxes(served: serving.Server, browser: Any) -> None:
    browser.get(served.url + "/")
    _until(browser, lambda: "a key is needed" in _text(browser, "error"))
    _type_key(browser, KEY)
    _until(browser, lambda: _text(browser, "error") == "")
    browser.find_element("id", "file").send_keys(str(PICTURE))
    _until(browser, lambda: "cycles" in _text(browser, "cost"))
    rows = [row.text for row in browser.find_elements("css selector", "#seen tr")]
    assert len(rows) == 6
    assert re.fullmatch(r"3 9\d\.\d\d %", rows[1])
    assert re.fullmatch(r"Device [\d.]+ ms, [\d,]+ cycles, preprocessing [\d.]+ ms, queue [\d.]+ ms\.",
                        _text(browser, "cost"))
    assert browser.execute_script("return [document.cookie, localStorage.length, sessionStorage.length]") == ["", 0, 0]

    from selenium.webdriver.support.ui import Select
    Select(browser.find_element("id", "model")).select_by_index(1)
    browser.find_element("id", "file").send_keys(str(served.log_path.parent / "portrait.png"))
    _until(browser, lambda: "<b>cat</b>" in _text(browser, "seen"))     # a label is text, whatever it contains
    top, left, bottom, right = BOX
    across, down = (left + right) / 2, (top + bottom) / 2
    for x, y, inked in ((left, down, True), (right, down, True), (across, bottom, True), (across, down, False),
                        (0.95, 0.5, False)):
        pixel = browser.execute_script("return [...document.getElementById('picture').getContext('2d').getImageData("
                                       f"{round(100 * x)}, {round(200 * y)}, 1, 1).data]")
        assert (pixel[:3] != [90, 90, 90]) == inked, (x, y, pixel)

    browser.find_element("id", "file").send_keys(str(served.log_path))
    _until(browser, lambda: "could not be decoded" in _text(browser, "error"))
    assert not [entry for entry in browser.get_log("browser")
                if entry["level"] == "SEVERE" and "401" not in entry["message"]]
    asked = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = {each["params"]["request"]["url"] for each in asked if each["method"] == "Network.requestWillBeSent"}
    assert all(url.startswith((served.url, "data:")) for url in urls)
    assert KEY not in served.log


@in_a_browser
def test_a_picture_is_dropped(served: serving.Server, browser: Any) -> None:
    browser.get(served.url + "/")
    _type_key(browser, KEY[::-1])
    _until(browser, lambda: browser.find_elements("css selector", "#model option"))
    browser.execute_script("""
        const bytes = Uint8Array.from(atob(arguments[0]), (each) => each.charCodeAt(0));
        const data = new DataTransfer();
        data.items.add(new File([bytes], "digit.png", { type: "image/png" }));
        document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
        """, base64.b64encode(PICTURE.read_bytes()).decode())
    _until(browser, lambda: "cycles" in _text(browser, "cost"))
    assert "3" in _text(browser, "seen").splitlines()[1]


@in_a_browser
def test_a_script_of_someone_else_does_not_run(served: serving.Server, browser: Any) -> None:
    """Neither a script inserted into the page nor one in an attribute."""
    browser.get(served.url + "/")
    browser.execute_script("""
        const script = document.createElement("script");
        script.textContent = "window.ran = true";
        document.body.append(script);
        const picture = document.createElement("div");
        picture.innerHTML = "<img src='data:,' onerror='window.ran = true'>";
        document.body.append(picture);""")
    assert browser.execute_async_script("setTimeout(() => arguments[0](window.ran === undefined), 200)")


def test_the_page_is_small_and_asks_no_one_else(served: serving.Server) -> None:
    with urllib.request.urlopen(served.url + "/", timeout=60) as response:
        assert response.read().decode() == HTML
        policy = response.headers["Content-Security-Policy"]
        assert response.headers["Set-Cookie"] is None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert len(HTML) < 10_000
    assert not re.findall(r"https?:|//[a-z]|innerHTML|\son[a-z]+=|style=|src=|import\(", HTML)


def test_what_the_page_asks_for_needs_a_key(served: serving.Server) -> None:
    for path, body in (("/page/models", None), ("/page/models/digits/look", b"x")):
        with pytest.raises(asking.RefusedError) as refused:
            asking.http(served, path, body)
        assert refused.value.code == 401
    headers = {"Authorization": f"Bearer {KEY}"}
    models = json.loads(asking.http(served, "/page/models", None, headers))
    assert [model["name"] for model in models] == ["digits", "detector"]
    seen = json.loads(asking.http(served, "/page/models/detector/versions/1/look",
                                  (served.log_path.parent / "portrait.png").read_bytes(), headers))["seen"]
    assert [(each["label"], each["box"]) for each in seen] == [("<b>cat</b>", BOX)]
    for body, reason in ((b"no picture", "is not a JPEG, PNG or BMP"), (b"", "an empty string is not an image")):
        with pytest.raises(asking.RefusedError, match=reason) as refused:
            asking.http(served, "/page/models/digits/look", body, headers)
        assert refused.value.code == 400


def test_no_page(bundle_folder: Path, tmp_path: Path) -> None:
    with serving.Server(tmp_path, bundle_folder / "one", "--no-page") as server:
        for path in ("/", "/page/models"):
            with pytest.raises(asking.RefusedError) as refused:
                asking.http(server, path)
            assert refused.value.code == 404
        assert "/" not in json.loads(asking.http(server, "/openapi.json"))["paths"]
