"""The page at `/`, in a real browser: rotations by click, hidden values, and protection from other origins."""

from __future__ import annotations

import http.client
import json
import shutil
import urllib.parse

import pytest
from conftest import ROOT
from databases import Database
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

TEMPLATE = "arn:aws:lambda:us-east-1:111122223333:function:SecretsManagerRDSPostgreSQLRotationSingleUser"
AXE = ROOT / "target" / "local-node" / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="module")
def browser():
    """Start headless Chromium for all tests in this file."""
    for program in ("chromium", "chromedriver"):
        assert shutil.which(program), f"{program} is missing: tests/tools/browser installs it"
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in (
        "headless",
        "no-sandbox",
        "disable-gpu",
        "disable-quic",
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        "disable-dev-shm-usage",
        "window-size=1500,1000",
    ):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


class Page:
    """The page as a user sees and operates it."""

    def __init__(self, browser, url: str) -> None:
        self.browser = browser
        browser.get("about:blank")
        browser.get(url)
        self.until(lambda: self.text("connection") == "Live")

    def until(self, condition, seconds: float = 30):
        return WebDriverWait(self.browser, seconds, poll_frequency=0.05).until(lambda _: condition())

    def find(self, name: str):
        return self.browser.find_element(By.ID, name)

    def text(self, name: str) -> str:
        return self.find(name).text

    def rows(self, css: str) -> list[str]:
        # In one call, because the page can be redrawn between two calls.
        script = "return [...document.querySelectorAll(arguments[0])].map((e) => e.innerText)"
        return self.browser.execute_script(script, css)

    def labels(self) -> list[list[str]]:
        """Return the staging labels of each version, latest version first."""
        script = """return [...document.querySelectorAll("#versions tbody tr")]
            .map((row) => [...row.querySelectorAll(".label")].map((label) => label.innerText))"""
        return self.browser.execute_script(script)

    def everything(self) -> str:
        """Return all text on the page, visible or not."""
        return self.browser.execute_script("return document.documentElement.textContent")

    def complaints(self) -> list[str]:
        """Return the messages in the browser's console: script errors and policy violations."""
        return [entry["message"] for entry in self.browser.get_log("browser")]


@pytest.fixture
def page(browser):
    def page(endpoint) -> Page:
        return Page(browser, endpoint.url)

    yield page
    # Ends the stream of events before the endpoint is stopped.
    browser.get("about:blank")


def test_a_rotation_is_clicked_through(run, page):
    database = Database.start("postgres-16")
    try:
        database.admin("create role app login password 'canary-first'")
        endpoint = run("--control", "--db-plaintext", "--function", "my-rotator=single-user")
        client = endpoint.client()
        client.create_secret(Name="another", SecretString="x")
        client.create_secret(Name="prod/checkout/db", SecretString=database.secret("app", "canary-first"))
        shown = page(endpoint)
        shown.until(lambda: len(shown.rows("#secrets-list li")) == 2)
        shown.browser.find_element(By.XPATH, "//button[contains(., 'prod/checkout/db')]").click()
        shown.until(lambda: shown.text("secret-name") == "prod/checkout/db")
        assert not shown.find("rotate").is_enabled() and "No rotation" in shown.text("rotation-facts")

        # Configured by a program; the page is updated automatically.
        rules = {"ScheduleExpression": "rate(30 days)"}
        configure = {"RotationLambdaARN": TEMPLATE, "RotationRules": rules, "RotateImmediately": False}
        client.rotate_secret(SecretId="prod/checkout/db", **configure)
        shown.until(lambda: "TestRotationSucceeded" in shown.text("rotation-outcome"))
        shown.until(lambda: shown.find("rotate").is_enabled())
        assert "rate(30 days), next from " in shown.text("rotation-facts")
        assert shown.labels() == [["AWSCURRENT"]]

        shown.find("rotate").click()
        shown.until(lambda: shown.text("rotation-outcome").startswith("RotationSucceeded"))
        shown.until(lambda: shown.labels() == [["AWSCURRENT"], ["AWSPREVIOUS"]])
        steps = [row.split("\n")[:2] for row in shown.rows("#steps li")]
        names = ("createSecret", "setSecret", "testSecret", "finishSecret")
        assert steps == [[name, "done"] for name in names]
        history = "\n".join(shown.rows("#history li"))
        for entry in (
            "RotationStarted",
            "AWSPENDING to ",
            "createSecret done",
            "AWSCURRENT from ",
            "AWSPREVIOUS to ",
        ):
            assert entry in history, history
        assert "RotationSucceeded" in shown.text("announcer") or "done" in shown.text("announcer")
        assert any("RotateSecret" in row and row.endswith("ok") for row in shown.rows("#requests li"))

        # Thirty days later, by a click.
        shown.find("next-rotation").click()
        shown.until(lambda: shown.labels() == [["AWSCURRENT"], ["AWSPREVIOUS"], []])
        password = json.loads(client.get_secret_value(SecretId="prod/checkout/db")["SecretString"])[
            "password"
        ]
        assert database.logs_in("app", password)

        # A value is in the page only while it is shown.
        assert password not in shown.everything()
        toggle = shown.browser.find_element(By.CSS_SELECTOR, "#versions tbody tr:first-child button")
        toggle.click()
        shown.until(lambda: password in shown.everything())
        toggle.click()
        shown.until(lambda: password not in shown.everything())

        # The server is stopped: the page shows which step failed, and why.
        database.stop()
        shown.find("rotate").click()
        shown.until(lambda: "RotationFailed" in shown.text("rotation-outcome"))
        assert any("failed" in row for row in shown.rows("#steps li"))
        assert shown.complaints() == []
    finally:
        database.stop()


def test_faults_and_the_clock_by_hand_and_requests_as_they_come(run, page):
    endpoint = run("--control")
    client = endpoint.client(checked=False)
    client.create_secret(Name="db", SecretString="canary")
    shown = page(endpoint)
    Select(shown.find("fault-effect")).select_by_value("throttle")
    Select(shown.find("fault-operation")).select_by_visible_text("GetSecretValue")
    shown.find("fault-times").send_keys("1")
    shown.browser.find_element(By.XPATH, "//button[text()='Switch on']").click()
    shown.until(lambda: shown.rows("#faults li"))
    with pytest.raises(client.exceptions.ClientError, match="Throttling"):
        client.get_secret_value(SecretId="db")
    shown.until(lambda: "1 of 1" in shown.rows("#faults li")[0])
    shown.until(lambda: "ThrottlingException" in shown.rows("#requests li")[0])
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        endpoint.client(region="eu-west-1").get_secret_value(SecretId="db")
    shown.until(lambda: "in the Region us-east-1" in shown.rows("#requests li")[0])
    shown.browser.find_element(By.CSS_SELECTOR, "#faults button").click()
    shown.until(lambda: not shown.rows("#faults li"))
    assert endpoint.control("GET", "faults") == {"faults": []}

    shown.find("freeze").click()
    shown.until(lambda: shown.find("frozen").is_displayed())
    before = endpoint.control("GET", "clock")["now"]
    shown.browser.find_element(By.XPATH, "//button[text()='+ 1 day']").click()
    shown.until(lambda: endpoint.control("GET", "clock") == {"now": before + 86_400, "frozen": True})

    shown.find("pause").click()
    count = len(shown.rows("#requests li"))
    client.list_secrets()
    shown.until(lambda: shown.text("requests-count") == "1 more")
    assert len(shown.rows("#requests li")) == count
    shown.find("reset").click()
    shown.until(lambda: not shown.rows("#secrets-list li"))
    assert not shown.find("frozen").is_displayed()
    assert "canary" not in shown.everything()
    assert shown.complaints() == []


def test_without_control_it_only_shows(run, page):
    endpoint = run()
    endpoint.client().create_secret(Name="db", SecretBinary=b"\x00\x01")
    shown = page(endpoint)
    shown.until(lambda: shown.text("secret-name") == "db")
    assert not shown.find("fault").is_displayed() and not shown.find("freeze").is_displayed()
    assert (
        "--control" in shown.text("faults-title") + shown.browser.find_element(By.CSS_SELECTOR, ".side").text
    )
    shown.browser.find_element(By.CSS_SELECTOR, "#versions button").click()
    shown.until(lambda: "AAE= (base64)" in shown.rows("#versions tbody tr")[0])
    # The endpoint stops and is started again: the page shows that, and reconnects.
    port = urllib.parse.urlsplit(endpoint.url).port
    assert endpoint.stop() == 0
    shown.until(lambda: "unreachable" in shown.text("connection"))
    again = run("--port", str(port))
    assert again.url == endpoint.url
    shown.until(lambda: shown.text("connection") == "Live")
    shown.until(lambda: shown.text("secret-name") == "No secret chosen")


def test_the_keyboard_reaches_everything_and_keeps_its_place(run, page):
    endpoint = run("--control")
    client = endpoint.client()
    for name in ("a", "b", "c"):
        client.create_secret(Name=name, SecretString="x")
    shown = page(endpoint)
    shown.until(lambda: len(shown.rows("#secrets-list li")) == 3)

    def focused() -> str:
        script = "const e = document.activeElement; return e.id || e.innerText || e.tagName"
        return shown.browser.execute_script(script)

    def press(*keys: str) -> None:
        webdriver.ActionChains(shown.browser).send_keys(*keys).perform()

    press(Keys.TAB)
    assert focused() == "Skip to the chosen secret"
    press(Keys.TAB)
    assert focused() == "filter"
    press(Keys.TAB, Keys.ARROW_DOWN)
    assert focused() == "b"
    press(Keys.ENTER)
    shown.until(lambda: shown.text("secret-name") == "b")
    # Redrawing keeps the focus.
    client.put_secret_value(SecretId="b", SecretString="y")
    shown.until(lambda: len(shown.labels()) == 2)
    assert focused() == "b"
    seen = set()
    for _ in range(40):
        press(Keys.TAB)
        seen.add(focused())
    assert {"Show", "pause", "only-chosen", "freeze", "fault-effect", "fault-times", "reset"} <= seen


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_rules_of_accessibility_hold(run, page, scheme):
    assert AXE.exists(), "axe-core is missing: make target/local-node/.stamp"
    endpoint = run("--control")
    client = endpoint.client()
    client.create_secret(Name="prod/db", SecretString="x", Tags=[{"Key": "team", "Value": "a"}])
    client.put_secret_value(SecretId="prod/db", SecretString="y", VersionStages=["AWSPENDING", "blue"])
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_secret_value(SecretId="nope")
    endpoint.control("POST", "faults", effect="throttle", operations=["PutSecretValue"])
    shown = page(endpoint)
    features = [
        {"name": "prefers-color-scheme", "value": scheme},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    shown.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    shown.until(lambda: len(shown.labels()) == 2 and shown.rows("#faults li"))
    # The page's policy blocks other scripts, but not those of the browser's developer tools.
    shown.browser.execute_cdp_cmd("Runtime.evaluate", {"expression": AXE.read_text()})
    run_axe = (
        "axe.run(document, {}).then(arguments[0], (error) => arguments[0]({violations: [String(error)]}))"
    )
    found = shown.browser.execute_async_script(run_axe)["violations"]
    assert found == [], json.dumps(found, indent=1)[:4000]


@pytest.fixture(scope="module")
def send():
    """Return a function that sends a request and returns status, headers and the body or its first lines."""
    from conftest import start

    endpoint = start()
    arn = endpoint.client().create_secret(Name="db", SecretString="canary")["ARN"]
    version = endpoint.client().get_secret_value(SecretId="db")["VersionId"]
    address = urllib.parse.urlsplit(endpoint.url)

    def send(method: str, path: str, body: str = "", **headers: str):
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body.encode(), {"Host": f"127.0.0.1:{address.port}", **named})
        answer = connection.getresponse()
        # The stream of events never ends.
        is_stream = path.endswith("feed") and answer.status == 200
        text = answer.readline() + answer.readline() if is_stream else answer.read()
        connection.close()
        return answer.status, answer.headers, text.decode()

    send.origin = endpoint.url
    send.wanted = json.dumps({"arn": arn, "version_id": version})
    yield send
    assert endpoint.stop() == 0


def test_s3_a_value_is_shown_to_a_script_of_the_page_alone(send):
    own = {"Origin": send.origin, "X_Secretcache_Control": "page", "Content_Type": "application/json"}
    status, _, text = send("POST", "/_page/value", send.wanted, **own)
    assert status == 200 and json.loads(text) == {"string": "canary"}
    for missing in ("Origin", "X_Secretcache_Control"):
        status, _, text = send(
            "POST", "/_page/value", send.wanted, **{k: v for k, v in own.items() if k != missing}
        )
        assert status == 403 and "canary" not in text
    for headers in (
        {**own, "Origin": "https://attacker.example"},
        {**own, "Sec_Fetch_Site": "cross-site"},
        {**own, "Host": "attacker.example"},
    ):
        status, _, text = send("POST", "/_page/value", send.wanted, **headers)
        assert status == 403 and "canary" not in text
    assert send("GET", "/_page/value")[0] == 404
    assert send("POST", "/_page/value", "{}", **own)[0] == 404


def test_s3_the_stream_has_no_values_and_is_not_for_other_pages(send):
    status, headers, text = send("GET", "/_page/feed")
    assert status == 200 and headers["Content-Type"] == "text/event-stream"
    assert text.startswith("event: everything\ndata: {") and '"name":"db"' in text
    assert "canary" not in text
    for path in ("/_page/feed", "/_page/main.js", "/"):
        for headers in (
            {"Origin": "https://attacker.example"},
            {"Sec_Fetch_Site": "cross-site"},
            {"Host": "a.example"},
        ):
            assert send("GET", path, Accept="text/html", **headers)[0] == 403


def test_the_page_runs_nothing_but_its_own(send):
    status, headers, text = send("GET", "/", Accept="text/html,*/*")
    assert status == 200 and headers["Content-Type"].startswith("text/html")
    policy = headers["Content-Security-Policy"]
    for rule in (
        "default-src 'none'",
        "script-src 'self'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    ):
        assert rule in policy
    assert "unsafe" not in policy and "http" not in policy
    assert headers["X-Frame-Options"] == "DENY" and headers["X-Content-Type-Options"] == "nosniff"
    for file in [*(f"/_page/{part.name}" for part in (ROOT / "local" / "src" / "page").iterdir())]:
        status, headers, content = send("GET", file)
        if file.endswith(".html"):
            assert status == 404
            continue
        assert status == 200 and headers["Content-Security-Policy"] == policy
        foreign = content.replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in foreign and "https:" not in foreign, "nothing is fetched from elsewhere"
    # Programs get a description in plain text.
    assert send("GET", "/")[2].startswith("secretcache local: an AWS Secrets Manager endpoint")
