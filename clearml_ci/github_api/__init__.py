"""Everything that is read from GitHub or written to it. No other room imports PyGithub."""
