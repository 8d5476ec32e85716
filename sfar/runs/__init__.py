"""One run (resolve, fit, score, keep), the store of runs, and how runs are spread over a machine."""
