"""Checks that the HTML report is well-formed, loads no other file, and contains the values of the run. If a browser
is installed, the browser must also be able to display the report."""
import base64
import html.parser
import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as xml

from fixture import QUADRATIC, evaluate, expect, expect_equal, tool, train

import matplotlib.image
import numpy as np

import warploom_files as wf

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(html.parser.HTMLParser):
    """Checks that all tags of the report are closed, and collects its links and its text."""

    def __init__(self):
        super().__init__()
        self.open, self.images, self.links, self.ids, self.text = [], [], [], set(), []

    def handle_starttag(self, tag, attributes):
        a = dict(attributes)
        expect(tag not in ("script", "iframe", "object", "link"), f"a <{tag}> in the report")
        if tag not in VOID:
            self.open.append(tag)
        if "src" in a:
            self.images.append(a["src"])
            expect(a.get("alt"), "a picture without a description")
        if "href" in a:
            self.links.append(a["href"])
        if "id" in a:
            self.ids.add(a["id"])

    def handle_endtag(self, tag):
        expect_equal("closing tag", self.open.pop(), tag)

    def handle_data(self, data):
        self.text.append(data)


def parse(path):
    page = Page()
    with open(path, encoding="utf-8") as file:
        content = file.read()
    page.feed(content)
    expect_equal("open tags", [], page.open)
    expect(all(link.startswith("#") and link[1:] in page.ids for link in page.links), f"links: {page.links}")
    expect("url(" not in content.split("</style>")[0] and "@import" not in content, "the style of the report loads another file")
    for source in page.images:
        head, _, data = source.partition(",")
        expect_equal("picture", "data:image/svg+xml;base64", head)
        root = xml.fromstring(base64.b64decode(data))
        outside = [v for e in root.iter() for k, v in e.attrib.items() if k.endswith("href") and not v.startswith(("#", "data:"))]
        expect_equal("references of a picture", [], outside)
    return page, " ".join(" ".join(page.text).split())


def check_browser(path):
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if not browser:
        print("no chromium: the report is not drawn by a browser here")
        return
    subprocess.run([browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1000,3000",
                    f"--user-data-dir={os.getcwd()}/profile", f"--screenshot={os.getcwd()}/page.png", f"file://{os.path.abspath(path)}"],
                   check=True, timeout=240, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    image = matplotlib.image.imread("page.png")[:, :, :3]
    inked = (image.min(axis=2) < 0.9).reshape(10, -1).mean(axis=1)
    expect(inked.min() > 0.001, f"a tenth of the page is empty; shares of dark pixels: {inked.round(4)}")
    orange = (np.abs(image - np.array([0.835, 0.369, 0.0])).max(axis=2) < 0.1).sum()
    expect(orange > 500, f"the curve of the learned rule has only {orange} pixels")


def main():
    run = train(QUADRATIC, "run")
    expect_equal("name", "run/report.html", tool("report.py", run).strip())
    page, text = parse("run/report.html")
    expect_equal("pictures without an evaluation", 2, len(page.images))
    expect("warploom eval run" in text, "the report does not say how to evaluate the run")

    evaluate(run, "--vary", "horizon")
    tool("report.py", run, "--output", "full.html", "--title", "A <title> & more")
    page, text = parse("full.html")
    expect_equal("pictures", 3, len(page.images))
    with wf.Run(run).newest() as newest:
        digest = newest.attributes["digest"]
    for word in ("A <title> & more", digest, "learning_rate", "Nesterov", "horizon x 2", "rank", "revision"):
        expect(word in text, f"'{word}' is missing in the report")
    mean = wf.Evaluation(run).cases[0].final[0].mean()
    found = [float(x) for x in re.findall(r"Learned – ([0-9.e-]+) ±", text)]
    expect(found and abs(found[0] - mean) <= 0.01 * mean, f"final loss of the learned rule: {found}, expected {mean}")
    check_browser("full.html")
    print("ok")


main()
