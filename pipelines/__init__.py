"""Components wired into pipelines, and the command line."""
