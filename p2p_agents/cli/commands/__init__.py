"""One module per verb, imported when its verb is named."""
