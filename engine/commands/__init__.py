"""Commands of the command line; each only reads arguments, calls one function and says what came of it.

Exit 0 done, 1 refused or could not finish, 2 usage. With --json one JSON object is all that stdout holds.
"""

from __future__ import annotations

import logging
import sys

import typer

from engine.commands.benches import bench_app
from engine.commands.bundles import bundle_app
from engine.commands.custody import custody_app
from engine.commands.fetching import fetch_app
from engine.commands.files import file_app
from engine.commands.models import model_app, training_app
from engine.commands.prognosis import prognosis_app
from engine.commands.reports import report_app
from engine.commands.statistics import stats_app
from engine.commands.studies import study_app
from engine.processes import write_for_owner_only
from engine.run.runner import CancelledRunError
from engine.run.task import reason_of
from store.publisher import DamagedArtifactError
from store.snapshot import NoSnapshotError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
for unnamed in (study_app, training_app, file_app, prognosis_app, report_app, custody_app, bundle_app, fetch_app):
    app.add_typer(unnamed)
app.add_typer(model_app, name="model")
app.add_typer(stats_app, name="stats")
app.add_typer(bench_app, name="bench")


def main() -> None:
    """Run the command line; a broken law is one sentence on stderr and exit 1."""
    write_for_owner_only()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("numexpr").setLevel(logging.WARNING)  # it tells its number of threads
    try:
        app()
    except (ValueError, RuntimeError, NoSnapshotError, DamagedArtifactError) as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(1) from None
    except OSError as error:
        typer.echo(f"error: {reason_of(error)}", err=True)
        raise SystemExit(1) from None
    except CancelledRunError as error:
        typer.echo(str(error), err=True)
        raise SystemExit(1) from None
