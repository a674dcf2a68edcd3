"""A pack as one HTML file that asks nobody: figures that can be pointed at, tables, printable."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable, Sequence

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from engine.present.exhibit import RESEARCH_ONLY, Exhibit, KeyImage
from engine.present.figures.layout import inked
from engine.present.pack import Checklist, Pack

PLOT_CONFIG = {"displaylogo": False, "displayModeBar": False, "responsive": True}
# nothing may be asked of another host, and no form be sent
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; "
    "font-src data:; form-action 'none'; base-uri 'none'"
)
STYLE = """
:root { color-scheme: light; --ink: #1A1F24; --muted: #59636E; --line: #D5DAE0; --badge: #A33E00; }
body { font: 16px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', 'DejaVu Sans', sans-serif;
  color: var(--ink); background: #FFFFFF; max-width: 68rem; margin: 0 auto; padding: 1rem 2rem 3rem; }
h1 { font-size: 1.9rem; } h2 { font-size: 1.3rem; margin-top: 2.5rem; } h3 { font-size: 1.05rem; }
.muted { color: var(--muted); font-size: 0.85rem; } .badge { color: var(--badge); font-weight: 600; }
figure { margin: 2.5rem 0; break-inside: avoid; } figcaption { font-size: 0.95rem; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; }
th, td { text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); padding: 0.3rem 0.6rem; }
img { max-width: 100%; } a { color: #0B4F82; }
.banner { border: 1px solid var(--badge); padding: 0.4rem 0.8rem; color: var(--badge); font-weight: 600; }
@media print { body { max-width: none; padding: 0; } h2 { break-after: avoid; } @page { size: A4; margin: 14mm; } }
"""


def page_of(pack: Pack) -> str:
    """A self-contained HTML file of a pack."""
    body = [
        f"<h1>{_safe(pack.study)}</h1>",
        f'<p class="banner">{RESEARCH_ONLY}</p>',
        f'<p class="badge">{_safe(pack.notice)}</p>' if pack.notice else "",
        f"<p>{_marked(pack.answer)}</p>",
        f'<p class="muted">{_safe(pack.level_sentence)}<br>{_safe(pack.provenance)}</p>',
        "<h2>Results in the order of the paper</h2>",
        _table(
            ("Result", "This study", "The paper", "May they be compared?"),
            ((r.what, r.ours, r.paper, r.comparable) for r in pack.results),
        ),
        "<h2>Figures</h2>",
        *(_exhibit(exhibit, number) for number, exhibit in enumerate(pack.exhibits, start=1)),
        *_images(pack.images),
        *_actions(pack),
        f"<h2>Methods, from the protocol</h2><p>{_marked(pack.methods)}</p>",
        *(_checklist(checklist) for checklist in pack.checklists),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<title>{_safe(pack.study)}: team meeting</title><style>{STYLE}</style>"
        f"<script>{get_plotlyjs()}</script></head><body>{''.join(body)}</body></html>"
    )


def figure_html(exhibit: Exhibit) -> str:
    """The drawing of one exhibit, without plotly's library."""
    if exhibit.figure is None:
        return ""
    drawn = inked(go.Figure(exhibit.figure), dark=False)
    return str(drawn.to_html(full_html=False, include_plotlyjs=False, config=PLOT_CONFIG))


def _exhibit(exhibit: Exhibit, number: int) -> str:
    badge = f'<p class="badge">Exploratory. {_marked(exhibit.badge)}</p>' if exhibit.badge else ""
    mark = f'<p class="badge">{RESEARCH_ONLY}</p>' if exhibit.shows_patients else ""
    note = f"<p>{_safe(exhibit.note)}</p>" if exhibit.note else ""
    return (
        f"<figure><h3>{number}. {_safe(exhibit.title)}</h3>{badge}{mark}{figure_html(exhibit)}<figcaption>"
        f"{_marked(exhibit.caption)}{note}<p class='muted'>{_safe(exhibit.method)}<br>{_safe(exhibit.provenance)}</p>"
        "</figcaption></figure>"
    )


def _images(images: Sequence[KeyImage]) -> Iterable[str]:
    if images:
        yield f'<h2>Key images</h2><p class="banner">{RESEARCH_ONLY}</p>'
    for image in images:
        data = base64.b64encode(image.png).decode("ascii")
        yield (
            f'<figure><img alt="{_safe(image.caption)}" src="data:image/png;base64,{data}">'
            f"<figcaption>{_safe(image.caption)}</figcaption></figure>"
        )


def _actions(pack: Pack) -> Iterable[str]:
    if pack.actions:
        rows = ((a.case_id, a.decision, a.owner, a.due, a.by) for a in pack.actions)
        yield "<h2>What was decided</h2>" + _table(("Case", "Decision", "Owner", "Due", "Noted by"), rows)


def _checklist(checklist: Checklist) -> str:
    rows = ((i.number, i.topic, i.state, i.evidence, i.page) for i in checklist.items)
    return (
        f"<h2>{_safe(checklist.name)}</h2><p class='muted'>{_safe(checklist.source)} Filled in from stored facts; no "
        "score is given, and what is found still has to be judged by the author.</p>"
        + _table(("No.", "Item", "State", "Evidence", "Page of the app"), rows)
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{_safe(cell)}</th>' for cell in heads)
    body = "".join("<tr>" + "".join(f"<td>{_safe(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _safe(text: str) -> str:
    return html.escape(text)


def _marked(text: str) -> str:
    """Escaped text whose **bold** is bold."""
    return re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", _safe(text))
