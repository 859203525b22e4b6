"""Optional integrations, each imported only when it is asked for."""
