"""Room of inference: preprocessing, windows, prediction and the annual composite."""
