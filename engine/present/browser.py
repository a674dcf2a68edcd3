"""The one door to a local Chromium: PDF of a page, PNG or SVG of a figure. It gets no network."""

from __future__ import annotations

import base64
import html
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import unquote

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# every host name is sent to nowhere: a page may not load anything while it is printed
OPTIONS = (
    *("--headless=new", "--disable-gpu", "--no-first-run", "--disable-extensions", "--disable-background-networking"),
    *("--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=20000", "--disable-sync"),
)
SECONDS = 120
PICTURE = """<!doctype html><meta charset="utf-8"><script>{library}</script><div id="drawing"></div>
<pre id="answer"></pre><script>
const made = {figure};
Plotly.newPlot("drawing", made.data, made.layout, {{staticPlot: true}}).then(() =>
  Plotly.toImage("drawing", {{format: "{kind}", width: {width}, height: {height}, scale: {scale}}})).then(url => {{
    document.getElementById("drawing").remove(); document.getElementById("answer").textContent = url; }});
</script>"""


class NoBrowserError(RuntimeError):
    """There is no Chromium on this computer."""

    def __init__(self) -> None:
        super().__init__(
            "this needs a local Chromium and there is none: install it (Debian: apt-get install chromium), or write "
            ".pptx or .html, which need no browser"
        )


def browser_path() -> Path | None:
    """The browser of this computer, None where there is none."""
    return next((Path(found) for name in NAMES if (found := shutil.which(name))), None)


def pdf_of(page: str) -> bytes:
    """An HTML page printed as PDF; NoBrowserError."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "page.html"), Path(folder, "page.pdf")
        source.write_text(page, encoding="utf-8")
        _chromium(["--no-pdf-header-footer", f"--print-to-pdf={target}", source.as_uri()], folder)
        return target.read_bytes()


def picture_of(figure: go.Figure, kind: str, width: int = 1200, height: int = 675, scale: float = 2.0) -> bytes:
    """A figure as png or svg on white, drawn by plotly itself; NoBrowserError."""
    if kind not in ("png", "svg"):
        raise ValueError(f"a picture is png or svg, got {kind!r}")
    drawn = go.Figure(figure)
    drawn.update_layout(paper_bgcolor="#FFFFFF", plot_bgcolor="#FFFFFF")
    settings = {"kind": kind, "width": width, "height": height, "scale": scale}
    safe = drawn.to_json().replace("</", "<\\/")
    page = PICTURE.format(library=get_plotlyjs(), figure=safe, **settings)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "figure.html")
        source.write_text(page, encoding="utf-8")
        document = _chromium(["--dump-dom", source.as_uri()], folder)
    found = re.search(r'<pre id="answer">(data:[^<]+)</pre>', document)
    if found is None:
        raise RuntimeError("the browser did not draw the figure")
    head, _, body = html.unescape(found[1]).partition(",")
    return base64.b64decode(body) if "base64" in head else unquote(body).encode("utf-8")


def _chromium(arguments: list[str], folder: str) -> str:
    """Run the browser in a profile of its own; returns what it writes."""
    path = browser_path()
    if path is None:
        raise NoBrowserError
    sandbox = ["--no-sandbox"] if _is_root() else []
    command = [str(path), *OPTIONS, *sandbox, f"--user-data-dir={folder}/profile", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode:
        raise RuntimeError(f"the browser ended with {done.returncode}")
    return done.stdout


def _is_root() -> bool:
    """Chromium refuses its sandbox to root."""
    return Path("/proc/self").stat().st_uid == 0
