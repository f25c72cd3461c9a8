"""What computes runs: Ray, a child process, or this one."""
