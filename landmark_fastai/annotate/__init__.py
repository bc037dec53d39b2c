"Clicking, correcting and reviewing landmarks in a browser."
