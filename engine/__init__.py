"""The method of the study: acquire, segment, review, measure, perturb, analyse, present."""
