"""The onboarding process: what is declared, how events fold, and the rows that follow from it."""
