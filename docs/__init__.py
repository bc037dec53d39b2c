"Pages of the documentation, and what writes their tables."
