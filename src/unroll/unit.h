/* unit.h - a unit of work: one episode in progress, with a clock of its own.
 *
 * All that a unit carries from window to window stands once in wl_unit_fields; creation, copies, gathering,
 * checkpoints and the memory estimate walk that list. */
#ifndef WL_UNROLL_UNIT_H
#define WL_UNROLL_UNIT_H

#include "base/field.h"
#include "unroll/model.h"

/* Arrays are owned by the unit. */
typedef struct wl_unit {
  const wl_task *task;
  unsigned parts; /* wl_unit_part: what it has beside the fields that every unit has */
  wl_episode episode;
  int64_t t;      /* inner steps done */
  int64_t horizon; /* T of the episode, for rules that look ahead; 0: unknown */
  int64_t family; /* index of its task */
  /* added to the inner step where minibatches are drawn: a replayed window sees fresh ones */
  int64_t draw;
  double start_loss; /* L_out(theta_0) */
  bool stopped;      /* non-finite: the rest of the episode is not run */
  wl_real *theta;    /* [pad(n)] */
  wl_real *state;    /* [wl_rule_state_reals] */
} wl_unit;

/* What only some estimators need of a unit. */
typedef enum wl_unit_part { WL_UNIT_PLAIN = 0 } wl_unit_part;

/* How many numbers a field has. */
typedef enum wl_unit_extent { WL_UNIT_ONE, WL_UNIT_THETA, WL_UNIT_STATE, WL_UNIT_PHI } wl_unit_extent;

typedef struct wl_unit_field {
  const char *name, *meaning;
  wl_type type;
  wl_unit_extent extent;
  size_t at;     /* where wl_unit has the number, or the pointer to them */
  unsigned part; /* 0: every unit has it */
} wl_unit_field;

enum { WL_UNIT_FIELDS = 8 };
extern const wl_unit_field wl_unit_fields[WL_UNIT_FIELDS];

/* Numbers in the field of a unit with these parts; 0: it has none. */
int64_t wl_unit_field_count(const wl_unit_field *field, const wl_model *model, const wl_task *task,
                            unsigned parts);
void *wl_unit_field_data(const wl_unit_field *field, wl_unit *unit);
/* Bytes of all fields. */
int64_t wl_unit_bytes(const wl_model *model, const wl_task *task, unsigned parts);

/* A unit of zeros; `task` is borrowed. */
wl_status wl_unit_create_with(const wl_model *model, const wl_task *task, unsigned parts,
                              wl_unit **out);
/* The same without parts. */
wl_status wl_unit_create(const wl_model *model, const wl_task *task, wl_unit **out);
void wl_unit_destroy(wl_unit **unit);
/* All fields; both are of the same task and parts. */
void wl_unit_copy(const wl_model *model, wl_unit *from, wl_unit *to);

#endif
