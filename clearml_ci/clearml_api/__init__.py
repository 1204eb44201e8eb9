"""Everything that is read from the ClearML server or written to it, through the SDK's session."""
