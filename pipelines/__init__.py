"""Components wired into pipelines, and the command line.

`registry.find` returns a pipeline, `compile.compile_pipeline` compiles it, `local` and `kubeflow`
run it.
"""
