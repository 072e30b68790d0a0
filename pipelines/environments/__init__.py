"""Virtual environments that take the place of images on one machine: finding and making them."""
