"""Training as a job on the cluster: the backends `tfjob` and `trainjob`."""
