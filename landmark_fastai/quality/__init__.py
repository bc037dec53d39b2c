"The `check` command: slips in annotations and images, before anything is trained. No torch."
