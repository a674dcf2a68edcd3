"""The sentences: the answer under each question and the caption under each figure, with number and interval."""
