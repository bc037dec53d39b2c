"The flags of what is done with points, by readers or models: annotate, measure, agreement, convert. No torch here."

from dataclasses import MISSING, dataclass
from pathlib import Path

from .config import DataConfig, ImagesConfig
from .errors import UsageError
from .flags import Flags, flag

CHOSEN = 'Those to measure, as HKA,MPTA (all if left out).'

# of `convert`; the last can only be written
FORMATS = 'csv', 'coco', 'label_studio', 'slicer', 'dlc', 'labelme', 'tps', 'isbi2015', 'original', 'dicom_sr'


@dataclass(frozen=True, kw_only=True)
class AnnotateConfig(ImagesConfig):
    "Flags of `annotate`."
    label_dir: str = flag(DataConfig.label_dir, 'Folder of the annotation CSV, and of the journals of readers.')
    train_csv_file: str = flag(DataConfig.train_csv_file, 'File name of the annotation CSV.')
    landmarks: str | None = flag(None, 'Names of the landmarks, as hip,knee,ankle; left out where a CSV or a journal '
        'is there.')
    reader: str = flag('reader', 'Initials or short name of who clicks.')
    csv: str | None = flag(None, 'CSV whose points are offered, such as the predictions.csv of predict; the films of '
        'which that is least sure come first.')
    model: str | None = flag(None, 'Folder of a run whose predictions are offered; it is asked film by film.')
    blind: bool = flag(False, "Names of films are hidden, and their order is the reader's own.")
    repeats: float = flag(0., 'Share of the films that come back unannounced, at the earliest a third of the list '
        'later; names are hidden then.', least=0, most=0.5)
    withhold: float = flag(0., 'Share of the films on which nothing is offered, to see how far help moves the reader.',
        least=0, below=1)
    adjudicate: bool = flag(False, 'Settle what readers have said of the same films, those first on which they are '
        'farthest apart; the annotation CSV is of that then.')
    review: str | None = flag(None, 'The review.csv of predict: its films come first, with what is doubtful there.')
    from_check: bool = flag(False, 'Bring the films first on which check finds something, with what that is.')
    overlay_dir: str | None = flag(None, 'Folder for a picture of every annotated film, with points and names, as it '
        'ends.')
    port: int = flag(8017, 'Port of this machine for the page; 0 takes a free one.', least=0, most=65535)
    no_browser: bool = flag(False, 'Print the address, and open no browser.')
    config: str | None = flag(None, 'YAML file of flags; flags on the command line win.', saved=False)

    def check(self):
        names = self.names or []
        if self.adjudicate: self._check_adjudicate()
        if all(names) and len(set(names)) == len(names): return
        raise UsageError(f'landmarks is {self.landmarks!r}; expected names that differ, as hip,knee,ankle')

    def _check_adjudicate(self):
        "Raise UsageError for flags that mean nothing in adjudication."
        for name in ('reader', 'csv', 'model', 'blind', 'repeats', 'withhold', 'review', 'from_check'):
            if getattr(self, name) == getattr(AnnotateConfig, name): continue
            raise UsageError(f'{name} beside adjudicate: what is offered is what readers have said; leave {name} out')

    @property
    def names(self) -> list[str] | None:
        "The landmarks that are given."
        return None if self.landmarks is None else [name.strip() for name in self.landmarks.split(',')]

    @property
    def csv_file(self) -> Path:
        "The annotation CSV."
        return Path(self.label_dir, self.train_csv_file)


class Chosen:
    "Of flags with `measurements`; not their base, since fields of a base come before all others."
    @property
    def chosen(self) -> list[str] | None:
        "The measurements that are asked for."
        return listed_or_none(self.measurements)


@dataclass(frozen=True, kw_only=True)
class MeasureConfig(Chosen, Flags):
    "Flags of `measure`."
    csv: str = flag(MISSING, 'Annotation CSV, such as the predictions.csv of predict; of several readers by its column '
        'reader.')
    definitions: str = flag(MISSING, 'YAML file of definitions, or the name of a template, such as long_leg.')
    output_dir: str = flag(MISSING, 'Folder that gets measurements.csv, measurements_wide.csv, pictures and, with '
        'truth, report.html.')
    measurements: str | None = flag(None, CHOSEN)
    image_dir: str | None = flag(None, 'Folder of the images, on which lines and values are drawn; DICOM headers tell '
        'their spacing.')
    no_pictures: bool = flag(False, 'Draw no pictures.')
    truth: str | None = flag(None, 'Annotation CSV of clicked points, of some of the images at least: intervals follow '
        'from the errors of the measurements, and what agreement writes is written.')
    level: float = flag(0.9, 'Share of true values that intervals are to hold.', above=0, below=1)
    pixel_spacing: float | None = flag(
        None, 'Millimetres per pixel of images whose spacing neither a CSV nor a DICOM header tells.', above=0)
    overwrite: bool = flag(False, 'Replace what an earlier measure has written there, and nothing else.', saved=False)
    config: str | None = flag(None, 'YAML file of flags; flags on the command line win.', saved=False)


@dataclass(frozen=True, kw_only=True)
class ReadersConfig(Flags):
    "Who is compared, and where that is written."
    csvs: str | list = flag(MISSING, 'Annotation CSVs of two readers or models or more, as a.csv,b.csv, or one with a '
        'column reader.')
    output_dir: str = flag(MISSING, 'Folder that gets agreement.csv, drift.csv, summary.json, figures, tables and '
        'report.html.')
    readers: str | list | None = flag(None, 'Names of the readers in the order of the files, as AB,CD; by their column '
        'reader, or the names of the files, if left out.')
    groups: str = flag('split', 'Groups of images between which drift is looked for: the sides of the column split, or '
        'the first folders of image_name, such as sites.', choices=('split', 'folder'))
    invisible_landmarks: bool = flag(False, 'A point clicked in the top-left corner box means absent.')
    pixel_spacing: float | None = flag(None, 'Millimetres per pixel of images whose spacing no CSV tells.', above=0)
    overwrite: bool = flag(False, 'Replace what an earlier agreement has written there, and nothing else.', saved=False)
    config: str | None = flag(None, 'YAML file of flags; flags on the command line win.', saved=False)

    def check(self):
        super().check()
        if not all(self.files): raise UsageError(f'csvs is {self.csvs!r}; expected CSV files, as a.csv,b.csv')
        if self.names is None or all(self.names): return
        raise UsageError(f'readers is {self.readers!r}; expected names, as AB,CD')

    @property
    def files(self) -> list[str]:
        "The paths in `csvs`."
        return listed(self.csvs)

    @property
    def names(self) -> list[str] | None:
        "The readers that are given."
        return listed_or_none(self.readers)


@dataclass(frozen=True, kw_only=True)
class MeasurementsConfig(Chosen, Flags):
    "What is measured between landmarks."
    definitions: str | None = flag(None, 'YAML file of definitions, or the name of a template, such as long_leg: '
        'measurements are compared as landmarks are.')
    measurements: str | None = flag(None, CHOSEN)

    def check(self):
        super().check()
        if self.measurements and not self.definitions:
            raise UsageError('measurements without definitions; pass --definitions as well')


@dataclass(frozen=True, kw_only=True)
class AgreementConfig(MeasurementsConfig, ReadersConfig):
    "Flags of `agreement`."


@dataclass(frozen=True, kw_only=True)
class ConvertConfig(Flags):
    "Flags of `convert`."
    source: str = flag(MISSING, 'File to read, or folder where the format has a file for each image.')
    source_format: str = flag(MISSING, 'What the source is.', choices=FORMATS[:-1])
    target: str = flag(MISSING, 'File, or folder, to write.')
    target_format: str = flag(MISSING, 'What it is to be.', choices=FORMATS)
    image_dir: str | None = flag(None, 'Folder of the images: it tells sizes that a file does not, and the spacing of '
        'DICOM images.')
    landmarks: str | list | None = flag(None, 'Names of the landmarks, as hip,knee: those to keep, in that order; '
        'of a format that has numbers alone, the names of all.')
    invisible_landmarks: bool = flag(False, 'A point clicked in the top-left corner box means absent.')
    definitions: str | None = flag(None, 'YAML file of definitions, or the name of a template: what is measured for '
        'dicom_sr.')
    overwrite: bool = flag(False, 'Replace the target.', saved=False)
    config: str | None = flag(None, 'YAML file of flags; flags on the command line win.', saved=False)

    def check(self):
        if self.definitions and self.target_format != 'dicom_sr':
            raise UsageError(f'definitions beside target_format {self.target_format}: only dicom_sr holds '
                             'measurements; leave definitions out, or use measure')
        names = self.names or []
        if all(names) and len(set(names)) == len(names): return
        raise UsageError(f'landmarks is {self.landmarks!r}; expected names that differ, as hip,knee')

    @property
    def names(self) -> list[str] | None:
        "The landmarks that are given."
        return listed_or_none(self.landmarks)


def listed(given: str | list) -> list[str]:
    "What is in a list, or in a text as a,b."
    return [str(part).strip() for part in (given.split(',') if isinstance(given, str) else given)]


def listed_or_none(given: str | list | None) -> list[str] | None:
    "As `listed`; None where nothing is given."
    return None if given is None else listed(given)
