"""What is learnt from: label sets, where they come from, and how they are divided."""
