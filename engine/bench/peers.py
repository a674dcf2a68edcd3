"""Other software for benches: installed once into .venv-peers, apart from ours, and run in processes of its own."""

from __future__ import annotations

import hashlib
import logging
import subprocess
import sys
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[2]
REQUIREMENTS = HOUSE / "requirements-peers.txt"
ENVIRONMENT = HOUSE / ".venv-peers"
log = logging.getLogger("cohortscope")


def peers_python() -> Path:
    """The interpreter of .venv-peers, which is made when it is not there or its requirements changed.

    RuntimeError when it cannot be made, such as without a package index.
    """
    python, stamp = ENVIRONMENT / "bin" / "python", ENVIRONMENT / ".installed"
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    if python.exists() and stamp.exists() and stamp.read_text(encoding="ascii") == wanted:
        return python
    log.info("installing requirements-peers.txt into .venv-peers, once")
    make = [sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)]
    install = [str(python), "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--quiet"]
    for command in (make, [*install, "-r", str(REQUIREMENTS)]):
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f".venv-peers could not be made: {done.stderr.strip()[-400:]}")
    stamp.write_text(wanted, encoding="ascii")
    return python
