"The `train`, `find_lr` and `demo` commands: a run, its folder, folds, several processes."
