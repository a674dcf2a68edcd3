"""What tells one browser session from another."""

from __future__ import annotations

import re
from collections.abc import Mapping

SESSION_COOKIE = "_streamlit_xsrf"
MASKED_COOKIE = re.compile(r"2\|([0-9a-f]{8})\|([0-9a-f]+)\|\d+")


def session_of(cookies: Mapping[str, str]) -> str:
    """What tells one browser session from another; empty without the session cookie.

    Streamlit masks the cookie anew with every answer ("2|mask|masked token|time"), so the mask is taken off.
    """
    found = MASKED_COOKIE.fullmatch(str(cookies.get(SESSION_COOKIE, "")).strip("\"'"))
    if found is None:
        return ""
    mask, masked = bytes.fromhex(found[1]), bytes.fromhex(found[2])
    return bytes(byte ^ mask[place % len(mask)] for place, byte in enumerate(masked)).hex()
