"""The running process: TensorFlow imported one way everywhere, and an orderly end on SIGTERM."""
