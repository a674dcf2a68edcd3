"""A pack as PowerPoint slides: native charts that can be edited, a caption, a method and a provenance line each."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image
from pptx import Presentation
from pptx.dml.color import RGBColor
from pptx.enum.text import MSO_ANCHOR, PP_ALIGN
from pptx.presentation import Presentation as Deck
from pptx.slide import Slide
from pptx.util import Emu, Inches, Pt

from engine.present.exhibit import RESEARCH_ONLY, Exhibit, KeyImage
from engine.present.native_chart import draw_figure
from engine.present.native_table import Frame, draw_table, plain_text
from engine.present.pack import Pack

WIDE, HIGH = Inches(13.333), Inches(7.5)
LEFT, INNER = Inches(0.5), Inches(12.333)
BLANK_LAYOUT = 6
INK, MUTED, BADGE = RGBColor(0x1A, 0x1F, 0x24), RGBColor(0x59, 0x63, 0x6E), RGBColor(0xA3, 0x3E, 0x00)
CHART = Frame(LEFT, Inches(1.28), INNER, Inches(4.35))
CAPTION_TOP, FOOT_TOP = Inches(5.7), Inches(7.12)
CHARACTERS_A_POINT_INCH = 122.0  # letters of one point in an inch of a line, sans serif
LINE_SPACING = 1.2
ACTIONS_A_SLIDE = 12
ALSO_AS_PAGE = "Not drawn natively: too many cells for a slide; the HTML report shows it."


def slides_of(pack: Pack) -> bytes:
    """A .pptx file of a pack."""
    deck = Presentation()
    deck.slide_width, deck.slide_height = WIDE, HIGH
    deck.core_properties.title, deck.core_properties.author = f"{pack.study}: team meeting", "Cohortscope"
    _first(deck, pack)
    if pack.results:
        _beside_paper(deck, pack)
    for exhibit in pack.exhibits:
        _exhibit(deck, pack, exhibit)
    for image in pack.images:
        _image(deck, pack, image)
    for start in range(0, len(pack.actions), ACTIONS_A_SLIDE):
        rows = [("Case", "Decision", "Owner", "Due")]
        rows += [(a.case_id, a.decision, a.owner, a.due) for a in pack.actions[start : start + ACTIONS_A_SLIDE]]
        _table(deck, pack, "What was decided", rows, (0.16, 0.5, 0.2, 0.14))
    _methods(deck, pack)
    file = io.BytesIO()
    deck.save(file)
    return file.getvalue()


def _slide(deck: Deck, pack: Pack, title: str) -> Slide:
    slide = deck.slides.add_slide(deck.slide_layouts[BLANK_LAYOUT])
    _text(slide, title, Frame(LEFT, Inches(0.3), INNER, Inches(0.62)), 28, bold=True)
    _text(slide, RESEARCH_ONLY, Frame(LEFT, FOOT_TOP, Inches(8), Inches(0.25)), 10, MUTED)
    number = Frame(Inches(11.333), FOOT_TOP, Inches(1.5), Inches(0.25))
    _text(slide, str(len(deck.slides)), number, 10, MUTED, align=PP_ALIGN.RIGHT)
    return slide


def _text(
    slide: Slide,
    text: str,
    place: Frame,
    size: int,
    colour: RGBColor = INK,
    bold: bool = False,
    align: int = PP_ALIGN.LEFT,
) -> None:
    """A text in a rectangle, made smaller until its lines fit."""
    box = slide.shapes.add_textbox(place.left, place.top, place.width, place.height)
    frame = box.text_frame
    frame.word_wrap, frame.vertical_anchor = True, MSO_ANCHOR.TOP
    frame.margin_left = frame.margin_right = frame.margin_top = frame.margin_bottom = 0
    said = plain_text(text).replace("**", "")
    fitted = fitting_size(said, place.width / Inches(1), place.height / Inches(1), size)
    for number, part in enumerate(said.split("\n")):
        paragraph = frame.paragraphs[0] if number == 0 else frame.add_paragraph()
        paragraph.alignment = align
        run = paragraph.add_run()
        run.text, run.font.size, run.font.bold, run.font.color.rgb = part, Pt(fitted), bold, colour


def fitting_size(text: str, width_in: float, height_in: float, largest: int, least: int = 8) -> int:
    """The largest size in points at which a text fits a box, at an average width of letters; never under `least`."""
    for size in range(largest, least, -1):
        letters = max(1.0, CHARACTERS_A_POINT_INCH * width_in / size)
        lines = sum(max(1, -(-len(part) // int(letters))) for part in text.split("\n"))
        if lines * size * LINE_SPACING / 72 <= height_in:
            return size
    return least


def _first(deck: Deck, pack: Pack) -> None:
    slide = _slide(deck, pack, "")
    _text(slide, pack.study, Frame(LEFT, Inches(1.3), INNER, Inches(1.0)), 40, bold=True)
    if pack.notice:
        _text(slide, pack.notice, Frame(LEFT, Inches(2.35), INNER, Inches(0.7)), 18, BADGE)
    _text(slide, pack.answer, Frame(LEFT, Inches(3.15), INNER, Inches(2.3)), 20)
    _text(slide, pack.level_sentence, Frame(LEFT, Inches(5.6), INNER, Inches(0.4)), 14, MUTED)
    _text(slide, pack.provenance, Frame(LEFT, Inches(6.05), INNER, Inches(0.8)), 12, MUTED)


def _exhibit(deck: Deck, pack: Pack, exhibit: Exhibit) -> None:
    slide = _slide(deck, pack, exhibit.title)
    if exhibit.badge:
        _text(slide, f"Exploratory. {exhibit.badge}", Frame(LEFT, Inches(0.93), INNER, Inches(0.3)), 12, BADGE)
    drawn = draw_figure(slide, exhibit.figure, CHART) if exhibit.figure is not None else 0
    if not drawn and exhibit.figure is not None:
        _text(slide, ALSO_AS_PAGE, Frame(LEFT, Inches(3), INNER, Inches(0.6)), 18, MUTED, align=PP_ALIGN.CENTER)
    _text(slide, exhibit.caption, Frame(LEFT, CAPTION_TOP, INNER, Inches(0.56)), 14)
    _text(slide, exhibit.method, Frame(LEFT, Inches(6.3), INNER, Inches(0.4)), 11, MUTED)
    _text(slide, exhibit.provenance, Frame(LEFT, Inches(6.76), INNER, Inches(0.3)), 9, MUTED)
    if exhibit.note:
        slide.notes_slide.notes_text_frame.text = exhibit.note


def _image(deck: Deck, pack: Pack, image: KeyImage) -> None:
    slide = _slide(deck, pack, f"Case {image.case_id}")
    width, height = Image.open(io.BytesIO(image.png)).size
    scale = min(CHART.width / width, CHART.height / height)
    wide, high = int(width * scale), int(height * scale)
    slide.shapes.add_picture(io.BytesIO(image.png), CHART.left + (CHART.width - wide) // 2, CHART.top, wide, high)
    _text(slide, image.caption, Frame(LEFT, CAPTION_TOP, INNER, Inches(0.56)), 14)
    _text(slide, pack.provenance, Frame(LEFT, Inches(6.76), INNER, Inches(0.3)), 9, MUTED)


def _beside_paper(deck: Deck, pack: Pack) -> None:
    rows = [("Result", "This study", "The paper", "May they be compared?")]
    rows += [(r.what, r.ours, r.paper, r.comparable) for r in pack.results]
    _table(deck, pack, "Results in the order of the paper", rows, (0.3, 0.27, 0.17, 0.26))


def _table(deck: Deck, pack: Pack, title: str, rows: Sequence[Sequence[str]], widths: Sequence[float]) -> None:
    slide = _slide(deck, pack, title)
    height = min(Inches(5.4), Inches(0.5) * len(rows))
    draw_table(slide, rows, widths, Frame(LEFT, Inches(1.2), INNER, Emu(height)), 13)
    _text(slide, pack.provenance, Frame(LEFT, Inches(6.76), INNER, Inches(0.3)), 9, MUTED)


def _methods(deck: Deck, pack: Pack) -> None:
    slide = _slide(deck, pack, "Methods, from the protocol")
    _text(slide, pack.methods, Frame(LEFT, Inches(1.1), INNER, Inches(5.4)), 16)
    _text(slide, pack.provenance, Frame(LEFT, Inches(6.76), INNER, Inches(0.3)), 9, MUTED)
