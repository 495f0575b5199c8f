/* newton_schulz.h - computes an approximate orthogonal factor of a matrix by five Newton-Schulz steps (Jordan 2024:
 * Muon).
 *
 *   X_0 = x / (|x|_F + 1e-8);   A = X X^T;   X <- a X + (b A + c A A) X,   (a, b, c) = (3.4445, -4.7750, 2.0315)
 *
 * The square matrix A has the size of the smaller dimension. With s rows and l >= s columns, a step takes s l (2 s) +
 * s^3 multiply-adds. For a long matrix, the steps use only the Gram matrix A_0 = X_0 X_0^T. All factors are polynomials
 * of A_0 and commute. A step is therefore A <- A P^2, Q <- P Q with P = a I + b A + c A A. Each product takes s^3
 * multiply-adds. At the end, X_5 = Q X_0. */
#ifndef WL_RULE_NEWTON_SCHULZ_H
#define WL_RULE_NEWTON_SCHULZ_H

#include "rule/tensors.h"

/* Returns the number of reals of scratch for a matrix. */
int64_t wl_newton_schulz_scratch(int64_t rows, int64_t columns);
/* Replaces x [rows][columns] by its orthogonal factor and returns the sum of its squares. The bits of the result depend
 * only on x. */
double wl_newton_schulz(int64_t rows, int64_t columns, wl_real *x, wl_real *scratch);

/* Returns the number of multiply-adds for the orthogonal factor. */
double wl_newton_schulz_products(int64_t rows, int64_t columns);

/* The same functions for z [size] of a tensor. With `flat`, z is one matrix: its rows are the first axis, and its
 * columns are all other axes. Without `flat`, each tap is a matrix of the first two axes. */
int64_t wl_orthogonal_scratch(const wl_tensor *tensor, bool flat);
double wl_orthogonal(const wl_tensor *tensor, bool flat, wl_real *z, wl_real *scratch);

#endif
