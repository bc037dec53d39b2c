"From a run to a bundle: graphs that predict without torch."
