"""What training uses of TensorFlow and tf_keras beyond their documented interfaces."""

from pathlib import Path

from kfp_tabular.components.common.process.tensorflow import import_tensorflow
from tests.private_seams import seam


def test_the_random_generator_of_dropout_layers() -> None:
    tf = import_tensorflow()
    with seam(
        "tf-keras",
        "_random_generator of Dropout layers, with random_uniform",
        user="components/training/model/features.py and loop/checkpoints.py",
    ):
        import tf_keras

        tf_keras.backend.experimental.enable_tf_random_generator()
        model = tf_keras.Sequential([tf_keras.layers.Dropout(0.5, input_shape=(2,))])
        generators = [
            layer._random_generator
            for layer in model.submodules
            if getattr(layer, "_random_generator", None) is not None
        ]
        (generator,) = generators
        assert generator.random_uniform([3, 1]).shape == (3, 1)
        # Checkpoints hold it as an object of their own, since Keras leaves it out of them.
        assert isinstance(generator, tf.__internal__.tracking.AutoTrackable)


def test_the_moving_averages_of_an_optimizer() -> None:
    tf = import_tensorflow()
    with seam(
        "tf-keras",
        "_model_variables_moving_average of an optimizer with use_ema",
        user="components/training/loop/trainable_model.py",
    ):
        import tf_keras

        weight = tf.Variable(1.0)
        optimizer = tf_keras.optimizers.SGD(1.0, use_ema=True, ema_momentum=0.75)
        optimizer.build([weight])
        optimizer.apply_gradients([(tf.constant(1.0), weight)])
        (average,) = optimizer._model_variables_moving_average
        assert (weight.numpy(), average.numpy()) == (0.0, 0.75)
        # Checkpoints of the optimizer hold it.
        assert any(average is variable for variable in optimizer.variables)


def test_dropout_continues_from_a_checkpoint(tmp_path: Path) -> None:
    tf = import_tensorflow()
    with seam(
        "tf-keras",
        "_random_generator of Dropout layers: its state is part of a checkpoint",
        user="components/training/loop/checkpoints.py",
    ):
        import tf_keras

        tf_keras.backend.experimental.enable_tf_random_generator()
        generator = tf_keras.layers.Dropout(0.5, seed=3)._random_generator
        checkpoint = tf.train.Checkpoint(randomness=[generator])
        generator.random_uniform([4])
        path = checkpoint.write(str(tmp_path / "checkpoint"))
        first = generator.random_uniform([4]).numpy()
        checkpoint.read(path)
        assert (generator.random_uniform([4]).numpy() == first).all()


def test_a_file_system_in_the_memory_of_a_server() -> None:
    tf = import_tensorflow()
    with seam(
        "tensorflow",
        "ram://, a file system in memory",
        user="components/training/distributed/parameter_servers.py",
    ):
        name = "ram://kfp-tabular-test/finished"
        assert not tf.io.gfile.exists(name)
        tf.io.write_file(name, "")
        assert tf.io.gfile.exists(name)


def test_keras_is_tf_keras() -> None:
    tf = import_tensorflow()
    with seam(
        "tensorflow",
        "TF_USE_LEGACY_KERAS=1, which makes tf.keras tf_keras",
        user="components/common/process/tensorflow.py",
    ):
        import tf_keras

        assert tf.keras.layers.Dense is tf_keras.layers.Dense


def test_checkpoints_are_written_on_one_device() -> None:
    tf = import_tensorflow()
    with seam(
        "tensorflow",
        "CheckpointOptions(experimental_io_device=)",
        user="components/training/loop/checkpoints.py",
    ):
        tf.train.CheckpointOptions(experimental_io_device="/job:localhost")
