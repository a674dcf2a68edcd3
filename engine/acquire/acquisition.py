"""Contrast agent and convolution kernel: what the tags say, as categories with their evidence, never free text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches

from engine.acquire.known_words import MANUFACTURERS

LONGEST_TAG = 64
NO_AGENT = ("NONE", "NO", "N", "WITHOUT", "NO CONTRAST", "NON CONTRAST", "UNENHANCED", "N/A")
WITHOUT_WORDS = re.compile(r"\b(WITHOUT|W/O|WO|NON[- ]?CON\w*|NO CON\w*|UNENHANCED|NATIVE|NATIV)\b")
WITH_WORDS = re.compile(r"(\bWITH\b|\bW/?)(?!O\b|/O)\s*(IV\s*)?(CON\w*|KM)\b|\b(ENHANCED|POST ?CON\w*|CONTRAST)\b")
SIEMENS_KERNEL = re.compile(r"^[BHDUTIQ][A-Z]?(\d\d)[A-Z]?$")
CANON_KERNEL = re.compile(r"^FC(\d\d)")
SIEMENS_SHARP_FROM = 50
CANON_SHARP = ((30, 39), (49, 59), (80, 89))
GE_SOFT = ("SOFT", "STANDARD", "STND", "STANDARD+", "CHEST", "CHST")
GE_SHARP = ("LUNG", "BONE", "BONEPLUS", "BONE PLUS", "EDGE", "DETAIL", "ULTRA")
VENDOR_WORDS = {
    "SIEMENS": "Siemens",
    "GE": "GE",
    "GEMS": "GE",
    "PHILIPS": "Philips",
    "TOSHIBA": "Canon",
    "CANON": "Canon",
}
NEARLY_SPELT = 0.8
PHILIPS_SOFT = ("A", "B", "C", "SA", "SB", "SC", "UA", "UB", "UC", "XA", "XB", "XC")
PHILIPS_SHARP = ("D", "E", "L", "YA", "YB", "YC", "YD", "SD", "SE", "XD", "XE")


@dataclass(frozen=True, slots=True)
class ContrastEvidence:
    """Whether intravenous contrast was given (yes, no, unknown) and which element says so."""

    contrast: str
    evidence: str


def contrast_of(agent: str, route: str, description: str) -> ContrastEvidence:
    """Contrast from the bolus agent and route, else from the category of the description text (`yes`, `no`, empty).

    An agent given by mouth only says nothing of the vessels: unknown.
    """
    if agent.strip().upper() in NO_AGENT:
        return ContrastEvidence("no", "ContrastBolusAgent")
    if agent.strip():
        oral_only = "ORAL" in route.upper() and "IV" not in route.upper() and "INTRAV" not in route.upper()
        return ContrastEvidence("unknown", "oral only") if oral_only else ContrastEvidence("yes", "ContrastBolusAgent")
    if description in ("yes", "no"):
        return ContrastEvidence(description, "description text")
    return ContrastEvidence("unknown", "none")


def text_category(description: str) -> str:
    """What study and series descriptions say of contrast: yes, no, or empty when silent or saying both."""
    text = description.upper()
    without = bool(WITHOUT_WORDS.search(text))
    given = bool(WITH_WORDS.search(WITHOUT_WORDS.sub(" ~ ", re.sub(r"(WITHOUT|W/O|WO|NO)\s+\w+", "WITHOUT", text))))
    if without == given:
        return ""
    return "no" if without else "yes"


def kernel_group(kernel: str, manufacturer: str) -> str:
    """A convolution kernel as sharp, soft or unknown, by vendor rules; the first of several values decides.

    Siemens by its number (50 and above sharp), Canon and Toshiba FC numbers, GE and Philips by name.
    """
    first, vendor = re.split(r"[\\,;]", kernel.upper().strip())[0].strip(), manufacturer.upper()
    siemens, canon = SIEMENS_KERNEL.match(first), CANON_KERNEL.match(first)
    if siemens:
        return "sharp" if int(siemens.group(1)) >= SIEMENS_SHARP_FROM else "soft"
    if canon:
        return "sharp" if any(low <= int(canon.group(1)) <= high for low, high in CANON_SHARP) else "soft"
    if "PHILIPS" in vendor:
        return _listed(first, PHILIPS_SOFT, PHILIPS_SHARP)
    return _listed(first, (*GE_SOFT, "SMOOTH"), (*GE_SHARP, "SHARP"))


def vendor_of(manufacturer: str) -> str:
    """The scanner's vendor however its tag is spelt: Siemens | GE | Philips | Canon | other | unknown (no tag).

    Toshiba's CT scanners are Canon's since 2018. A word off by a letter or two of a vendor's name counts.
    """
    words = re.findall(r"[A-Z]+", manufacturer.upper())
    if not words or words == ["UNKNOWN"]:
        return "unknown"
    for word in words:
        close = get_close_matches(word, VENDOR_WORDS, 1, NEARLY_SPELT)
        if close:
            return VENDOR_WORDS[close[0]]
    return "other"


def manufacturer_of(manufacturer: str) -> str:
    """A manufacturer in listed words, the vendor's name where it is spelt in others; `unlisted` for other text."""
    stated, vendor = MANUFACTURERS.stated(manufacturer), vendor_of(manufacturer)
    return stated if vendor in ("unknown", "other", vendor_of(stated)) else vendor


def clean_tag(value: str) -> str:
    """A short technical tag with several values joined by a blank and everything but plain characters dropped."""
    return re.sub(r"[^A-Za-z0-9 ._+/,&-]", "", value.replace("\\", " ")).strip()[:LONGEST_TAG]


def _listed(name: str, soft: tuple[str, ...], sharp: tuple[str, ...]) -> str:
    if name in soft:
        return "soft"
    return "sharp" if name in sharp else "unknown"
