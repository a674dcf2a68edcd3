"""Free text of a file as far as its words are listed: a name, number or date that somebody typed never passes."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from engine.acquire.csv_table import without_dates

LONGEST_TEXT = 64
TOLD_DIGITS = 2
UNLISTED, LEFT_OUT = "unlisted", "…"
TOLD_APART = re.compile(UNLISTED + r"-[0-9a-f]{2}")
BETWEEN, WORD = r"[\s\\_/,;.()-]", r"[^\s\\_/,;.()-]"
THREE_NUMBERS = rf"{WORD}*\d({BETWEEN}+\d+)+{BETWEEN}+\d{WORD}*"  # 31.07.47, GTV12-03-19: may be a day
TOKEN = re.compile(rf"{TOLD_APART.pattern}(?!\S)|{THREE_NUMBERS}|{WORD}+")


@dataclass(frozen=True, slots=True)
class KnownWords:
    """The words, in any case, and the technical shapes of words that a field may hold."""

    words: frozenset[str]
    shapes: re.Pattern[str]

    def holds(self, word: str) -> bool:
        """Whether one word may stand."""
        return word.upper() in self.words or any(p.fullmatch(word) for p in (self.shapes, TOLD_APART))

    def shortened(self, text: str) -> str:
        """The text with every other word, date and three numbers in a row, and every mark but separators, as `…`."""
        kept = TOKEN.sub(lambda found: found[0] if self.holds(found[0]) else LEFT_OUT, without_dates(text, LEFT_OUT))
        return re.sub(rf"{LEFT_OUT}({BETWEEN}*{LEFT_OUT})+", LEFT_OUT, kept).strip()[:LONGEST_TEXT]

    def stated(self, text: str) -> str:
        """The known words, and for the others together one `unlisted-3f`; empty where there is no text.

        The two digits are 8 bits of a hash: enough that two kernels stay two batches, too few to tell a name by.
        """
        words = [found[0] for found in TOKEN.finditer(without_dates(text, LEFT_OUT))]
        found, others = [w for w in words if self.holds(w)], [w.upper() for w in words if not self.holds(w)]
        if others or (text.strip() and not words):
            found.append(f"{UNLISTED}-{hashlib.sha256(' '.join(others).encode()).hexdigest()[:TOLD_DIGITS]}")
        return " ".join(found)[:LONGEST_TEXT]


def _listed(words: str) -> frozenset[str]:
    return frozenset(words.upper().split())


KERNELS = KnownWords(
    _listed(
        "SOFT STANDARD STANDARD+ STND CHEST CHST LUNG BONE BONEPLUS PLUS EDGE DETAIL ULTRA SMOOTH SHARP SHARPER "
        "MEDIUM VERY SUPER BODY HEAD THORAX ABDOMEN FILTER KERNEL UNKNOWN NONE ASIR ASIR-V ADMIRE SAFIRE IDOSE "
        "AIDR FIRST DLIR HD HR"
    ),
    re.compile(r"[A-Za-z]{1,3}\d{1,3}[a-z]?|[A-Za-z]{1,2}\+{0,2}|\d{1,2}"),  # B30f, FC51, Br40d; YA, B; 3
)
MANUFACTURERS = KnownWords(
    _listed(
        "SIEMENS HEALTHINEERS GE GEMS GENERAL ELECTRIC MEDICAL SYSTEMS HEALTHCARE HEALTH CARE IMAGING PHILIPS ADAC "
        "MARCONI PICKER ELSCINT TOSHIBA CANON HITACHI FUJIFILM SHIMADZU NEUSOFT UNITED UIH SAMSUNG NEUROLOGICA "
        "MINFOUND ACCURAY VARIAN CTI IMATRON CO LTD INC CORPORATION CORP AG GMBH TECHNOLOGIES UNKNOWN OTHER "
        "SYNTHETIC PHANTOM"
    ),
    re.compile(r"(?!)"),
)
MODELS = KnownWords(
    _listed(
        "LIGHTSPEED BRIGHTSPEED HISPEED PROSPEED DISCOVERY OPTIMA REVOLUTION FRONTIER EVO GENESIS ZEUS VCT QXI RT "
        "ULTRA PRO PLUS HD ST STE LS RX QX SOMATOM SENSATION EMOTION DEFINITION AS AS+ FLASH FORCE EDGE DRIVE "
        "PERSPECTIVE SCOPE SPIRIT CONFIDENCE GO GO.UP GO.NOW UP NOW TOP ALL SIM NAEOTOM ALPHA VOLUME ZOOM OPEN "
        "BIOGRAPH TRUEPOINT VISION MCT HOREGA BRILLIANCE ICT INGENUITY INCISIVE SPECTRAL IQON ACCESS MX8000 IDT "
        "EXP GEMINI TF GXL BIG BORE VEREOS AQUILION PRIME ONE LIGHTNING EXPLORATION ASTEION ALEXION ACTIVION CXL "
        "LB SUPRIA SCENARIA NEUVIZ UCT UMI CT PET XR DUAL SOURCE CORE UNKNOWN SYNTHETIC PHANTOM"
    ),
    re.compile(r"[A-Za-z]{0,3}\d{1,3}[A-Za-z+]{0,2}"),  # 64, CT750, 16P
)
STRUCTURES = KnownWords(
    _listed(
        "GTV GTVP GTVN GTVT CTV PTV ITV IGTV TUMOR TUMOUR TUMORS TUMOURS LESION LESIONS NODE NODES NODAL LN LNS "
        "LYMPH NEOPLASM PRIMARY MASS NODULE SATELLITE MET METS METASTASIS METASTASES MEDIASTINAL MEDIASTINUM HILAR "
        "HILUS HILUM SUBCARINAL PARATRACHEAL SUPRACLAVICULAR AXILLARY LEFT RIGHT L R LT RT UPPER LOWER MIDDLE LOBE "
        "RUL RML RLL LUL LLL LUNG LUNGS PET CT INDEX TOTAL ALL BOOST VOLUME MIP EXP INSP AND OF IN REFERENCE EXTRA "
        "OTHER SECOND FIRST 3D 4D"
    ),
    re.compile(r"(GTV|GTVN|GTVP|LN|NODE|LESION|TUMOU?R|N|T)?\d{1,3}[LR]?", re.IGNORECASE),  # GTV1, N2, 4R, 7
)
