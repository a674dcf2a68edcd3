"""The colours, fixed everywhere (Okabe and Ito, safe for colour-blind readers), and how names are written out."""

from __future__ import annotations

ROI_COLOURS = {"intratumoural": "#D55E00", "peritumoural": "#E69F00", "whole_lung": "#0072B2"}
ROI_LABELS = {"intratumoural": "Intratumoural", "peritumoural": "Peritumoural", "whole_lung": "Whole lung"}

AUTOMATIC = "#009E73"
READER_A = "#56B4E9"
READER_B = "#CC79A7"
GREY = "#8C8C8C"
MISSED = "#D55E00"

MODEL_COLOURS = {
    "clinical": GREY,
    "clinical + volume": "#56B4E9",
    "combined": "#0072B2",
    "radiomic": "#D55E00",
    "volume": "#CC79A7",
    "combined, clinical fixed": "#332288",
    "intratumoural": ROI_COLOURS["intratumoural"],
    "peritumoural": ROI_COLOURS["peritumoural"],
    "whole lung": ROI_COLOURS["whole_lung"],
    "forest: clinical": GREY,
    "forest: clinical + volume": "#56B4E9",
    "forest: combined": "#009E73",
    "Cox: clinical": GREY,
    "Cox: clinical + volume": "#56B4E9",
    "Cox: combined": "#009E73",
    "deep, exploratory": "#117733",
    "clin. + deep, exploratory": "#44AA99",
    "shuffled": "#BDBDBD",
    "treat all": "#8C8C8C",
}
MODEL_LABELS = {
    "combined_offset": "combined, clinical fixed",
    "whole_lung": "whole lung",
    "deep": "deep, exploratory",
    "clinical_deep": "clin. + deep, exploratory",
    "forest_clinical": "forest: clinical",
    "forest_clinical_volume": "forest: clinical + volume",
    "forest_combined": "forest: combined",
    "cox_clinical": "Cox: clinical",
    "cox_clinical_volume": "Cox: clinical + volume",
    "cox_combined": "Cox: combined",
}
STRATEGY_COLOURS = {
    "tumour-only": GREY,
    "tumour-and-anatomy": "#009E73",
    "anatomy-pretraining": "#D55E00",
    "tumour-only-long": "#0072B2",
}
STRATEGY_LABELS = {
    "tumour-only": "Tumour only",
    "tumour-and-anatomy": "Tumour and anatomy",
    "anatomy-pretraining": "Anatomy first",
    "tumour-only-long": "Tumour only, equal total",
}
SPARE_COLOURS = ("#009E73", "#CC79A7", "#E69F00")
LEVEL_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
ICC_CLASS_COLOURS = {
    "excellent": "#0072B2",
    "good": "#56B4E9",
    "moderate": "#E69F00",
    "poor": "#D55E00",
    "constant": GREY,
    "not_tested": "#CFCFCF",
}
ICC_CLASS_LABELS = {
    "excellent": "excellent (≥ 0.9)",
    "good": "good (0.75–0.9)",
    "moderate": "moderate (0.5–0.75)",
    "poor": "poor (< 0.5)",
    "constant": "constant",
    "not_tested": "not tested",
}
CONTOUR_COLOURS = {
    "reference": "#F0E442",
    "reader A": READER_A,
    "reader B": READER_B,
    "yours": "#FFFFFF",
    "automatic": AUTOMATIC,
    "doubt": ROI_COLOURS["intratumoural"],
    "peritumoural": ROI_COLOURS["peritumoural"],
    "measured ring": ROI_COLOURS["peritumoural"],
    "lungs": ROI_COLOURS["whole_lung"],
}
# light to dark, one hue, so that a heat map reads the same in print
HEAT_SCALE = ((0.0, "#EEF3F8"), (0.5, "#6FA8D3"), (1.0, "#0B4F82"))


def roi_label(roi: str) -> str:
    """An ROI's name as it is written in figures and tables."""
    return ROI_LABELS.get(roi, roi)


def model_colour(model: str, place: int) -> str:
    """The fixed colour of an arm by its plain name, or a spare one by its place among the arms without one."""
    return MODEL_COLOURS.get(plain_model(model), SPARE_COLOURS[place % len(SPARE_COLOURS)])


def plain_model(model: str) -> str:
    """An arm's name as it is written on screen: clinical_volume is clinical + volume."""
    return MODEL_LABELS.get(model) or model.replace("_", " + ")


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue (0..255) of a colour written #RRGGBB."""
    return (int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16))


def faded(colour: str, opacity: float) -> str:
    """A colour with an opacity in 0..1, as CSS writes it."""
    red, green, blue = rgb(colour)
    return f"rgba({red}, {green}, {blue}, {opacity:g})"
