"""The same models, asked by a service: one upload in, one verdict out."""
