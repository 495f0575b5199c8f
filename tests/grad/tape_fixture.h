/* tape_fixture.h - builds a tape with random leaves and checks it in float64. Below, x = (theta, phi), g = dL/dx and H
 * = d2L/dx2. The checks, which every tape must pass, are:
 *
 *   - The gradient g agrees with central differences of L along several directions.
 *   - The product H u agrees with central differences of <u, g>.
 *   - <u, H v> equals <v, H u>, and loss_dot equals <g, v>.
 *   - H (0, v_phi) is the same if v_theta is NULL.
 *   - Passes with NULL outputs and repeated passes have the same bits. */
#ifndef WL_TESTS_TAPE_FIXTURE_H
#define WL_TESTS_TAPE_FIXTURE_H

#include "tensor/tape.h"

enum { MAX_LEAVES = 16 };

/* The kinds of leaf that can be an operand. */
typedef enum leaf_kind { LEAF_THETA, LEAF_PHI, LEAF_INPUT, LEAF_KINDS } leaf_kind;

typedef struct tape_case tape_case;

typedef struct tape_builder {
  wl_tape *tape;
  const tape_case *test;
  leaf_kind kind[2]; /* kinds of the operands of the tested operator */
  int leaves;        /* number of leaves that have a name so far */
  int inputs, labels;
  wl_node input[MAX_LEAVES], label[MAX_LEAVES];
  int64_t input_size[MAX_LEAVES], label_size[MAX_LEAVES];
  int classes;
} tape_builder;

struct tape_case {
  const char *name;
  wl_node (*build)(tape_builder *b); /* returns the tensor from which the loss is computed */
  int operands;                      /* number of operands whose kind is varied: 0, 1 or 2 */
  int spaced;      /* true: leaf values keep a distance from 0 and each other, to avoid kinks */
  double h, scale; /* step of differences (0: 1e-2), scale of leaf values (0: 1) */
};

/* leaf() returns a leaf of the given kind. operand() returns a leaf whose kind is that of operand number k. */
wl_node leaf(tape_builder *b, leaf_kind kind, int ndim, const int64_t *shape);
wl_node operand(tape_builder *b, int k, int ndim, const int64_t *shape);
/* Returns a leaf of random labels in [0, classes). */
wl_node label_leaf(tape_builder *b, int64_t count, int classes);

/* Builds the case for every combination of operand kinds, and checks each combination. */
void check_tape_case(const tape_case *test);

#endif
