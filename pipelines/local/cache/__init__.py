"""The cache of finished tasks: same inputs, arguments, code and environment, same outputs."""
