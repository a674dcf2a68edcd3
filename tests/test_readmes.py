"""What the READMEs say is so: commands, verbs, stages, licences and links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

from engine.commands import app
from engine.pipeline import IMAGE_STUDY, TABLE_STUDY
from engine.run.stage import PERTURBED_SUBSET, PRIOR_SUBSET, Stage

HOUSE = Path(__file__).parents[1]


def test_the_readme_names_only_commands_that_exist():
    commands = known_commands()
    text = (HOUSE / "README.md").read_text()
    parts = "|".join(sorted({command.split()[1] for command in commands if " " in command}))
    named = set(re.findall(rf"-m engine ([a-z][a-z-]*(?: (?:{parts}))?)", text))
    assert named
    assert named <= commands


def known_commands() -> set[str]:
    """Names of the command line's commands, those of a group with the group's name before them."""
    names: set[str] = set()
    for name, command in get_command(app).commands.items():
        names |= {f"{name} {part}" for part in getattr(command, "commands", {})} or {name}
    return names


@pytest.mark.parametrize(("title", "pipeline"), [("an image study", IMAGE_STUDY), ("a table study", TABLE_STUDY)])
def test_the_stage_tables_of_the_readme_are_the_pipelines(title, pipeline):
    rows = [
        f"| {stage.name} | {unit_of(stage)} | `{stage.function.__module__}.{stage.function.__name__}` |"
        for stage in pipeline
    ]
    head = [f"| stage of {title} | one task a | function |", "|---|---|---|"]
    assert "\n".join([*head, *rows, ""]) in (HOUSE / "engine" / "README.md").read_text()


def unit_of(stage: Stage) -> str:
    return {PERTURBED_SUBSET: "perturbed case", PRIOR_SUBSET: "case with an earlier CT"}.get(stage.cases, stage.unit)


def requirements() -> set[str]:
    return set(re.findall(r"^([A-Za-z0-9_.-]+)==", (HOUSE / "requirements.txt").read_text(), re.MULTILINE))


def test_the_readme_lists_the_licence_of_every_requirement():
    rows = re.findall(r"^\| ([A-Za-z0-9_.-]+) \| [^|]+ \| [^|]+ \|$", (HOUSE / "README.md").read_text(), re.MULTILINE)
    assert requirements() <= set(rows)


@pytest.mark.parametrize("readme", ["README.md", "engine/README.md"])
def test_links_of_the_readmes_lead_somewhere(readme):
    path = HOUSE / readme
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text())
    assert not [target for target in targets if not (path.parent / target).exists()]


def test_the_readme_names_only_verbs_of_the_makefile():
    verbs = set(re.findall(r"^([a-z]+):", (HOUSE / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([a-z]+)", (HOUSE / "README.md").read_text(), re.MULTILINE))
    assert named <= verbs
    assert {"setup", "demo", "app", "test", "lint", "clean"} <= verbs
