/* unit.h - declares a unit, which is one inner run in progress, and the functions that create and
 * copy units.
 *
 * The table wl_unit_fields lists all values that a unit stores between windows. All code that
 * creates, copies, sends or saves units uses this table. The estimate of the memory uses the same
 * table. */
#ifndef WL_UNROLL_UNIT_H
#define WL_UNROLL_UNIT_H

#include "base/field.h"
#include "unroll/model.h"

/* Properties of an estimator that determine which values a unit stores. */
typedef struct wl_unit_shape {
  int particles;    /* number of particles, each of which has an inner state */
  int accumulators; /* number of accumulators, which are vectors with the length of phi */
  /* number of stored differences between the losses of an antithetic pair; 0 unless the estimator
   * has `loss: telescoping` */
  int differences;
  /* hand-designed rule that is imitated, borrowed; NULL if there is no teacher */
  const wl_rule *teacher;
  /* true if the unit stores a state from which it can restart (restart.h) */
  bool restarts;
} wl_unit_shape;

/* One unit with its state. The unit owns its arrays. */
typedef struct wl_unit {
  const wl_task *task;
  wl_unit_shape shape;
  /* episode for which the task was drawn; this episode also determines the minibatches */
  wl_episode episode;
  /* number of the unit's current episode; after a restart, this number differs from `episode` */
  int64_t number;
  /* inner step at which a restarted episode began; 0 for all other episodes. When a run resumes,
   * the value is 0 for all episodes in progress. */
  int64_t first;
  int64_t t; /* number of completed inner steps of the episode */
  /* the number T of inner steps in the episode, which some rules use; 0 if T is unknown */
  int64_t horizon;
  int64_t task_index;
  /* draw number, which is added to the inner step when minibatches are drawn. Restarted episodes
   * and replayed windows have a different draw number, so that their minibatches are new. */
  int64_t draw;
  double start_loss; /* L_out(theta_0), the outer loss at the start of the episode */
  /* true if the run became non-finite; the unit then does not run the rest of the episode */
  bool stopped;
  wl_real *theta; /* [pad(n)] inner parameters */
  wl_real *state; /* [wl_model_state] state of the rule and the preconditioner */
  /* members of the particles 1, 2, ...; the members above belong to particle 0 */
  double *other_start_loss;
  bool *other_stopped;
  wl_real *other_theta, *other_state;
  double *accumulator; /* [accumulators][phi.size] sums of perturbations, for the estimator pes */
  double *difference;  /* [differences] stored differences between losses */
  /* [1] true if this episode imitates the teacher; NULL if there is no teacher */
  bool *imitates;
  double *score; /* [WL_UNIT_SCORES * particles + 1] scores of the particles (restart.h) */
  /* state of particle 0 from which the unit can restart */
  wl_real *stored_theta, *stored_state, *stored_teacher_state;
  /* [particles][wl_rule_state_reals of the teacher] state of the teacher of each particle */
  wl_real *teacher_state;
} wl_unit;

enum { WL_UNIT_SCORES = 3 }; /* number of elements of wl_unit.score for each particle */

/* Length of one item of a field of a unit. An item is one number, or a vector with the length of
 * theta, the state, phi or the teacher's state. A wl_unit_times determines how many items a field
 * has. */
typedef enum wl_unit_extent {
  WL_UNIT_ONE,
  WL_UNIT_THETA,
  WL_UNIT_STATE,
  WL_UNIT_PHI,
  WL_UNIT_TEACHER_STATE
} wl_unit_extent;
typedef enum wl_unit_times {
  WL_UNIT_ITSELF, /* the field has one item; if the item is one number, the number is a member of
                   * wl_unit */
  WL_UNIT_OTHERS, /* the field has one item for each of the particles 1, 2, ... */
  WL_UNIT_ACCUMULATORS,
  WL_UNIT_DIFFERENCES,
  WL_UNIT_TEACHERS, /* the field has one item if there is a teacher */
  WL_UNIT_PUPILS,   /* the field has one item for each particle if there is a teacher */
  WL_UNIT_STORED,   /* the field has one item if the unit can restart */
  WL_UNIT_STORED_TEACHERS,
  WL_UNIT_STORED_SCORES
} wl_unit_times;

typedef struct wl_unit_field {
  const char *name, *meaning;
  wl_type type;
  wl_unit_extent extent;
  wl_unit_times times;
  size_t at; /* offset in bytes of the field's member in wl_unit; the member is a number or a
              * pointer to an array */
} wl_unit_field;

enum { WL_UNIT_FIELDS = 20 };
extern const wl_unit_field wl_unit_fields[WL_UNIT_FIELDS];

/* Returns true if the field is a number that is a member of wl_unit. Returns false if the member of
 * wl_unit is a pointer to an array. */
bool wl_unit_field_is_inline(const wl_unit_field *field);
/* Returns the number of values of this field in a unit with this shape. */
int64_t wl_unit_field_count(const wl_unit_field *field, const wl_model *model, const wl_task *task,
                            const wl_unit_shape *shape);
/* Returns the address of the first value of this field in the unit. */
void *wl_unit_field_data(const wl_unit_field *field, wl_unit *unit);
/* Returns the number of bytes of all fields of a unit. */
int64_t wl_unit_bytes(const wl_model *model, const wl_task *task, const wl_unit_shape *shape);

/* Creates a unit with the given shape. All values of the unit are zero. Borrows `task`. The caller
 * frees *out with wl_unit_destroy. */
wl_status wl_unit_create_with(const wl_model *model, const wl_task *task,
                              const wl_unit_shape *shape, wl_unit **out);
/* Creates a unit that has one particle. The unit has no accumulators, no differences, no teacher
 * and no restarts. */
wl_status wl_unit_create(const wl_model *model, const wl_task *task, wl_unit **out);
void wl_unit_destroy(wl_unit **unit);
/* Copies the state of one unit to another unit. The two units must have the same task and shape. */
void wl_unit_copy(const wl_model *model, wl_unit *from, wl_unit *to);

/* Returns a view of particle p as a unit. The view has pointers to the arrays of `unit`, and copies
 * of the members that are single numbers. */
wl_unit wl_unit_particle(const wl_model *model, const wl_unit *unit, int p);
/* Copies start_loss and stopped of the view `particle` back to particle p of the unit. */
void wl_unit_keep_particle(wl_unit *unit, int p, const wl_unit *particle);
/* Copies theta, the states, start_loss and stopped from particle `from` to particle `to`. */
void wl_unit_copy_particle(const wl_model *model, wl_unit *unit, int from, int to);

#endif
