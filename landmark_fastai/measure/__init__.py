"Clinical measurements from landmarks, by definitions that are data: the `measure` command. No torch."
