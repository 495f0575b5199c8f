/* unit.h - a unit of work: one episode in progress, with its clock.
 *
 * wl_unit_fields lists all state that a unit stores between windows. Code that creates, copies, gathers or saves units,
 * or estimates their memory, uses this list. */
#ifndef WL_UNROLL_UNIT_H
#define WL_UNROLL_UNIT_H

#include "base/field.h"
#include "unroll/model.h"

/* The state that an estimator needs in addition to one inner state. If all members are zero, it needs no further
 * state. */
typedef struct wl_unit_shape {
  int particles;    /* total number of inner states */
  int accumulators; /* number of vectors over phi */
  int differences;  /* number of differences (telescoping loss) */
  const wl_rule *teacher; /* NULL if there is no teacher; borrowed */
  bool restarts;          /* the unit stores a state from which it can restart (restart.h) */
} wl_unit_shape;

/* The state of one unit. The unit owns its arrays. */
typedef struct wl_unit {
  const wl_task *task;
  wl_unit_shape shape;
  wl_episode episode; /* the episode that determines the task and the minibatches */
  int64_t number;  /* number of the unit's episode; differs from the number in `episode` after a restart */
  int64_t first;   /* inner step at which the episode began: 0 unless the episode was restarted, and 0 after a resume */
  int64_t t;       /* number of inner steps done */
  int64_t horizon; /* horizon T of the episode, for rules that use it; 0: unknown */
  int64_t task_index;
  /* number that is added to the inner step when minibatches are drawn; a replayed window has another number, so that it
   * draws new minibatches */
  int64_t draw;
  double start_loss; /* L_out(theta_0) */
  bool stopped;      /* the run became non-finite, so the rest of the episode is not run */
  wl_real *theta;    /* [pad(n)] */
  wl_real *state;    /* [wl_model_state] */
  /* the next fields belong to the particles 1, 2, ...; the fields above belong to particle 0 */
  double *other_start_loss;
  bool *other_stopped;
  wl_real *other_theta, *other_state;
  double *accumulator; /* [accumulators][phi.size] */
  double *difference;  /* [differences] */
  bool *imitates;         /* [1] true if this episode imitates the teacher; only if there is a teacher */
  double *score; /* [WL_UNIT_SCORES * particles + 1] scores (restart.h) */
  wl_real *stored_theta, *stored_state, *stored_teacher_state; /* state of one particle */
  wl_real *teacher_state; /* [particles][wl_rule_state_reals of the teacher] */
} wl_unit;

enum { WL_UNIT_SCORES = 3 }; /* number of elements of `score` for each particle */

/* The extent of a field. The size of the field is this extent times its wl_unit_times. */
typedef enum wl_unit_extent {
  WL_UNIT_ONE,
  WL_UNIT_THETA,
  WL_UNIT_STATE,
  WL_UNIT_PHI,
  WL_UNIT_TEACHER_STATE
} wl_unit_extent;
typedef enum wl_unit_times {
  WL_UNIT_ITSELF, /* the number is stored in wl_unit itself if the extent is one */
  WL_UNIT_OTHERS, /* once for each of the particles 1, 2, ... */
  WL_UNIT_ACCUMULATORS,
  WL_UNIT_DIFFERENCES,
  WL_UNIT_TEACHERS, /* 1 if there is a teacher */
  WL_UNIT_PUPILS,   /* number of particles, if there is a teacher */
  WL_UNIT_STORED,   /* 1 if the unit stores a state */
  WL_UNIT_STORED_TEACHERS,
  WL_UNIT_STORED_SCORES
} wl_unit_times;

typedef struct wl_unit_field {
  const char *name, *meaning;
  wl_type type;
  wl_unit_extent extent;
  wl_unit_times times;
  size_t at; /* offset in wl_unit of the number itself, or of the pointer to the array */
} wl_unit_field;

enum { WL_UNIT_FIELDS = 20 };
extern const wl_unit_field wl_unit_fields[WL_UNIT_FIELDS];

/* Returns true if wl_unit holds the single number of the field itself, not a pointer to an array. */
bool wl_unit_field_is_inline(const wl_unit_field *field);
/* Returns the number of values that this field has in a unit of this shape. */
int64_t wl_unit_field_count(const wl_unit_field *field, const wl_model *model, const wl_task *task,
                            const wl_unit_shape *shape);
/* Returns the address of the numbers of this field in the unit. */
void *wl_unit_field_data(const wl_unit_field *field, wl_unit *unit);
/* Returns the bytes of all fields of a unit. */
int64_t wl_unit_bytes(const wl_model *model, const wl_task *task, const wl_unit_shape *shape);

/* Creates a unit in which all numbers are zero. Borrows `task`. The caller frees *out with wl_unit_destroy. */
wl_status wl_unit_create_with(const wl_model *model, const wl_task *task,
                              const wl_unit_shape *shape, wl_unit **out);
/* Creates a unit with one particle and without further state. */
wl_status wl_unit_create(const wl_model *model, const wl_task *task, wl_unit **out);
void wl_unit_destroy(wl_unit **unit);
/* Copies all fields. Both units must have the same task and shape. */
void wl_unit_copy(const wl_model *model, wl_unit *from, wl_unit *to);

/* Returns a view of particle p as a unit. The view shares the arrays and has copies of the single numbers. */
wl_unit wl_unit_particle(const wl_model *model, const wl_unit *unit, int p);
/* Copies the single numbers of the view `particle` back to the unit, except the clock. */
void wl_unit_keep_particle(wl_unit *unit, int p, const wl_unit *particle);
/* Makes particle `to` a copy of particle `from`. */
void wl_unit_copy_particle(const wl_model *model, wl_unit *unit, int from, int to);

#endif
