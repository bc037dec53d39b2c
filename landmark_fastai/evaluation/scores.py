"Predictions against the truth: distances, success rates and presence, as a summary, a CSV and a printed table."

from dataclasses import dataclass, replace

import numpy as np

from ..formats.annotations import VISIBLE


@dataclass(frozen=True)
class Scores:
    "Predictions against the truth for n images and N landmarks; made by `score`."
    names: list[str]  # of the landmarks
    image_names: list[str]
    patient_id: list[str] | None
    offsets: dict[str, np.ndarray]  # 'px' and, where known, 'mm': (n, N, 2) predicted - true, NaN without distance
    unit: str  # that rates, tables and figures are in: 'mm' if all images with a visible landmark have a spacing
    has_spacing: np.ndarray  # (n,) bool
    true_state: np.ndarray  # (n, N) VISIBLE, ABSENT or UNLABELLED
    pred_state: np.ndarray  # (n, N), UNLABELLED where the prediction was left blank as too uncertain
    presence: list[str]  # landmarks whose absence the network has learned; its verdict on others means nothing
    confidence: np.ndarray  # (n, N) of the predictions, NaN where there is none
    spread: np.ndarray  # (n, N) original px: how far the models of an ensemble are apart, NaN where there is no telling

    @property
    def units(self): return tuple(self.offsets)

    @property
    def groups(self):
        "What the bootstrap resamples, (n,): patients where they are known, else images."
        return self.image_names if self.patient_id is None else self.patient_id

    def of(self, columns):
        "The scores of the landmarks `columns` alone."
        return replace(self, names=[self.names[k] for k in columns], **self._taken((slice(None), columns)))

    def on(self, rows):
        "The scores of the images `rows` alone."
        patients = self.patient_id and [self.patient_id[i] for i in rows]
        return replace(self, image_names=[self.image_names[i] for i in rows], patient_id=patients,
                       has_spacing=self.has_spacing[rows], **self._taken(rows))

    def _taken(self, index):
        "The arrays (n, N, ...) of which `index` is wanted, by field."
        arrays = {field: getattr(self, field)[index] for field in ('true_state', 'pred_state', 'confidence', 'spread')}
        return arrays | {'offsets': {unit: values[index] for unit, values in self.offsets.items()}}

    def distances(self, unit, missed=np.nan):
        """Radial errors (n, N) in `unit`, NaN where there is nothing to score.

        `missed` stands for visible landmarks that were called absent or left blank; with infinity, a share of the
        values below a threshold is a success rate.
        """
        counts = (unit == 'px') | self.has_spacing[:, None]
        lost = (self.true_state == VISIBLE) & np.isnan(self.offsets['px']).any(-1)
        return np.where(lost & counts, missed, np.linalg.norm(self.offsets[unit], axis=-1))


def score(annotations, points, state, presence=(), confidence=None, spread=None):
    """Compare predicted `points` (n, N, 2) in original px, and their `state` (n, N), with `annotations`.

    Landmarks have a distance where both are visible. mm are taken per axis, pixels need not be square; they are left
    out where no visible landmark lies on an image of known spacing. `confidence` and `spread` (n, N) are those of the
    predictions, where they are known.
    """
    unknown = np.full(state.shape, np.nan)
    visible = annotations.state == VISIBLE
    both = visible & (state == VISIBLE) & np.isfinite(points).all(-1)
    offsets = {'px': np.where(both[..., None], points - annotations.points, np.nan)}
    has_spacing = np.isfinite(annotations.spacing).all(1)
    if visible[has_spacing].any(): offsets['mm'] = offsets['px'] * annotations.spacing[:, None]
    unit = 'mm' if visible.any() and has_spacing[visible.any(1)].all() else 'px'
    return Scores(annotations.names, annotations.image_names, annotations.patient_id, offsets, unit, has_spacing,
                  annotations.state, state, list(presence),
                  *(unknown if values is None else values for values in (confidence, spread)))
