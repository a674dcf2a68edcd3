"""Sentences about training strategies: does pretraining help, over how many trainings, at which cost."""

from __future__ import annotations

from collections.abc import Sequence

from engine.present.colours import STRATEGY_LABELS
from engine.present.numbers import counted, interval, number, p_term, p_value, percent
from store.queries.strategies import SplitCounts
from store.records import ComparedTraining, StrategyComparison, StrategySummary
from store.sources import TrainingUnit
from store.training_progress import TrainingProgress

PRETRAINED = "anatomy-pretraining"
CONTROLS = ("tumour-only-long", "tumour-only")
DECIDING_P = 0.05
TEST_LABELS = {
    "friedman": "Friedman, all strategies",
    "wilcoxon": "Wilcoxon signed rank",
    "mcnemar": "McNemar, exact",
    "mixed model": "Mixed model",
}
MEASURE_LABELS = {"dsc": "DSC", "missed": "Missed"}


def strategies_answer(summaries: Sequence[StrategySummary], tests: Sequence[StrategyComparison]) -> str:
    """Whether pretraining is better than the tumour alone with equal total iterations, in one sentence."""
    by_name = {summary.strategy: summary for summary in summaries}
    control = next((name for name in CONTROLS if name in by_name), None)
    if PRETRAINED not in by_name or control is None:
        best = summaries[0]
        return (
            f"Pretraining was not compared. Of {counted(len(summaries), 'strategy', 'strategies')}"
            f" **{_label(best.strategy)}** has the highest mean DSC, **{number(best.dsc_mean)}**"
            f" (95 % CI {interval(best.dsc_lo, best.dsc_hi)}, n = {best.cases} cases)."
        )
    found = _between(tests, "wilcoxon", PRETRAINED, control)
    mixed = _between(tests, "mixed model", PRETRAINED, control)
    gap = by_name[PRETRAINED].dsc_mean - by_name[control].dsc_mean
    one = by_name[PRETRAINED].trainings == 1
    verdict = "**Cannot be told** from one training run of each." if one else _verdict(gap, found, mixed)
    return f"{verdict} {_numbers(by_name[PRETRAINED], by_name[control], gap, found, mixed)}"


def _between(
    tests: Sequence[StrategyComparison], test: str, one: str, other: str
) -> tuple[StrategyComparison, int] | None:
    """A test of two strategies and the sign that makes it one minus other."""
    for row in tests:
        if row.test == test and {row.first, row.second} == {one, other}:
            return row, 1 if row.first == one else -1
    return None


def _verdict(
    gap: float, found: tuple[StrategyComparison, int] | None, mixed: tuple[StrategyComparison, int] | None
) -> str:
    """Helps or harms only where cases and, with several trainings, trainings say so."""
    p = [row.p_holm for row, _ in (found, mixed) if row.p is not None] if found and mixed else []
    decided = len(p) == 2 and all(value is not None and value < DECIDING_P for value in p)
    if not decided:
        return "**Not shown** to help or to harm."
    return "**Yes**, in this comparison." if gap > 0 else "**No**: it did worse in this comparison."


def _numbers(
    pretrained: StrategySummary,
    control: StrategySummary,
    gap: float,
    found: tuple[StrategyComparison, int] | None,
    mixed: tuple[StrategyComparison, int] | None,
) -> str:
    equal = "with equal total iterations" if control.strategy == "tumour-only-long" else "with fewer iterations"
    sign = "+" if gap > 0 else ""
    text = (
        f"Mean DSC with anatomy first **{number(pretrained.dsc_mean)}**, on the tumour alone {equal}"
        f" **{number(control.dsc_mean)}**: difference **{sign}{number(gap)}**"
    )
    if mixed is not None and mixed[0].effect_lo is not None and mixed[0].effect_hi is not None:
        row, way = mixed
        low, high = sorted((way * (row.effect_lo or 0.0), way * (row.effect_hi or 0.0)))
        text += f" (95 % CI {interval(low, high)} over cases and trainings"
        text += f", {p_term(row.p_holm, 'Holm p')})" if row.p_holm is not None else ")"
    if found is not None and found[0].p_holm is not None:
        text += f"; over cases alone {p_term(found[0].p_holm, 'Holm p')}"
    return f"{text}; n = {counted(pretrained.cases, 'case')}, {trainings(pretrained.trainings)}."


def trainings(count: int) -> str:
    """How often each strategy was trained: one is called one training run."""
    return "one training run of each" if count == 1 else f"{count} trainings of each"


def left_out_sentence(left_out: Sequence[ComparedTraining]) -> str:
    """Which trainings the comparison does without, empty when it has all."""
    if not left_out:
        return ""
    lost = [row for row in left_out if row.scored_folds < row.folds]
    names = "; ".join(
        f"{_label(name)}, seed {', '.join(f'{row.seed}{_folds(row)}' for row in lost if row.strategy == name)}"
        for name in dict.fromkeys(row.strategy for row in lost)
    )
    rest = sorted({row.seed for row in left_out if row.scored_folds == row.folds})
    text = f"Not compared, without a result: {names}. **Runs** says why."
    if rest:
        seeds = ", ".join(map(str, rest))
        text += f" Seed {seeds} of the others is left out too, so that each has as many trainings."
    return text


def _folds(row: ComparedTraining) -> str:
    return f" ({row.folds - row.scored_folds} of {row.folds} folds)" if row.folds > 1 else ""


def _label(name: str) -> str:
    return STRATEGY_LABELS.get(name, name)


def budget_lines(summaries: Sequence[StrategySummary]) -> tuple[dict[str, object], ...]:
    """What one training of each strategy cost, beside what it reached."""
    return tuple(
        {
            "Strategy": _label(s.strategy),
            "Mean DSC": number(s.dsc_mean),
            "95 % CI": interval(s.dsc_lo, s.dsc_hi),
            "Worst to best": interval(s.seed_dsc_lowest, s.seed_dsc_highest) if s.trainings > 1 else "one only",
            "Surface DSC": number(s.surface_dsc_mean),
            "Missed": percent(s.missed_share),
            "Iterations": f"{s.iterations:,}".replace(",", " "),
            "CPU s": f"{s.cpu_seconds:.0f}",
            "Wall s": f"{s.seconds:.0f}",
            "Device": s.device,
        }
        for s in summaries
    )


def test_lines(tests: Sequence[StrategyComparison]) -> tuple[dict[str, object], ...]:
    """Every test as a row of the table."""
    return tuple(
        {
            "Test": TEST_LABELS.get(row.test, row.test),
            "Of": MEASURE_LABELS.get(row.measure, row.measure),
            "First": _label(row.first) if row.first else "all",
            "Second": _label(row.second),
            "n": row.n,
            "First minus second": number(row.effect) if row.effect is not None else "–",
            "95 % CI": interval(row.effect_lo, row.effect_hi) if row.effect_lo is not None else "–",
            "p": p_value(row.p),
            "p (Holm)": p_value(row.p_holm),
            "Note": row.note,
        }
        for row in tests
    )


def split_sentence(split: SplitCounts) -> str:
    """Which cases were trained on, monitored, pretrained on, planned on and reported."""
    crossed = split.folds > 1
    how = f"{split.folds} folds, each case by the fold that left it out" if crossed else "no training saw one of them"
    pretrained = (
        f" Pretrained on: {split.pretrained_on} without one, {split.pretraining_monitored} more only monitored."
        if split.pretrained_on
        else ""
    )
    return (
        f"Trained on: {counted(split.trained_on, 'case')} with a tumour{' in a fold' if crossed else ''},"
        f" {split.monitored} more only monitored.{pretrained} Reported: {split.reported} ({how}). nnU-Net planned "
        f"once, on {counted(split.planned_on, 'case')}, and every strategy has these plans: the same window of HU, "
        "grid, network and patch."
    )


def training_line(row: TrainingProgress) -> str:
    """How far one training is: "Tumour only, seed 1: epoch 4 of 9, loss 0.12, pseudo-Dice of the tumour 0.40"."""
    unit = TrainingUnit.parse(row.unit)
    dice = row.tumour_pseudo_dice if row.tumour_pseudo_dice is not None else row.pseudo_dice
    whose = "of the tumour" if row.tumour_pseudo_dice is not None else "of the anatomy"
    fold = f", fold {unit.fold + 1}" if unit.fold else ""
    score = "" if dice is None else f", pseudo-Dice {whose} {number(dice)}"
    return (
        f"**{_label(unit.strategy)}**, seed {unit.seed}{fold} · {row.phase}, epoch {row.epoch} of {row.epochs}, loss "
        f"{number(row.loss)}{score} · {row.seconds:.0f} s an epoch"
    )
