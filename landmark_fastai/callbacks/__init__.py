"fastai callbacks of a training: erosion, log, pictures, checkpoints, stopping."
