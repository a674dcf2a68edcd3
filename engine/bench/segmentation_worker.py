"""One side of the segmentation bench in a process of its own: `python -m engine.bench.segmentation_worker ORDER.json`.

Timed from the image file to the mask file, with imports done and the network in memory on both sides.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import SimpleITK as sitk

from engine.bench.memory import peak_mb
from engine.geometry import grid_of, to_image
from engine.protocol import Segment
from engine.segment.inference import predict_with
from engine.segment.model import describe_model
from engine.segment.nnunet import hardware, load_model, threads
from engine.segment.sliding_window import Window
from engine.segment.stock import StockPredictor
from store.volumes import CtSeries

Steps = dict[str, float]


@dataclass(frozen=True, slots=True)
class Order:
    """What a worker is to do; `side` is stock or a name of ours, precision "" the device's best."""

    side: str
    image: str
    target: str
    result: str
    manifest: str
    device: str
    threads: int
    step_share: float
    crop: bool
    precision: Literal["", "float32", "bfloat16", "float16"]


@dataclass(frozen=True, slots=True)
class Timed:
    """What one run took; steps are wall-clock seconds, where the side tells them."""

    cpu_seconds: float
    wall_seconds: float
    peak_mb: float
    steps: Steps
    hardware: str


def main(order_file: Path) -> None:
    """Segment one file by one side and write seconds and peak memory."""
    order = Order(**json.loads(order_file.read_text(encoding="utf-8")))
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(order.threads)
    with threads(order.threads):
        segment = _stock(order) if order.side == "stock" else _ours(order)
        wall, cpu = time.perf_counter(), time.process_time()
        steps = segment()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    timed = Timed(cpu, wall, peak_mb(), steps, hardware(order.device))
    Path(order.result).write_text(json.dumps(dataclasses.asdict(timed)), encoding="utf-8")


def _stock(order: Order) -> Callable[[], Steps]:
    predictor = StockPredictor(describe_model(Path(order.manifest)), order.device, order.step_share)

    def run() -> Steps:
        predictor.predict_file(Path(order.image), Path(order.target))
        return {}

    return run


def _ours(order: Order) -> Callable[[], Steps]:
    loaded = load_model(describe_model(Path(order.manifest)), order.device, order.precision or None)
    choices = Segment(tile_step_share=order.step_share, crop=order.crop)
    window = Window(loaded.manifest.patch_zyx, order.step_share)

    def run() -> Steps:
        started = time.perf_counter()
        image = sitk.ReadImage(order.image, sitk.sitkInt16)
        ct = CtSeries(sitk.GetArrayViewFromImage(image), grid_of(image))
        prediction = predict_with(ct, loaded, window, choices, time.perf_counter() - started)
        written = time.perf_counter()
        sitk.WriteImage(to_image(prediction.labels, ct.grid), order.target, True)
        swept = prediction.swept
        return {
            "read": swept.seconds_read,
            "resample": swept.seconds_resample,
            "network": swept.seconds_network,
            "export": swept.seconds_export,
            "write": time.perf_counter() - written,
            "tiles": float(swept.tiles),
        }

    return run


if __name__ == "__main__":
    main(Path(sys.argv[1]))
