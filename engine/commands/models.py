"""Commands about segmentation models: registered ones, trainings, folds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.commands.arguments import Backend, Directory, Scheduler, backend_of, report_building
from engine.commands.studies import run_lines
from engine.phantom.strategy_demo import build_strategy_demo
from engine.phantom.training_set import training_cases
from engine.protocol import PROTOCOL_FILE, read_protocol
from engine.run.removal import marked_models
from engine.run.runner import train
from engine.run.trained_models import register_trained
from engine.segment.checkpoint import import_model
from engine.segment.folds import join_folds
from engine.segment.model import Axes, find_model, list_models
from engine.segment.strategies.presets import PRESETS
from engine.segment.strategies.registry import STRATEGIES, strategy_of
from engine.segment.training import DEMO_RECIPE, DEMO_START, TrainingCase, recipe_of, train_demo_model
from engine.training_protocol import Strategies

model_app = typer.Typer(no_args_is_help=True, help="Registered segmentation models, named by their sha256.")
training_app = typer.Typer(no_args_is_help=True)


@model_app.command("list")
def model_list() -> None:
    """Registered models with their hashes; which of them saw a patient who withdrew since, and when that was."""
    marks = marked_models()
    for model in list_models():
        mark = f"  saw a patient who withdrew on {marks[model.sha256][:10]}" if model.sha256 in marks else ""
        typer.echo(f"{model.sha256[:12]}  {model.name}{mark}")


@model_app.command("import")
def model_import(
    path: Annotated[Path, typer.Argument(help="an nnU-Net checkpoint (.pth), results folder, or zip of one")],
    fold: Annotated[str | None, typer.Option(help="0 to 4 or all, of a results folder; default the first")] = None,
    axes: Annotated[
        Axes | None, typer.Option(help="where x, y, z of its training images ran to; default as its reader says")
    ] = None,
) -> None:
    """Load a model safely, keep its weights only, register it by sha256."""
    model = import_model(path, fold, axes)
    typer.echo(f"{model.sha256}  {model.name}")


@training_app.command("train")
def train_command(
    directory: Directory,
    strategy: Annotated[
        list[str] | None, typer.Option(help="a strategy, repeatable; all; default study.toml's")
    ] = None,
    preset: Annotated[str, typer.Option(help="sizes: toy or 3d_fullres; default study.toml's")] = "",
    seeds: Annotated[str, typer.Option(help="seeds as 1,2,3; default study.toml's")] = "",
    demo: Annotated[bool, typer.Option("--demo", help="make the synthetic study first, if it is not there")] = False,
    backend: Backend = "",
    scheduler: Scheduler = "",
) -> None:
    """Train nnU-Net by one or more strategies and compare them on cases that no training saw."""
    if preset and preset not in PRESETS:
        raise typer.BadParameter(f"--preset takes one of {', '.join(PRESETS)}, got {preset!r}")
    if demo and not (directory / PROTOCOL_FILE).exists():
        build_strategy_demo(directory, PRESETS[preset or "toy"], report_building)
    chosen = chosen_strategies(read_protocol(directory).strategies, tuple(strategy or ()), seeds)
    result = train(directory, chosen, PRESETS[preset] if preset and not demo else None, backend_of(backend, scheduler))
    typer.echo("\n".join(run_lines(result)))


def chosen_strategies(declared: Strategies, names: tuple[str, ...], seeds: str) -> Strategies:
    """The study's own choice with what the command line names instead; ValueError for an unknown strategy."""
    wanted = names or declared.names or ("all",)
    every = tuple(one.name for one in STRATEGIES)
    picked = every if "all" in wanted else tuple(strategy_of(name).name for name in wanted)
    numbers = [int(part) for part in seeds.split(",")] if seeds else declared.seeds
    return Strategies.model_validate({"names": picked, "seeds": numbers, "parallel": declared.parallel})


@model_app.command("register")
def model_register(
    directory: Directory,
    strategy: Annotated[str, typer.Option(help="whose models of the latest training")] = "anatomy-pretraining",
    seed: Annotated[int, typer.Option(help="which training")] = 1,
) -> None:
    """Register the models that a study trained, every fold with the list of images that it saw."""
    for model in register_trained(directory, strategy, seed):
        typer.echo(f"{model.sha256}  {model.name}")


@model_app.command("join")
def model_join(
    name: Annotated[str, typer.Argument(help="of the averaged model")],
    models: Annotated[
        list[str], typer.Argument(help="names or sha256 of registered models that differ in weights only")
    ],
) -> None:
    """Register folds of one training as one model whose predictions are averaged."""
    model = join_folds(name, tuple(find_model(one) for one in models))
    typer.echo(f"{model.sha256}  {model.name}")


@model_app.command("train-demo")
def model_train_demo(
    to: Annotated[Path, typer.Option(help="folder that demo.pt and demo.json are written to")],
    iterations: Annotated[int, typer.Option(min=1, help="updates of the weights")] = DEMO_RECIPE.iterations,
    from_scratch: Annotated[bool, typer.Option(help="draw the first weights, not the shipped start")] = False,
) -> None:
    """Train a demo model on synthetic chest CTs: about two hours of one core."""
    cases = (TrainingCase(*case) for case in training_cases())  # one at a time: whole cases are large
    origin = "synthetic chest CTs of engine/phantom (engine/phantom/training_set.py)"
    start = None if from_scratch else DEMO_START
    model = train_demo_model(cases, to, "demo", origin, recipe_of(iterations), start)
    typer.echo(f"{model.sha256}  {model.name}")
