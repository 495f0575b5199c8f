/* newton_schulz.h - declares functions that compute an approximate orthogonal factor of a matrix x
 * by five Newton-Schulz steps (Jordan et al. 2024, Muon). The formulas of a step are:
 *
 *   X_0 = x / (|x|_F + 1e-8);   A = X X^T;   X <- a X + (b A + c A A) X,   (a, b, c) = (3.4445, -4.7750, 2.0315)
 *
 * A matrix with s rows and l >= s columns needs 2 s^2 l + s^3 multiply-adds for each step. If l >
 * 1.5 s or if the matrix is small, the steps use only the Gram matrix A_0 = X_0 X_0^T, which has s
 * rows and columns. P, A and Q are polynomials of A_0, so they commute. A step is then A <- A P^2,
 * Q <- P Q with P = a I + b A + c A A. Each product of two such matrices needs s^3 multiply-adds.
 * After the last step, the result is X_5 = Q X_0. */
#ifndef WL_RULE_NEWTON_SCHULZ_H
#define WL_RULE_NEWTON_SCHULZ_H

#include "rule/tensors.h"

/* Returns the number of wl_real elements in the scratch memory for a matrix. */
int64_t wl_newton_schulz_scratch(int64_t rows, int64_t columns);
/* Replaces x [rows][columns] by its orthogonal factor. Returns the sum of the squares of the
 * factor's elements. The bits of the result depend only on x. */
double wl_newton_schulz(int64_t rows, int64_t columns, wl_real *x, wl_real *scratch);

/* Returns the number of multiply-adds that the orthogonal factor of a matrix needs. */
double wl_newton_schulz_products(int64_t rows, int64_t columns);

/* These functions do the same as wl_newton_schulz_scratch and wl_newton_schulz, but for the array z
 * [size] of a tensor. If `flat` is true, z is one matrix: the index of the tensor's first axis is
 * the row, and the indices of all other axes together are the column. If `flat` is false, there is
 * a separate matrix for each tap (position in the kernel): the index of the first axis is the row,
 * and the index of the second axis is the column. */
int64_t wl_orthogonal_scratch(const wl_tensor *tensor, bool flat);
double wl_orthogonal(const wl_tensor *tensor, bool flat, wl_real *z, wl_real *scratch);

#endif
