"""What a job's author sees: the Job class, counters and the task's context. Knows no engine, no
runner and no file system."""
