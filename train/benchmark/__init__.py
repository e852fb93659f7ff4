"""How fast the learner is beside the loop it descends from, PEFT and TRL: one run, one model, the same questions."""
