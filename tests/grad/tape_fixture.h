/* tape_fixture.h - a tape with random leaves, and the checks that every tape must pass, in float64. The symbols are x =
 * (theta, phi), g = dL/dx and H = d2L/dx2. The checks are:
 *
 *   g    equals central differences of L, along several directions
 *   H u  equals central differences of <u, g>
 *   <u, H v> = <v, H u>;   loss_dot = <g, v>;   H (0, v_phi) is the same if v_theta is NULL
 *   passes with NULL outputs and repeated passes yield the same bits */
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
  leaf_kind kind[2]; /* kinds of the operands of an operator under test */
  int leaves;        /* number of leaves named so far */
  int inputs, labels;
  wl_node input[MAX_LEAVES], label[MAX_LEAVES];
  int64_t input_size[MAX_LEAVES], label_size[MAX_LEAVES];
  int classes;
} tape_builder;

struct tape_case {
  const char *name;
  wl_node (*build)(tape_builder *b); /* returns the tensor from which the loss is computed */
  int operands;                      /* number of operands whose kinds are varied: 0, 1, 2 */
  int spaced;      /* leaf values keep a distance from each other and from 0, because of kinks */
  double h, scale; /* step h, and scale of the leaves' values; 0 means 1e-2 and 1 */
};

/* `leaf` returns a leaf of the given kind. `operand` returns a leaf of the kind of operand k. */
wl_node leaf(tape_builder *b, leaf_kind kind, int ndim, const int64_t *shape);
wl_node operand(tape_builder *b, int k, int ndim, const int64_t *shape);
/* Returns random labels in [0, classes). */
wl_node label_leaf(tape_builder *b, int64_t count, int classes);

/* Builds the case for every combination of operand kinds, and checks each combination. */
void check_tape_case(const tape_case *test);

#endif
