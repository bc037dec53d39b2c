"Films with five landmarks of one shape, to be changed."

import numpy as np
import pandas as pd
import pytest
from helpers import write_dots

NAMES = ('a', 'b', 'c', 'd', 'e')


@pytest.fixture
def data(tmp_path):
    "A function that writes 12 films with five landmarks of one shape, changed; returns the arguments of `check`."
    csv_file, images = write_dots(tmp_path, n=12, names=NAMES, sizes=((200, 200),))
    shape = np.array([[60, 60], [150, 60], [150, 150], [60, 150], [100, 110.]])
    table, rng = pd.read_csv(csv_file), np.random.default_rng(0)
    for k, name in enumerate(NAMES):
        table[[f'{name}_x', f'{name}_y']] = (shape[k] + rng.normal(0, 1.5, (12, 2))).round(1)
    def write(change=lambda table, images: None):
        change(table, images)
        table.to_csv(csv_file, index=False)
        return dict(label_dir=tmp_path, train_image_dir=images, train_csv_file=csv_file.name)
    return write
