"""What every server of this project shares: time, disks, rpc and the loop that runs a core. Knows
no block and no job."""
