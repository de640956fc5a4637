# SPDX-License-Identifier: Apache-2.0
"""Headless Chromium, driven over DevTools' pipe with Python's standard library alone."""

import base64
import json
import os
import select
import shutil
import struct
import subprocess
import tempfile
import time
import zlib


class Browser:
    """One Chromium process. Nothing it asks for by name is found, so that no page reaches a network."""

    def __init__(self):
        program = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
        if not program:
            raise SystemExit("report test: no chromium; install Debian's package chromium (make deps-browser)")
        self.profile = tempfile.mkdtemp(prefix="swiftlet-chromium-")
        to_child, self.output = os.pipe()
        self.input, from_child = os.pipe()
        # DevTools reads from descriptor 3 and writes to 4. These may be in use by the other ends.
        ends = [os.dup(to_child), os.dup(from_child)]
        while min(ends) < 10:
            ends = [os.dup(end) for end in ends]

        def connect():
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        self.process = subprocess.Popen(
            [program, "--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu",
             "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--hide-scrollbars", "--force-color-profile=srgb",
             "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={self.profile}", "about:blank"],
            preexec_fn=connect, close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        for end in [to_child, from_child]:
            os.close(end)
        self.buffer = b""
        self.count = 0
        self.events = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.call("Browser.close")
            self.process.wait(10)
        except Exception:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)

    def receive(self, seconds):
        """The next message, or None when none comes in time."""
        end = time.monotonic() + seconds
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.input], [], [], max(0, end - time.monotonic()))
            if not ready:
                return None
            chunk = os.read(self.input, 1 << 20)
            if not chunk:
                raise RuntimeError("chromium went away")
            self.buffer += chunk
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, session=None, **parameters):
        self.count += 1
        message = {"id": self.count, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self.output, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive(120)
            if answer is None:
                raise RuntimeError(f"chromium does not answer {method}")
            if answer.get("id") == self.count:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self.events.append(answer)

    def open(self, url, width, height, dark=False):
        return Page(self, url, width, height, dark)


class Page:
    """A page in a window of its own, and what it has asked for and complained about."""

    def __init__(self, browser, url, width, height, dark):
        self.browser = browser
        self.target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=self.target, flatten=True)["sessionId"]
        self.width = width
        for domain in ["Page", "Runtime", "Log", "Network"]:
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                  mobile=width < 600)
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        browser.events.clear()
        self.call("Page.navigate", url=url)
        self.wait("Page.loadEventFired", 60)
        # Whatever the page still does comes before the answer to this.
        self.evaluate("new Promise(done => setTimeout(done, 200))")
        self.url = url

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.browser.call("Target.closeTarget", targetId=self.target)

    def call(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def wait(self, method, seconds):
        end = time.monotonic() + seconds
        while not any(event.get("method") == method for event in self.browser.events):
            event = self.browser.receive(max(0, end - time.monotonic()))
            if event is None:
                raise RuntimeError(f"no {method} within {seconds} s")
            self.browser.events.append(event)

    def evaluate(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def complaints(self):
        """Errors and warnings of the console, and scripts' exceptions."""
        found = []
        for event in self.browser.events:
            method, parameters = event.get("method"), event.get("params", {})
            if method == "Runtime.exceptionThrown":
                found.append("exception: " + parameters["exceptionDetails"].get("text", ""))
            if method == "Runtime.consoleAPICalled" and parameters["type"] in ["error", "warning", "assert"]:
                found.append("console: " + str([a.get("value") for a in parameters["args"]]))
            if method == "Log.entryAdded" and parameters["entry"]["level"] in ["error", "warning"]:
                found.append("log: " + parameters["entry"]["text"])
        return found

    def requests(self):
        """Everything that was asked for besides the page itself."""
        urls = [event["params"]["request"]["url"] for event in self.browser.events
                if event.get("method") == "Network.requestWillBeSent"]
        return [url for url in urls if url != self.url]

    def screenshot(self, scale=1):
        """The whole page as PNG."""
        height = self.evaluate("document.documentElement.scrollHeight")
        clip = {"x": 0, "y": 0, "width": self.width, "height": height, "scale": scale}
        data = self.call("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)["data"]
        return base64.b64decode(data)


def pixels(png):
    """The colours of a picture, row by row: 8-bit RGB or RGBA, not interlaced, as Chromium writes."""
    position, data = 8, b""
    while position < len(png):
        length, kind = struct.unpack(">I4s", png[position:position + 8])
        body = png[position + 8:position + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colours, _, _, interlaced = struct.unpack(">IIBBBBB", body)
            assert depth == 8 and colours in (2, 6) and not interlaced
        if kind == b"IDAT":
            data += body
        position += length + 12
    data = zlib.decompress(data)
    size = 3 if colours == 2 else 4
    stride = width * size
    above = bytearray(stride)
    rows = []
    for row in range(height):
        start = row * (stride + 1)
        kind, line = data[start], bytearray(data[start + 1:start + 1 + stride])
        for i in range(stride):
            left = line[i - size] if i >= size else 0
            up = above[i]
            if kind == 1:
                line[i] = (line[i] + left) & 255
            elif kind == 2:
                line[i] = (line[i] + up) & 255
            elif kind == 3:
                line[i] = (line[i] + (left + up) // 2) & 255
            elif kind == 4:
                corner = above[i - size] if i >= size else 0
                guess = left + up - corner
                distances = abs(guess - left), abs(guess - up), abs(guess - corner)
                best = (left, up, corner)[distances.index(min(distances))]
                line[i] = (line[i] + best) & 255
        rows.append([bytes(line[i:i + 3]) for i in range(0, stride, size)])
        above = line
    return rows
