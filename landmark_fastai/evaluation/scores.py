"Predictions against the truth, landmark by landmark: distances and states."

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..formats.annotations import VISIBLE, Annotations
from ..inference.predictor import Prediction


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
    def units(self) -> tuple[str, ...]: return tuple(self.offsets)

    @property
    def groups(self) -> list[str]:
        "What the bootstrap resamples, (n,): patients where they are known, else images."
        return self.image_names if self.patient_id is None else self.patient_id

    def of(self, columns: Sequence[int]) -> 'Scores':
        "The scores of the landmarks `columns` alone."
        return self._at(slice(None), columns, names=[self.names[k] for k in columns])

    def on(self, rows: Sequence[int]) -> 'Scores':
        "The scores of the images `rows` alone."
        patients = self.patient_id and [self.patient_id[i] for i in rows]
        return self._at(rows, slice(None), image_names=[self.image_names[i] for i in rows], patient_id=patients,
                        has_spacing=self.has_spacing[rows])

    def _at(self, rows, columns, **changes) -> 'Scores':
        "The scores with `changes`, and of arrays (n, N, ...) only what is at `rows` and `columns`."
        return replace(self, **changes, true_state=self.true_state[rows, columns],
                       pred_state=self.pred_state[rows, columns], confidence=self.confidence[rows, columns],
                       spread=self.spread[rows, columns],
                       offsets={unit: values[rows, columns] for unit, values in self.offsets.items()})

    def distances(self, unit: str, missed: float = np.nan) -> np.ndarray:
        """Radial errors (n, N) in `unit`, NaN where there is nothing to score.

        `missed` stands for visible landmarks that were called absent or left blank; with infinity, a share of the
        values below a threshold is a success rate.
        """
        counts = (unit == 'px') | self.has_spacing[:, None]
        lost = (self.true_state == VISIBLE) & np.isnan(self.offsets['px']).any(-1)
        return np.where(lost & counts, missed, np.linalg.norm(self.offsets[unit], axis=-1))


def score(annotations: Annotations, predicted: Prediction, presence: Sequence[str] = ()) -> Scores:
    """Compare what was `predicted` of n images, arrays (n, N, ...), with their `annotations`, in the same order.

    Landmarks have a distance where both are visible. mm are taken per axis, pixels need not be square; they are left
    out where no visible landmark lies on an image of known spacing. `presence` are the names of landmarks whose absence
    the network has learned.
    """
    visible = annotations.state == VISIBLE
    both = visible & (predicted.state == VISIBLE) & np.isfinite(predicted.points).all(-1)
    offsets = {'px': np.where(both[..., None], predicted.points - annotations.points, np.nan)}
    has_spacing = np.isfinite(annotations.spacing).all(1)
    if visible[has_spacing].any(): offsets['mm'] = offsets['px'] * annotations.spacing[:, None]
    unit = 'mm' if visible.any() and has_spacing[visible.any(1)].all() else 'px'
    return Scores(
        names=annotations.names, image_names=annotations.image_names, patient_id=annotations.patient_id,
        offsets=offsets, unit=unit, has_spacing=has_spacing, true_state=annotations.state, pred_state=predicted.state,
        presence=list(presence), confidence=predicted.confidence, spread=predicted.spread)
