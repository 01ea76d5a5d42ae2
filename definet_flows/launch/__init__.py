"""What runs a campaign's jobs. Kept empty: worker processes import it before anything else."""
