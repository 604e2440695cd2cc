"""Look-alikes: uploads that show the same kind of thing as a reference and hold no copy of it.

Each kind is drawn from a template. What it takes from the pair's seed (layout, type, colours, place) is the same in
the reference and in its look-alike; what it takes from the video's own seed (words, names, poses, shapes) is not.
The halves `fit` and `report` have templates, fonts, words and footage of their own.
"""
