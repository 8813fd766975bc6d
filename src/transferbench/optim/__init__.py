"""Learning-rate schedules, parameter groups and the momentum encoder."""
