"The `predict` command: a trained network on new images."
