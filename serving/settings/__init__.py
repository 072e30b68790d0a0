"""Settings of the server: `server_settings` holds them, `command_line` reads them."""
