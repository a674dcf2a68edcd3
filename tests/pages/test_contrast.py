"""Words on their background reach WCAG 2.1's level AA, in light and dark, as Chromium computed their colours."""

from __future__ import annotations

import pytest

from tests.pages.conftest import PAGE_SECONDS
from tests.pages.test_browser import end_of

PAGES = ("discrimination", "runs", "upload", "report", "meeting")
# Success criterion 1.4.3: 4.5 to 1, 3 to 1 for large letters; what is disabled is exempt, as are the words of figures
# and sliders, whose background is drawn and not declared.
TOO_FAINT = r"""() => {
  const parse = (c) => {
    const p = c.match(/[\d.]+/g).map(Number);
    return [p[0], p[1], p[2], p.length > 3 ? p[3] : 1];
  };
  const linear = (v) => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = (c) => 0.2126 * linear(c[0]) + 0.7152 * linear(c[1]) + 0.0722 * linear(c[2]);
  const over = (a, b) => [0, 1, 2].map((i) => a[i] * a[3] + b[i] * (1 - a[3])).concat([1]);
  const up = (e) => (e ? [getComputedStyle(e), ...up(e.parentElement)] : []);
  const found = [];
  let judged = 0;
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const words = walk.currentNode.textContent.trim(), e = walk.currentNode.parentElement;
    if (!words || ["STYLE", "SCRIPT", "NOSCRIPT"].includes(e.tagName)) continue;
    if (e.closest("svg, [disabled], [aria-disabled=true], [data-testid=stSlider]")) continue;
    const box = e.getBoundingClientRect(), style = getComputedStyle(e);
    if (!box.width || !box.height || style.visibility === "hidden") continue;
    const styles = up(e);
    const layers = styles.map((s) => parse(s.backgroundColor)).filter((c) => c[3] > 0).reverse();
    const ground = layers.reduce((below, layer) => over(layer, below), [255, 255, 255, 1]);
    const ink = parse(style.color);
    const opacity = styles.reduce((o, s) => o * Number(s.opacity), ink[3]);
    const pair = [luminance(over([...ink.slice(0, 3), opacity], ground)), luminance(ground)].sort((a, b) => b - a);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    judged += 1;
    if (ratio < (large ? 3 : 4.5)) found.push(`${words.slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return [judged, found];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_their_background(cold_server, browser, scheme):
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(PAGE_SECONDS * 1000)
    faint = {}
    for stem in PAGES:
        page.goto(f"{cold_server.address}/{stem}")
        end_of(page)
        page.wait_for_timeout(1500)
        judged, found = page.evaluate(TOO_FAINT)
        assert judged > 30
        faint |= {f"{stem}: {words}": scheme for words in found}
    assert not faint
    context.close()
