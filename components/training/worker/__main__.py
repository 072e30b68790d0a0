"""`python -m kfp_tabular.components.training.worker`: the training program, see `program`."""

from kfp_tabular.components.training.worker import program

if __name__ == "__main__":
    program.main()
