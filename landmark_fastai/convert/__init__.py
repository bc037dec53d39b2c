"Annotations of other tools, read and written. No torch."
