"""What a worker decides: which launches start, when a task must die, what the tracker is told,
which segments a reduce fetches next."""
