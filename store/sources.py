"""What a stage reads from outside the store: files by role and content hash, never by name in a key."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from store.records import TrainingEpoch, Verdict
from store.volumes import Mask

R = TypeVar("R")
S = TypeVar("S")
TRAINING_MARK = "#train "


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One input file; only role and sha256 enter a key, the path stays in DIR/private."""

    role: str  # "CT slice 41", "CT image", "RTSTRUCT", "SEG", "reference mask", "left lung mask", "clinical table 1"
    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class PriorSource:
    """The files of an earlier CT of a case's patient: shown beside the index series, never measured."""

    layout: str  # dicom | files
    files: tuple[SourceFile, ...]  # none where it was named and could not be found
    days_before: int | None  # from this scan to the index scan; None when no dates are known
    note: str = ""  # what was wrong with how it was named, to be flagged
    others: tuple[PriorSource, ...] = ()  # to be tried in this order where this one is refused or shows no chest

    @property
    def every_file(self) -> tuple[SourceFile, ...]:
        """Its files and those of the others."""
        return (*self.files, *(file for other in self.others for file in other.files))


@dataclass(frozen=True, slots=True)
class CaseSource:
    """The files of one case as the discovery found them: index series, references, lungs, and why they were chosen."""

    case_id: str  # pseudonym, or the id itself where the study declares its ids public
    layout: str  # dicom | files
    files: tuple[SourceFile, ...]
    choice: str = ""  # why this series is the index series
    alternatives: int = 0
    columns: tuple[tuple[str, str], ...] = ()  # acquisition columns of images.csv (kernel, contrast, ...)
    prior: PriorSource | None = None  # enters no key but that of the stage that reads it

    @property
    def every_file(self) -> tuple[SourceFile, ...]:
        """All files of the case, those of the earlier CT last."""
        return (*self.files, *(self.prior.every_file if self.prior else ()))


@dataclass(frozen=True, slots=True)
class ClinicalSource:
    """The clinical files and the way from the patient ids in them to case ids (patient ids never leave memory)."""

    files: tuple[SourceFile, ...]
    cases: tuple[tuple[str, str], ...]  # (patient id in the tables, case_id)


@dataclass(frozen=True, slots=True)
class FeatureTableSource:
    """A table of features somebody else extracted."""

    file: SourceFile
    cases: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model that another study exported."""

    file: SourceFile


@dataclass(frozen=True, slots=True)
class ReferenceFiles:
    """IBSI's data sets and reference values: the folder that holds them; role = path below it."""

    folder: str
    files: tuple[SourceFile, ...]


@dataclass(frozen=True, slots=True)
class AnatomyProgram:
    """The program that labels anatomy as it stands on this machine; without a version it is not installed."""

    name: str = ""  # empty: the study's anatomy comes from no program
    version: str = ""
    weights: tuple[tuple[str, int], ...] = ()  # names of its files and their bytes
    missing: tuple[str, ...] = ()
    place: str = ""  # of the first file; enters no key


@dataclass(frozen=True, slots=True)
class ResampleNumber:
    """Which bootstrap a task is, from 0."""

    value: int


@dataclass(frozen=True, slots=True)
class PlantingNumber:
    """Which planting a task is, from 0."""

    value: int


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """All signed verdicts on one case, in order of signing, and the masks that they name by drawn_key."""

    rows: tuple[Verdict, ...]
    drawn: tuple[tuple[str, Mask], ...] = ()

    def mask(self, drawn_key: str) -> Mask | None:
        """The mask of a key; None for the empty key. KeyError where a verdict names a mask that is not there."""
        return dict(self.drawn)[drawn_key] if drawn_key else None


@dataclass(frozen=True, slots=True)
class TrainingUnit:
    """Which training a task is: a strategy, a seed, a fold."""

    strategy: str
    seed: int
    fold: int

    @property
    def text(self) -> str:
        """The unit's name in the ledger."""
        return f"{TRAINING_MARK}{self.strategy} {self.seed} {self.fold}"

    @staticmethod
    def parse(text: str) -> TrainingUnit:
        """The training of a unit's name; ValueError for another name."""
        parts = text.removeprefix(TRAINING_MARK).split(" ")
        if not text.startswith(TRAINING_MARK) or len(parts) != 3:
            raise ValueError(f"a training unit is named '{TRAINING_MARK}STRATEGY SEED FOLD', got {text!r}")
        return TrainingUnit(parts[0], int(parts[1]), int(parts[2]))


@dataclass(frozen=True, slots=True, eq=False)
class Lookup(Generic[R]):
    """The values of one type of every case that has one, read one at a time: images of a cohort do not fit memory."""

    cases: tuple[str, ...]
    load: Callable[[str], R]


@dataclass(frozen=True, slots=True, eq=False)
class Trainings(Generic[R]):
    """The records of one type of every training, in the order of its unit."""

    rows: tuple[tuple[str, R], ...]

    def __iter__(self) -> Iterator[tuple[str, R]]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True, eq=False)
class Workspace:
    """Where a long task keeps what it needs to go on when it was killed, and who hears how far it is.

    `shared` holds what several trainings of a study use (prepared cases), `own` the checkpoints of this one.
    """

    shared: Path
    own: Path
    tell: Callable[[TrainingEpoch], None]


class Sharing:
    """How the independent parts of one task are computed: here one after the other; engine/run knows of idle cores.

    It is no input: results are the same however parts are shared out, so it enters no key.
    """

    def map(self, function: Callable[[S], R], parts: Sequence[S]) -> list[R]:
        """The results of a function of each part, in the order of the parts."""
        return [function(part) for part in parts]


ONE_BY_ONE = Sharing()
