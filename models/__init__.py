"""The project's own demo model: how it is made, and how well it sees.

shapes.py      synthetic pictures and clips (circle, square, triangle) whose every box is known
score.py       precision and recall of predictions against what is known
measure.py     a model's score on clips it has never seen, its pictures treated as the service treats them
train_demo.py  `python -m models.train_demo`: draws, trains the tiny YOLO, measures it
demo.pt        what that script wrote; used while nobody sets another MODEL
README.md      its figures, its licence, and how to use a real model
"""
