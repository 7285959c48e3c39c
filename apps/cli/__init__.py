"""What all commands share: options, early checks, backends, exit codes."""
