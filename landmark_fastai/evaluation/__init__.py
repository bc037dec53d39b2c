"The `evaluate` command: predictions against the truth, as numbers, figures and a report."
