"""Studies: what data, architecture, transfer and rivals are worth, each resumable and reported as plain tables."""
