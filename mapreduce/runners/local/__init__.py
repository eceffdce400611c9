"""Runs a job on this machine's cores without a cluster.

    runner      in the caller's process: plans, starts the conductor, reads statuses from it; never
                runs the job's code
    conductor   one process per job, single-threaded: forks a process per task, watches their memory
                and progress, publishes the output
    process     a task's process

The conductor is forked when the job is submitted, before the caller starts threads (a progress
display has one), and forks tasks itself: so nothing is ever forked from a process with threads.
Standard output belongs to the caller's data; what a job prints goes to standard error. A task is
tried once: what fails here fails because of the job or the machine, and both are in front of the
user.
"""
