"""What the job tracker decides: which job runs, which worker gets which attempt, whose output
counts. See `tracker.py` for the face."""
