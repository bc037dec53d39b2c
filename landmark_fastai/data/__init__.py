"From annotations to fastai DataLoaders; augmentation; synthetic sample films."
