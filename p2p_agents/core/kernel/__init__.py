"""What every room stands on: the transaction, its undo, effects, clock, and what memory holds."""
