"""The reference documentation, generated from the components themselves."""
