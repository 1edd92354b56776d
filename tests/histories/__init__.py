"""Golden journals: what this program once wrote is read, folded and decided alike for ever."""
