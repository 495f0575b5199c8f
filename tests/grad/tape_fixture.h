/* tape_fixture.h - builds a tape with random leaves and checks its derivatives in float64. Below, x = (theta, phi), g
 * = dL/dx and H = d2L/dx2. Every tape must pass these checks:
 *
 *   - The gradient g agrees with central differences of L along several directions.
 *   - The product H u agrees with central differences of <u, g>.
 *   - <u, H v> equals <v, H u>, and loss_dot equals <g, v>.
 *   - H (0, v_phi) has the same value if v_theta is NULL.
 *   - Repeated passes have results with the same bits, even if some outputs are NULL. */
#ifndef WL_TESTS_TAPE_FIXTURE_H
#define WL_TESTS_TAPE_FIXTURE_H

#include "tensor/tape.h"

enum { MAX_LEAVES = 16 };

/* The kinds of leaf that an operand can be. */
typedef enum leaf_kind { LEAF_THETA, LEAF_PHI, LEAF_INPUT, LEAF_KINDS } leaf_kind;

typedef struct tape_case tape_case;

typedef struct tape_builder {
  wl_tape *tape;
  const tape_case *test;
  leaf_kind kind[2]; /* kinds of the two operands of the tested operator */
  int leaves;        /* number of leaves that have been named so far */
  int inputs, labels;
  wl_node input[MAX_LEAVES], label[MAX_LEAVES];
  int64_t input_size[MAX_LEAVES], label_size[MAX_LEAVES];
  int classes;
} tape_builder;

struct tape_case {
  const char *name;
  wl_node (*build)(tape_builder *b); /* builds the tape, and returns the tensor from which the loss
                                      * is computed */
  int operands;                      /* number of operands whose kind the check varies: 0, 1 or 2 */
  int spaced;      /* if true, the values of leaves are at a distance from 0 and from each other, to avoid kinks */
  double h, scale; /* step h of the differences (0 selects 1e-2) and scale of the leaf values (0
                    * selects 1) */
};

/* leaf() returns a leaf of the given kind. operand() returns a leaf whose kind is that of operand number k. */
wl_node leaf(tape_builder *b, leaf_kind kind, int ndim, const int64_t *shape);
wl_node operand(tape_builder *b, int k, int ndim, const int64_t *shape);
/* Returns a leaf of `count` random labels, which are integers from 0 to classes - 1. */
wl_node label_leaf(tape_builder *b, int64_t count, int classes);

/* Builds the tape for every combination of operand kinds, and checks each tape. */
void check_tape_case(const tape_case *test);

#endif
